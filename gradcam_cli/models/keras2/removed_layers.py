"""Layers of Keras 2 that Keras 3 does not have; they have the names and the weights of the old ones.

The names of the classes matter: `.keras` files store weights below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

PACKAGE = "gradcam_cli"
_register = keras.saving.register_keras_serializable(PACKAGE)


@_register
class LocallyConnected2D(keras.Layer):  # type: ignore[misc]
    """A convolution without shared weights: each position has a kernel of its own.

    y[i, j, f] = activation(sum over p of patch[i, j, p] kernel[i, j, p, f] + bias[i, j, f])

    Args:
        filters: number of output channels.
        kernel_size: (rows, columns).
        strides: (rows, columns).
        activation: of the result.
        use_bias: whether there is a bias.
        options: of a layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        strides: Sequence[int] = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters, self.kernel_size, self.strides = filters, tuple(kernel_size), tuple(strides)
        self.activation, self.use_bias = keras.activations.get(activation), use_bias

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernels (rows * columns, patch, filters) and the biases (rows, columns, filters)."""
        sizes = zip(input_shape[1:3], self.kernel_size, self.strides, strict=True)
        self.positions = tuple((side - size) // stride + 1 for side, size, stride in sizes)  # type: ignore[operator]
        rows, columns = self.positions
        patch = self.kernel_size[0] * self.kernel_size[1] * input_shape[-1]  # type: ignore[operator]
        self.kernel = self.add_weight(shape=(rows * columns, patch, self.filters), name="kernel")
        self.bias = self.add_weight(shape=(rows, columns, self.filters), name="bias") if self.use_bias else None

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (n, rows, columns, filters)."""
        return (input_shape[0], *self.positions, self.filters)

    def call(self, x: Any) -> Any:
        """Return (n, rows, columns, filters) for (n, h, w, c)."""
        patches = ops.image.extract_patches(x, self.kernel_size, strides=self.strides, padding="valid")
        kernel = ops.reshape(self.kernel, (*self.positions, *self.kernel.shape[1:]))
        y = ops.einsum("nijp,ijpf->nijf", patches, kernel)
        return self.activation(y if self.bias is None else y + self.bias)


@_register
class SyncBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """A batch normalization whose statistics were of all devices; in a trained model they are numbers."""


@_register
class BatchNormalization(keras.Layer):  # type: ignore[misc]
    """A batch normalization over several axes, with the trained statistics.

    Args:
        axis: the axes that have statistics of their own.
        epsilon: added to the variance.
        center: whether beta is added.
        scale: whether gamma is multiplied.
        options: of a layer.
    """

    def __init__(
        self, axis: Sequence[int], epsilon: float = 1e-3, center: bool = True, scale: bool = True, **options: Any
    ) -> None:
        super().__init__(**options)
        self.axis, self.epsilon, self.center, self.scale = list(axis), epsilon, center, scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights, (1, ...) with the sides of the axes."""
        axes = [axis % len(input_shape) for axis in self.axis]
        shape = tuple(side if i in axes else 1 for i, side in enumerate(input_shape))
        self.gamma = self.add_weight(shape=shape, name="gamma", initializer="ones") if self.scale else None
        self.beta = self.add_weight(shape=shape, name="beta", initializer="zeros") if self.center else None
        self.moving_mean = self.add_weight(shape=shape, name="moving_mean", initializer="zeros", trainable=False)
        self.moving_variance = self.add_weight(shape=shape, name="moving_variance", initializer="ones", trainable=False)

    def call(self, x: Any) -> Any:
        """Return gamma (x - mean) / sqrt(variance + epsilon) + beta."""
        y = (x - self.moving_mean) / ops.sqrt(self.moving_variance + self.epsilon)
        y = y if self.gamma is None else y * self.gamma
        return y if self.beta is None else y + self.beta
