"""How the operations of TensorFlow change the places of tensors: one rule for each operation.

A rule maps the places of an operation's inputs (None for an input that does not depend on the image) to those of its
outputs: one `Places` for all outputs, or one for each. A rule returns None if it does not know; then the places are
unproven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gradcam_cli.network import axes as factors
from gradcam_cli.network.axes import BATCH, LOCATED, OTHER, TOKENS, axis
from gradcam_cli.network.constant_folding import constant_value
from gradcam_cli.network.places import Places
from gradcam_cli.network.spans import Span

Inputs = Sequence[Places | None]
State = dict[Any, Places]
Outputs = Places | Sequence[Places | None] | None
Rule = Callable[[Any, Inputs, State], Outputs]


def unknown(operation: Any, inputs: Inputs, _: State) -> list[Places]:
    """Keep the axes of an input whose shape differs at most in the channels; otherwise they are unknown. Unproven."""
    known = next((places for places in inputs if places and places.axes is not None), None)
    first = next(places for places in inputs if places is not None)
    learned = any(places.learned for places in inputs if places)
    results = []
    for tensor in operation.outputs:
        shape, axes = static_shape(tensor), None
        if known and known.axes and shape and [factors.size_of(a) for a in known.axes[:-1]] == list(shape[:-1]):
            axes = (*known.axes[:-1], axis(OTHER, shape[-1]))
        results.append((known or first)._replace(axes=axes, proven=False, learned=learned))
    return results


def static_shape(tensor: tf.Tensor) -> tuple[int, ...] | None:
    """Return the shape of a tensor, or None if a dimension is unknown."""
    return tuple(tensor.shape) if tensor.shape.is_fully_defined() else None


def _elementwise(operation: Any, inputs: Inputs, _: State) -> Places | None:
    """Combine all inputs; a tensor without rows and columns is spread over all places."""
    result: Places | None = None
    for tensor, places in zip(operation.inputs, inputs, strict=True):
        if tensor.shape.rank is None:
            return None
        constant = Places(tuple(axis(OTHER, size or 1) for size in tensor.shape), Span(1, 0, 1), Span(1, 0, 1))
        result = places or constant if result is None else combined(result, places or constant)
    return result


def combined(first: Places, second: Places) -> Places:
    """Return the places of a sum or product of two tensors."""
    learned = first.learned or second.learned
    if first.axes is None or second.axes is None:
        known = first if first.axes is not None else second
        return known._replace(proven=False, learned=learned)
    axes, agree = factors.broadcast(first.axes, second.axes)
    located = [places for places in (first, second) if places.is_located()]
    same = len(located) < 2 or (_close(first.rows, second.rows) and _close(first.columns, second.columns))
    result = located[0] if located else first
    return result._replace(axes=axes, proven=first.proven and second.proven and agree and same, learned=learned)


def _close(first: Span, second: Span) -> bool:
    """Return whether two spans differ by less than one cell at both ends."""
    limit = max(abs(first.pixels_per_cell), abs(second.pixels_per_cell))
    return all(abs(a - b) < limit for a, b in zip(first.interval, second.interval, strict=True))


def _mixing_last_axis(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places = inputs[0]
    if places is None or not places.axes:
        return None
    return places._replace(proven=places.proven and not factors.contains(places.axes[-1], (*LOCATED, BATCH)))


def _reshape(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, shape = inputs[0], static_shape(operation.outputs[0])
    if places is None or places.axes is None or shape is None:
        return None
    axes = factors.reshape(places.axes, shape)
    return places._replace(axes=axes) if axes is not None else places.unproven()


def _transpose(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, order = inputs[0], constant_value(operation.inputs[1])
    if places is None or places.axes is None or order is None:
        return None
    return places._replace(axes=tuple(places.axes[i] for i in order))


def _reduction(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, reduced = inputs[0], constant_value(operation.inputs[1])
    if places is None or places.axes is None or reduced is None:
        return None
    positions, keep = {int(i) % len(places.axes) for i in np.ravel(reduced)}, operation.get_attr("keep_dims")
    if any(factors.contains(places.axes[i], (BATCH,)) for i in positions):
        return places.unproven()
    return places._replace(
        axes=tuple(() if i in positions else a for i, a in enumerate(places.axes) if keep or i not in positions)
    )


def _convolution(operation: Any, inputs: Inputs, _: State) -> Places | None:
    """Convolution or pooling of (n, rows, columns, k)."""
    places, shape = inputs[0], static_shape(operation.outputs[0])
    if places is None or shape is None or _attribute(operation, "data_format") != b"NHWC":
        return None
    pool = _attribute(operation, "ksize")
    size = pool[1:3] if pool else operation.inputs[1].shape[:2]
    dilation = (_attribute(operation, "dilations") or (1, 1, 1, 1))[1:3]
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
    shape, convolution = static_shape(operation.outputs[0]), operation.inputs[0].op
    before = convolution.inputs[0].op if convolution.inputs else None
    places = state.get(before.inputs[0].ref()) if before is not None and before.type == "SpaceToBatchND" else None
    if places is None or shape is None:
        return None
    result = places.resampled(
        shape, lambda span, _, cells: span.convolved(cells, span.cells - cells + 1, valid=cells < span.cells)
    )
    return result and result._replace(learned=True)


def _resizing(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, shape = inputs[0], static_shape(operation.outputs[0])
    return places.resampled(shape, lambda span, _, cells: span.resized(cells)) if places and shape else None


def _transposed_convolution(operation: Any, inputs: Inputs, state: State) -> Places | None:
    result = _resizing(operation, inputs[2:], state)
    return result and result._replace(learned=True)


def _padding(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, amounts = inputs[0], constant_value(operation.inputs[1])
    if places is None or places.axes is None or amounts is None:
        return None
    for i, (before, after) in enumerate(np.asarray(amounts).tolist()):
        if before or after:
            size = factors.size_of(places.axes[i]) + before + after
            places = places.changed(i, lambda span, b=before, a=after: span.padded(b, a), size)  # type: ignore[misc]
    return places


def _join(operation: Any, inputs: Inputs, _: State) -> Places | None:
    """Concatenate along the channels, or add tokens before and after those of the places."""
    position = constant_value(operation.inputs[-1])
    tensors, parts = list(operation.inputs[:-1]), list(inputs[:-1])
    located = [places for places in parts if places and places.is_located()]
    if position is None or not located or located[0].axes is None:
        return None
    position = int(position) % len(located[0].axes)
    size = operation.outputs[0].shape[position]
    if not factors.contains(located[0].axes[position], LOCATED):
        result = combined_all(located)
        others = any(places and not places.is_located() for places in parts)
        joined = result.with_axis(position, axis(OTHER, size)) if result.axes else result
        return joined._replace(proven=result.proven and not others)
    i = next(i for i, places in enumerate(parts) if places is located[0])
    tokens = located[0].rows.cells * located[0].columns.cells
    if len(located) > 1 or tensors[i].shape[position] != tokens or size is None:
        return None
    before = sum(tensor.shape[position] for tensor in tensors[:i])
    return located[0].with_axis(position, axis(TOKENS, size))._replace(prefix=before)


def combined_all(parts: Sequence[Places]) -> Places:
    """Return the places of a sum of several tensors, whatever their numbers of channels."""
    result = parts[0]
    for other in parts[1:]:
        same_axes = result.axes and other.axes and result.axes[:-1] == other.axes[:-1]
        together = combined(result, other)
        result = together._replace(proven=together.proven and bool(same_axes))
    return result


def _stack(operation: Any, inputs: Inputs, _: State) -> Places | None:
    known = [places for places in inputs if places]
    result = combined_all(known)
    if result.axes is None:
        return None
    position = operation.get_attr("axis") % (len(result.axes) + 1)
    axes = (*result.axes[:position], axis(OTHER, len(operation.inputs)), *result.axes[position:])
    same = all(places.axes == known[0].axes for places in known)
    return result._replace(axes=axes, proven=all(places.proven for places in known) and same)


def _unstack(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places = inputs[0]
    if places is None or places.axes is None:
        return None
    position = operation.get_attr("axis") % len(places.axes)
    if factors.contains(places.axes[position], (*LOCATED, BATCH)):
        return places.unproven()
    return places._replace(axes=places.axes[:position] + places.axes[position + 1 :])


def _split(operation: Any, inputs: Inputs, _: State) -> Places | None:
    """Split along an axis that is neither rows nor columns."""
    values = 1 if operation.type == "Split" else 0
    position = constant_value(operation.inputs[0 if operation.type == "Split" else 2])
    places, shape = inputs[values], static_shape(operation.outputs[0])
    if places is None or places.axes is None or position is None or shape is None:
        return None
    position = int(position) % len(places.axes)
    if factors.contains(places.axes[position], (*LOCATED, BATCH)):
        return places.unproven()
    return places.with_axis(position, axis(OTHER, shape[position]))


def _normalization(operation: Any, inputs: Inputs, _: State) -> Outputs:
    """FusedBatchNormV3: the first output has the places of the input."""
    return [inputs[0], *[None] * (len(operation.outputs) - 1)]


def _first_input(_: Any, inputs: Inputs, __: State) -> Places | None:
    return inputs[0]


def _each_input(_: Any, inputs: Inputs, __: State) -> Outputs:
    return inputs


def _table(rules: dict[str, Rule]) -> dict[str, Rule]:
    """Return the rules by operation; a key names several operations, separated by spaces."""
    return {name: rule for names, rule in rules.items() for name in names.split()}


RULES = _table(
    {
        "Add AddV2 Sub Mul RealDiv Div DivNoNan FloorDiv Maximum Minimum Pow SquaredDifference BiasAdd AddN Select "
        "SelectV2 Greater GreaterEqual Less LessEqual Equal NotEqual LogicalAnd LogicalOr FloorMod Atan2 MulNoNan "
        "Xdivy Xlogy": _elementwise,
        "Abs Acos Asin Atan Cast Ceil CheckNumerics Cos Cosh Elu Erf Erfc Exp Expm1 Floor Identity Inv IsFinite IsNan "
        "LeakyRelu Log Log1p LogicalNot Neg PreventGradient Reciprocal Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign "
        "Sin Sinh Softplus Softsign Sqrt Square StopGradient Tan Tanh ClipByValue LRN": _first_input,
        "IdentityN": _each_input,
        "Softmax LogSoftmax": _mixing_last_axis,
        "Reshape Squeeze ExpandDims": _reshape,
        "Transpose": _transpose,
        "Mean Sum Max Min Prod All Any EuclideanNorm": _reduction,
        "Conv2D DepthwiseConv2dNative MaxPool AvgPool": _convolution,
        "BatchToSpaceND": _dilated_convolution,
        "Conv2DBackpropInput": _transposed_convolution,
        "ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea ScaleAndTranslate": _resizing,
        "Pad PadV2 MirrorPad": _padding,
        "ConcatV2": _join,
        "Pack": _stack,
        "Unpack": _unstack,
        "Split SplitV": _split,
        "FusedBatchNormV3": _normalization,
    }
)
