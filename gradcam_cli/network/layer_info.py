"""What `gradcam layers` lists about a layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from gradcam_cli.network.layer_choice import LayerCheck
from gradcam_cli.network.layer_trace import LayerOutput

NO_EFFECT = "the score does not depend on it, or is computed from it without weights"


class Layer(NamedTuple):
    """A layer with an output of more than one axis besides the batch, a result of `layers`.

    Attributes:
        path: the names of the enclosing models and of the layer: `backbone/block5_conv4`.
        layer_type: name of its class.
        shape: shape of its output without the batch: (u, v, k), or (tokens, k).
        kernel_size: (K1, K2), or None for a layer without kernel or pool size.
        strides: as for Keras; None without kernel.
        padding: `valid` or `same`; None without kernel.
        num_params: number of weights; K1*K2*C*F + F for a convolution.
        excluded: why the layer cannot be explained, or None.
        default: whether it is the layer `auto`.
    """

    path: str
    layer_type: str
    shape: tuple[int, ...]
    kernel_size: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    padding: str | None
    num_params: int
    excluded: str | None
    default: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the layer; shapes are lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._asdict().items()}


def layer_info(output: LayerOutput, check: LayerCheck) -> Layer:
    """Return what is listed about a layer.

    Args:
        output: from `trace_layers`.
        check: from `locality_check`.
    """
    operation = output.operation
    kernel = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    excluded = output.reason or (None if output.affects_score else NO_EFFECT)
    return Layer(
        output.path,
        type(operation).__name__,
        output.shape,
        kernel,
        getattr(operation, "strides", None) if kernel else None,
        getattr(operation, "padding", None) if kernel else None,
        operation.count_params() if isinstance(operation, keras.Layer) and operation.built else 0,
        excluded or check(output),
    )
