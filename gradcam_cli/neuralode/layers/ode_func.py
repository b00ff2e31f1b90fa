"""`ODEFunc`: the convolutional right-hand side f(t, z) of an ODE-Net, and the layers it consists of.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 3.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError

GROUPS, EPSILON = 32, 1e-5


@keras.saving.register_keras_serializable("gradcam")
class GroupNorm(keras.Layer):  # type: ignore[misc]
    """Group normalization: gamma (x - mean) / sqrt(variance + epsilon) + beta, of x (n, h, w, c).

    Mean and variance are those of a group of channels of a sample. The output equals that of
    `keras.layers.GroupNormalization`, in half the time on a CPU: this layer sums over the spatial dimensions, and
    averages over groups with a small matrix.

    Args:
        groups: number of groups; limited to the number of channels.
        epsilon: constant added to the variance.

    Source:
        Wu and He 2018, Group Normalization, equations 1 to 3.
    """

    def __init__(self, groups: int = GROUPS, epsilon: float = EPSILON, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create gamma and beta, (channels,), and the matrix that averages over groups.

        Raises:
            UsageError: the number of channels is not a multiple of the number of groups.
        """
        channels = input_shape[-1]
        groups = min(self.groups, channels)
        if channels % groups:
            raise UsageError(f"GroupNorm: expected channels in {self.groups} equal groups, got {channels} channels")
        self.gamma = self.add_weight(shape=(channels,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(channels,), initializer="zeros", name="beta")
        self.averaging_matrix = np.kron(
            np.eye(groups), np.full((channels // groups, channels // groups), groups / channels)
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the normalized x, (n, h, w, c)."""
        averaging = tf.cast(self.averaging_matrix / (x.shape[1] * x.shape[2]), x.dtype)
        centered = x - _broadcast_spatial(tf.reduce_sum(x, axis=[1, 2]) @ averaging)
        variance = tf.reduce_sum(tf.square(centered), axis=[1, 2]) @ averaging  # (n, c)
        return centered * _broadcast_spatial(tf.math.rsqrt(variance + self.epsilon) * self.gamma) + self.beta

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {**super().get_config(), "groups": self.groups, "epsilon": self.epsilon}


def _broadcast_spatial(x: tf.Tensor) -> tf.Tensor:
    return x[:, tf.newaxis, tf.newaxis, :]


@keras.saving.register_keras_serializable("gradcam")
class ConcatConv2D(keras.Layer):  # type: ignore[misc]
    """A 3x3 convolution of x concatenated with t as an additional, constant channel.

    The convolution of the constant channel is t times the convolution of ones, (h, w, channels). The layer adds it to
    the convolution of x, which avoids the concatenation.

    Args:
        channels: number of output channels.
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, t_shape: tuple[int, ...], x_shape: tuple[int, ...]) -> None:
        """Create the kernels, initialized as a single kernel with c + 1 input channels, and the bias."""
        _, h, w, c = x_shape
        bound = float(np.sqrt(6 / (9 * (c + 1 + self.channels))))  # Glorot uniform
        uniform = keras.initializers.RandomUniform
        self.kernel = self.add_weight(shape=(3, 3, c, self.channels), initializer=uniform(-bound, bound), name="kernel")
        self.time_kernel = self.add_weight(
            shape=(3, 3, 1, self.channels), initializer=uniform(-bound, bound), name="time_kernel"
        )
        self.bias = self.add_weight(shape=(self.channels,), initializer="zeros", name="bias")
        self.ones = np.ones((1, h, w, 1))

    def call(self, t: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Return the convolution, (n, h, w, channels), of x (n, h, w, c) and t, () or (n, 1, 1, 1)."""
        ones_conv = tf.nn.conv2d(tf.cast(self.ones, x.dtype), self.time_kernel, 1, "SAME")  # (1, h, w, channels)
        return tf.nn.conv2d(x, self.kernel, 1, "SAME") + (tf.cast(t, x.dtype) * ones_conv + self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {**super().get_config(), "channels": self.channels}


@keras.saving.register_keras_serializable("gradcam")
class ODEFunc(keras.Layer):  # type: ignore[misc]
    """f(t, z): norm, activation, convolution, norm, activation, convolution, norm; all in the shape of z (n, h, w, c).

    Args:
        activation: a Keras activation name. A smooth activation needs fewer solver steps.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations, section 3, and the authors' MNIST example.
    """

    def __init__(self, activation: str = "softplus", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.act = keras.activations.get(activation)

    def build(self, t_shape: tuple[int, ...], z_shape: tuple[int, ...]) -> None:
        """Create the layers for states (n, h, w, c)."""
        channels = z_shape[-1]
        self.norms: list[Any] = [GroupNorm(dtype=self.dtype_policy, name=f"norm{i}") for i in range(3)]
        self.convs: list[Any] = [ConcatConv2D(channels, dtype=self.dtype_policy, name=f"conv{i}") for i in range(2)]
        for norm in self.norms:
            norm.build(z_shape)
        for conv in self.convs:
            conv.build(t_shape, z_shape)

    def call(self, t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return dz/dt, (n, h, w, c), at the time t, () or (n, 1, 1, 1)."""
        first, second, last = self.norms
        x = self.convs[0](t, self.act(first(z)))
        x = self.convs[1](t, self.act(second(x)))
        return last(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {**super().get_config(), "activation": self.activation}
