"""How convolutions, pooling, resizing and padding change the places of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.rule import Inputs, State, rule_table, static_shape

CHANNELS_LAST = (b"NHWC", b"NDHWC")


def _convolution(operation: Any, inputs: Inputs, _: State) -> Places | None:
    """Convolution or pooling of (n, rows, columns, k), or of (n, depth, rows, columns, k)."""
    places, shape = inputs[0], static_shape(operation.outputs[0])
    if places is None or shape is None or _attribute(operation, "data_format") not in CHANNELS_LAST:
        return None
    pool = _attribute(operation, "ksize")
    size = pool[1:-1] if pool else operation.inputs[1].shape[:-2]
    dilation = (_attribute(operation, "dilations") or (1,) * len(shape))[1:-1]
    kernel = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    valid = operation.get_attr("padding") == b"VALID"
    result = places.resampled(shape, lambda span, i, cells: span.convolved(cells, kernel[i], valid))
    return result and result._replace(learned=result.learned or not pool)


def _attribute(operation: Any, name: str) -> Any:
    try:
        return operation.get_attr(name)
    except ValueError:
        return None


def _dilated_convolution(operation: Any, _: Inputs, state: State) -> Places | None:
    """SpaceToBatchND, convolution, BatchToSpaceND: how TensorFlow computes a convolution with dilation."""
    shape, convolution = static_shape(operation.outputs[0]), _source(operation.inputs[0])
    before = _source(convolution.inputs[0]) if convolution.inputs else None
    places = state.places(before.inputs[0]) if before is not None and before.type == "SpaceToBatchND" else None
    if places is None or shape is None:
        return None
    result = places.resampled(
        shape, lambda span, _, cells: span.convolved(cells, span.cells - cells + 1, valid=cells < span.cells)
    )
    return result and result._replace(learned=True)


def _source(tensor: Any) -> Any:
    """Return the operation that computes a tensor, before axes of size 1 are added or removed, as for signals."""
    operation = tensor.op
    while operation.type in ("ExpandDims", "Squeeze"):
        operation = operation.inputs[0].op
    return operation


def _resizing(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, shape = inputs[0], static_shape(operation.outputs[0])
    return places.resampled(shape, lambda span, _, cells: span.resized(cells)) if places and shape else None


def _transposed_convolution(operation: Any, inputs: Inputs, state: State) -> Places | None:
    result = _resizing(operation, inputs[2:], state)
    return result and result._replace(learned=True)


def _padding(operation: Any, inputs: Inputs, state: State) -> Places | None:
    places, amounts = inputs[0], state.value(operation.inputs[1])
    if places is None or places.axes is None or amounts is None:
        return None
    for i, (before, after) in enumerate(np.asarray(amounts).tolist()):
        if before or after:
            size = factors.size_of(places.axes[i]) + before + after
            places = places.changed(i, lambda span, b=before, a=after: span.padded(b, a), size)  # type: ignore[misc]
    return places


CONVOLUTION_RULES = rule_table(
    {
        "Conv2D Conv3D DepthwiseConv2dNative MaxPool MaxPool3D AvgPool AvgPool3D": _convolution,
        "BatchToSpaceND": _dilated_convolution,
        "Conv2DBackpropInput Conv3DBackpropInputV2": _transposed_convolution,
        "ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea SpaceToDepth DepthToSpace": _resizing,
        "Pad PadV2 MirrorPad": _padding,
    }
)
