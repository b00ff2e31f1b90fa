"""`SpiralNetwork`: the right-hand side of the spiral demo, a registered layer that saved models may contain."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

HIDDEN = 50


@keras.saving.register_keras_serializable("gradcam")
class SpiralNetwork(keras.Layer):  # type: ignore[misc]
    """f(t, z) = W2 tanh(W1 z^3 + b1) + b2, with z (n, 2) and 50 hidden units; independent of t.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations, the authors' spiral example.
    """

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
