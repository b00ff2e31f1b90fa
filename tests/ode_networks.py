"""Small convolutional right-hand sides and states for the ODE tests."""

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("test")
class TanhConv(keras.Layer):
    """A convolutional f that depends on time: conv(tanh(conv(z) + t b))."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.inner = keras.layers.Conv2D(channels, 3, padding="same", dtype=self.dtype_policy)
        self.outer = keras.layers.Conv2D(channels, 3, padding="same", dtype=self.dtype_policy)
        self.bias = self.add_weight(shape=(channels,), initializer="ones", name="time")

    def build(self, t_shape, z_shape=None):
        shape = z_shape or t_shape
        self.inner.build(shape)
        self.outer.build(shape)

    def call(self, t, z):
        return self.outer(keras.ops.tanh(self.inner(z) + t * self.bias))

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


def tanh_conv(channels=2, dtype="float64", seed=0):
    """Return a `TanhConv` with seeded weights."""
    keras.utils.set_random_seed(seed)
    return TanhConv(channels, dtype=dtype)


def random_state(n=3, channels=2, dtype="float64", seed=1):
    """Return a random state (n, 4, 4, channels)."""
    return tf.constant(np.random.default_rng(seed).normal(size=(n, 4, 4, channels)), dtype)
