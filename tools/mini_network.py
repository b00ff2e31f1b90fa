"""The built-in model `mini` in the form in which it is trained, and its conversion to plain convolutions.

Two reparametrizations make sixteen plain convolutions train fast: batch normalization, and kernels that start from the
identity (Dirac parametrization, Zagoruyko and Komodakis, 2017, arXiv:1706.00388). `fold` converts both to kernels and
biases of plain convolutions, so the published model has only the layers of VGG19.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from gradcam_cli.models.labels import CIFAR10
from gradcam_cli.models.mini import features

EPSILON, NORM_MOMENTUM = 1e-3, 0.98


def normalize_filters(kernel: keras.Variable) -> tf.Tensor:
    """Scale a kernel, (9 c, k), so that the root mean square of the norms of its filters is one."""
    return kernel * (float(kernel.shape[1]) ** 0.5 / keras.ops.norm(kernel))


class DiracConv2D(layers.Layer):  # type: ignore[misc]
    """A 3x3 convolution with the kernel W + a I: W is trained at a fixed norm, a is a trained weight per filter.

    W is stored as a matrix (9 c, k), as Muon requires. If the number of channels changes, a I is omitted.
    """

    def __init__(self, channels: int, name: str) -> None:
        super().__init__(name=name)
        self.channels = channels

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create W and, if the number of channels is unchanged, a."""
        self.shape = (3, 3, input_shape[-1], self.channels)
        self.kernel = self.add_weight(
            name="kernel", shape=(9 * self.shape[2], self.channels), initializer="he_normal",
            constraint=normalize_filters,
        )  # fmt: skip
        self.identity = np.zeros(self.shape, np.float32)
        if self.shape[2] == self.channels:
            self.identity[1, 1] = np.eye(self.channels)
            self.identity_weight = self.add_weight(name="identity_weight", shape=(self.channels,), initializer="ones")

    def plain_kernel(self) -> tf.Tensor:
        """Return W + a I as a convolution kernel, (3, 3, c, k)."""
        kernel = tf.reshape(self.kernel, self.shape)
        if not self.identity.any():
            return kernel
        return kernel + tf.cast(self.identity, kernel.dtype) * self.identity_weight

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolve x, (n, h, w, c); returns (n, h, w, k)."""
        return tf.nn.conv2d(x, tf.cast(self.plain_kernel(), x.dtype), 1, "SAME")


class FusedNorm(layers.Layer):  # type: ignore[misc]
    """Batch normalization by TensorFlow's fused kernel: in bfloat16 on a CPU, twice as fast as the layer of Keras."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create scale, offset and moving statistics in float32."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False, dtype="float32")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False, dtype="float32")
        moving = {"shape": shape, "trainable": False, "autocast": False, "dtype": "float32"}
        self.mean = self.add_weight(name="mean", initializer="zeros", **moving)
        self.variance = self.add_weight(name="variance", initializer="ones", **moving)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalize by the statistics of the batch in training, otherwise by the moving statistics."""
        statistics = ([], []) if training else (self.mean.value, self.variance.value)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=self.gamma.value, offset=self.beta.value, mean=statistics[0], variance=statistics[1],
            epsilon=EPSILON, is_training=training,
        )  # fmt: skip
        if training:
            self.mean.assign(self.mean * NORM_MOMENTUM + mean * (1 - NORM_MOMENTUM))
            self.variance.assign(self.variance * NORM_MOMENTUM + variance * (1 - NORM_MOMENTUM))
        return y


def conv_norm_relu(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Add a 3x3 convolution, batch normalization and ReLU."""
    return layers.ReLU(name=f"{name}_relu")(FusedNorm(name=f"{name}_norm")(DiracConv2D(channels, name)(x)))


def build_training_model() -> keras.Model:
    """Build the model for training: images of any size (n, h, w, 3) in -1..1 to logits (n, 10)."""
    x = keras.Input((None, None, 3), name="image")
    y = layers.Dense(len(CIFAR10.names), dtype="float32", name="predictions")(features(x, conv_norm_relu))
    return keras.Model(x, y, name="mini_training")


def fold(model: keras.Model) -> dict[str, np.ndarray]:
    """Fold identity and normalization into the kernels; returns the arrays that `build_mini` reads."""
    arrays: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if isinstance(layer, DiracConv2D):
            norm = model.get_layer(f"{layer.name}_norm")
            gamma, beta, mean, variance = (np.float64(weight.numpy()) for weight in norm.weights)
            factor = gamma / np.sqrt(variance + EPSILON)
            arrays[f"{layer.name}/kernel"] = (layer.plain_kernel().numpy() * factor).astype(np.float32)
            arrays[f"{layer.name}/bias"] = (beta - mean * factor).astype(np.float32)
    arrays["predictions/kernel"], arrays["predictions/bias"] = model.get_layer("predictions").get_weights()
    return arrays


def logits(mini: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return the logits (n, 10) of the folded model, whose output is their softmax."""
    kernel, bias = mini.get_layer("predictions").get_weights()
    pooled = keras.Model(mini.input, mini.get_layer("avg_pool").output).predict(x, verbose=0)
    return np.asarray(pooled @ kernel + bias)


def fold_difference(model: keras.Model, mini: keras.Model, images: np.ndarray) -> float:
    """Return the maximum difference of logits between the training model and the folded model, both in float32."""
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("float32")
    exact = build_training_model()
    keras.mixed_precision.set_global_policy(policy)
    exact.set_weights(model.get_weights())
    x = images / np.float32(127.5) - 1
    return float(np.abs(exact.predict(x, verbose=0) - logits(mini, x)).max())
