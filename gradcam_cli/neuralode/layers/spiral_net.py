"""Right-hand sides that a saved model may hold: Keras opens them because they are registered here."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

HIDDEN = 50


@keras.saving.register_keras_serializable("gradcam")
class SpiralNetwork(keras.Layer):  # type: ignore[misc]
    """f(t, z) = W2 tanh(W1 z^3 + b1) + b2, of 2, 50 and 2 values."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        small = keras.initializers.RandomNormal(stddev=0.1)
        self.hidden = keras.layers.Dense(HIDDEN, activation="tanh", kernel_initializer=small)
        self.out = keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(stddev=0.1))
        self.hidden.build((None, 2))
        self.out.build((None, HIDDEN))

    def call(self, t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return dz/dt, (n, 2)."""
        return self.out(self.hidden(z**3))
