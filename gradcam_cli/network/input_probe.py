"""What a network itself does to its input before the first weights: measured on uniform images."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.network.dependence import tensors_downstream
from gradcam_cli.network.hooks import hooked
from gradcam_cli.network.layers import iter_layers
from gradcam_cli.network.trace_cache import trace_cache

WEIGHTED = {
    *("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3D", "SpaceToBatchND"),
    *("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "ExtractImagePatches"),
    *("PartitionedCall", "StatefulPartitionedCall", "Reshape"),
}
"""Operations that end the preprocessing inside a network."""
LEVELS = (0.0, 1.0, 100.0, 255.0)
MAX_VALUES = 1 << 22
"""Largest input that is measured at all levels at once; of a larger one, each level takes a pass of its own."""


class InputProbe(NamedTuple):
    """What the first weights receive for uniform images.

    Attributes:
        received: (levels, c) the values that arrive for images of 0, 1, 100 and 255 in all channels.
    """

    received: np.ndarray

    @property
    def is_identity(self) -> bool:
        """Whether the network leaves its input as it is."""
        return bool(np.allclose(self.received, np.array(LEVELS)[:, None], rtol=1e-3, atol=1e-3))

    def range_of(self, low: float, high: float) -> tuple[float, float]:
        """Return the smallest and the largest value that arrive for input of low to high, by linear interpolation."""
        slope = (self.received[1] - self.received[0]) / (LEVELS[1] - LEVELS[0])
        ends = np.stack([self.received[0] + slope * low, self.received[0] + slope * high])
        return float(ends.min()), float(ends.max())


def probe_input(model: keras.Model, input_shape: tuple[int, ...]) -> InputProbe | None:
    """Measure what the first operation with weights receives, or return None if it receives no image, volume or frame.

    Args:
        model: the model.
        input_shape: (h, w, c), or with another number of spatial axes.
    """
    before_weights = trace_cache(model).get("probe", lambda: _function_before_weights(model))
    at_once = len(LEVELS) if math.prod(input_shape) <= MAX_VALUES else 1
    received = []
    for start in range(0, len(LEVELS), at_once):
        levels = np.array(LEVELS[start : start + at_once], np.float32).reshape(-1, *(1,) * len(input_shape))
        try:
            values = before_weights(tf.constant(np.broadcast_to(levels, (at_once, *input_shape)))).numpy()
        except tf.errors.OpError:  # an assertion of the network, which runs whole
            return None
        if values.ndim not in (4, len(input_shape) + 1) or len(values) != at_once or not np.isfinite(values).all():
            return None
        received.append(np.median(values, axis=tuple(range(1, values.ndim - 1))))  # without the zeros of a padding
    return InputProbe(np.concatenate(received))


def _function_before_weights(model: keras.Model) -> Any:
    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def before_weights(x: tf.Tensor) -> tf.Tensor:
        def stop_after_weights(_: str, output: Any) -> Any:
            if (received := _first_weighted_input(x)) is not None:
                raise _WeightsFoundError(received)
            return output

        try:
            with hooked(dict(iter_layers(model)), stop_after_weights):
                model(x, training=False)
        except _WeightsFoundError as found:
            return found.received
        received = _first_weighted_input(x)
        return x if received is None else received

    return before_weights


class _WeightsFoundError(Exception):
    """Ends the trace of a model after its first layer with weights: the others are not needed.

    Attributes:
        received: what the layer received.
    """

    _keras_call_info_injected = True  # Keras raises it unchanged

    def __init__(self, received: tf.Tensor) -> None:
        super().__init__()
        self.received = received


def _first_weighted_input(x: tf.Tensor) -> tf.Tensor | None:
    """Return the input of the first operation with weights that depends on the image; None if there is none yet."""
    downstream: set[Any] = tensors_downstream(x)
    for operation in x.graph.get_operations():
        if operation.type in WEIGHTED:
            inputs = [tensor for tensor in operation.inputs if tensor.ref() in downstream]
            if inputs:
                return inputs[0]
    return None
