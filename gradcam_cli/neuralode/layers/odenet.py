"""Small convolutional classifiers whose middle is an ordinary differential equation, and the baselines beside them.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 3: ODE-Net and residual network of table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.layers.ode_block import ODEBlock

CHANNELS, GROUPS, EPSILON = 64, 32, 1e-5
RESIDUAL_BLOCKS = 6
MIN_SPATIAL_SIZE = 6
ACTIVATIONS = ("softplus", "relu", "tanh", "silu")
DEFAULT_SOLVER_OPTIONS = {
    "rtol": 1e-3,
    "atol": 1e-3,
    "adjoint_rtol": 1e-2,
    "adjoint_atol": 1e-2,
    "batch_coupled": "training",
}
"""How the ODEBlock is solved: a gradient right to a few percent does for learning, in a third of the evaluations
where f is not smooth; where it predicts, each image takes steps of its own.
"""
BLOCK_NAME = "ode"
"""Name of the ODEBlock in a classifier."""

layers = keras.layers


@keras.saving.register_keras_serializable("gradcam")
class GroupNorm(keras.Layer):  # type: ignore[misc]
    """(x - mean) / sqrt(variance + epsilon) over each sample's plane and group of channels, times gamma, plus beta.

    What Keras's GroupNormalization does, in half its time on a CPU: sums over the plane alone, a small matrix for those
    over a group.

    Args:
        groups: of channels; at most as many as there are.
        epsilon: added to the variance.

    Source:
        Wu and He 2018, Group Normalization, equations 1 to 3.
    """

    def __init__(self, groups: int = GROUPS, epsilon: float = EPSILON, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make gamma and beta, (channels,), and the matrix that averages over groups."""
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
        """Return the normalised x, (n, h, w, c)."""
        share = tf.cast(self.averaging_matrix / (x.shape[1] * x.shape[2]), x.dtype)
        centred = x - _broadcast_spatial(tf.reduce_sum(x, axis=[1, 2]) @ share)
        variance = tf.reduce_sum(tf.square(centred), axis=[1, 2]) @ share  # (n, c)
        return centred * _broadcast_spatial(tf.math.rsqrt(variance + self.epsilon) * self.gamma) + self.beta

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same layer of."""
        return {**super().get_config(), "groups": self.groups, "epsilon": self.epsilon}


def _broadcast_spatial(x: tf.Tensor) -> tf.Tensor:
    return x[:, tf.newaxis, tf.newaxis, :]


@keras.saving.register_keras_serializable("gradcam")
class ConcatConv2D(keras.Layer):  # type: ignore[misc]
    """A 3x3 convolution that sees t as one more channel.

    The convolution of a plane that is t everywhere is t times that of ones: a map (h, w, c) which is added, so that
    nothing as large as a batch is joined to it.

    Args:
        channels: of the output.
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, t_shape: tuple[int, ...], x_shape: tuple[int, ...]) -> None:
        """Make the kernels, initialised as one of one channel more, and the bias."""
        _, h, w, c = x_shape
        bound = float(np.sqrt(6 / (9 * (c + 1 + self.channels))))  # Glorot's
        uniform = keras.initializers.RandomUniform
        self.kernel = self.add_weight(shape=(3, 3, c, self.channels), initializer=uniform(-bound, bound), name="kernel")
        self.time_kernel = self.add_weight(
            shape=(3, 3, 1, self.channels), initializer=uniform(-bound, bound), name="time_kernel"
        )
        self.bias = self.add_weight(shape=(self.channels,), initializer="zeros", name="bias")
        self.ones = np.ones((1, h, w, 1))

    def call(self, t: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Return the convolution, (n, h, w, channels), of x (n, h, w, c) and t, () or (n, 1, 1, 1)."""
        of_ones = tf.nn.conv2d(tf.cast(self.ones, x.dtype), self.time_kernel, 1, "SAME")  # (1, h, w, channels)
        return tf.nn.conv2d(x, self.kernel, 1, "SAME") + (tf.cast(t, x.dtype) * of_ones + self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same layer of."""
        return {**super().get_config(), "channels": self.channels}


@keras.saving.register_keras_serializable("gradcam")
class ODEFunc(keras.Layer):  # type: ignore[misc]
    """f(t, z): norm, activation, convolution, norm, activation, convolution, norm, all of z's shape.

    Args:
        activation: a name that Keras knows; a smooth one makes an equation that solvers like.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations, section 3, in the form of its authors' MNIST example.
    """

    def __init__(self, activation: str = "softplus", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.act = keras.activations.get(activation)

    def build(self, t_shape: tuple[int, ...], z_shape: tuple[int, ...]) -> None:
        """Make the layers for states of this shape."""
        channels = z_shape[-1]
        self.norms: list[Any] = [GroupNorm(dtype=self.dtype_policy, name=f"norm{i}") for i in range(3)]
        self.convs: list[Any] = [ConcatConv2D(channels, dtype=self.dtype_policy, name=f"conv{i}") for i in range(2)]
        for norm in self.norms:
            norm.build(z_shape)
        for conv in self.convs:
            conv.build(t_shape, z_shape)

    def call(self, t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return dz/dt, (n, h, w, c)."""
        first, second, last = self.norms
        x = self.convs[0](t, self.act(first(z)))
        x = self.convs[1](t, self.act(second(x)))
        return last(x)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same layer of."""
        return {**super().get_config(), "activation": self.activation}


@keras.saving.register_keras_serializable("gradcam")
class LabeledDense(keras.layers.Dense):  # type: ignore[misc]
    """The last layer: the logits y of the classes, and the classes' names, so that the saved model knows them.

    Args:
        labels: one a class.
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "units": len(labels)})
        self.labels = tuple(labels)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same layer of."""
        return {**super().get_config(), "labels": list(self.labels)}


def num_downsampling_layers(side: int) -> int:
    """Return how many strided convolutions, after a valid 3x3 one, leave a plane of at least 6x6."""
    side, count = side - 2, 0
    while side // 2 >= MIN_SPATIAL_SIZE:
        side, count = side // 2, count + 1
    return count


def build_odenet(
    input_shape: tuple[int, int, int],
    labels: Sequence[str],
    arch: str = "odenet",
    *,
    downsampling_layers: int | None = None,
    activation: str = "softplus",
    **options: Any,
) -> keras.Model:
    """Build a classifier, untrained, whose input are pixels, 0 to 255, and whose output are logits.

    Args:
        input_shape: (h, w, c).
        labels: the names of the classes.
        arch: a name in `ARCHITECTURES`.
        downsampling_layers: how many strided 4x4 convolutions follow the first one; None: as many as leave a plane of 6x6.
        activation: of f, one of `ACTIVATIONS`.
        **options: of the `ODEBlock`.

    Raises:
        UsageError: there is no such architecture, or the images are too small for it.
    """
    if arch not in ARCHITECTURES:
        raise UsageError(f"arch: expected one of {', '.join(ARCHITECTURES)}, got {arch}")
    side = min(input_shape[:2])
    count = num_downsampling_layers(side) if downsampling_layers is None else downsampling_layers
    image = layers.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    if arch == "odenet-thin":
        x = _downsampling_conv(x, "stem_conv")
    else:
        if (side - 2) >> count < 1:
            raise UsageError(
                f"stem: expected images that {count} strided convolutions leave something of, got {side} pixels"
            )
        x = _downsampling_stem(x, count)
    x = ARCHITECTURES[arch](x, activation, options)
    x = layers.ReLU(name="head_relu")(GroupNorm(name="head_norm")(x))
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(image, LabeledDense(labels, name="scores")(x), name=arch.replace("-", "_"))


def _downsampling_stem(x: Any, downsampling_layers: int) -> Any:
    """1 -> 64 channels by a valid 3x3 convolution, then strided 4x4 ones, each after norm and ReLU."""
    x = layers.Conv2D(CHANNELS, 3, name="stem_conv0")(x)
    for i in range(downsampling_layers):
        x = layers.ReLU(name=f"stem_relu{i}")(GroupNorm(name=f"stem_norm{i}")(x))
        x = _downsampling_conv(x, f"stem_conv{i + 1}")
    return x


def _downsampling_conv(x: Any, name: str) -> Any:
    """Halve the plane, rounding down: padding by 1 on every side, which Keras's `same` is not."""
    return layers.Conv2D(CHANNELS, 4, 2, name=name)(layers.ZeroPadding2D(1, name=f"{name}_pad")(x))


def _ode(x: Any, activation: str, options: dict[str, Any]) -> Any:
    return ODEBlock(ODEFunc(activation, name="f"), name=BLOCK_NAME, **{**DEFAULT_SOLVER_OPTIONS, **options})(x)


def _residual_blocks(x: Any, activation: str, options: dict[str, Any]) -> Any:
    for i in range(RESIDUAL_BLOCKS):
        y = x
        for j in range(2):
            name = f"block{i + 1}_{{}}{j + 1}".format
            y = layers.ReLU(name=name("relu"))(GroupNorm(name=name("norm"))(y))
            y = layers.Conv2D(CHANNELS, 3, padding="same", use_bias=False, name=name("conv"))(y)
        x = layers.Add(name=f"block{i + 1}")([x, y])
    return x


def _identity(x: Any, activation: str, options: dict[str, Any]) -> Any:
    return x


ARCHITECTURES: dict[str, Callable[[Any, str, dict[str, Any]], Any]] = {
    "odenet": _ode,
    "odenet-thin": _ode,
    "resnet": _residual_blocks,
    "stem": _identity,
}
"""What stands between stem and head of each architecture."""
