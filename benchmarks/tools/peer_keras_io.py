"""Grad-CAM as the Keras website teaches it: one photo at a time, eagerly, from one model with two outputs."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from harness import LAYER, Explain, Setting, measure
from keras_vgg19 import load_vgg19


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (14, 14); the model is built once, not for every photo."""
    model = load_vgg19(setting.weights)
    both = keras.Model(model.inputs, [model.get_layer(LAYER).output, model.output])

    def explain(x: np.ndarray) -> Sequence[np.ndarray]:
        return [explain_one(both, x[i : i + 1]) for i in range(len(x))]

    return explain


def explain_one(both: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return the map of one photo: the mean gradients weigh the activations."""
    with tf.GradientTape() as tape:
        A, scores = both(x)
        highest = tf.reduce_max(scores, axis=1)
    alpha = tf.reduce_mean(tape.gradient(highest, A), axis=(0, 1, 2))
    return tf.nn.relu(tf.linalg.matvec(A[0], alpha)).numpy()


if __name__ == "__main__":
    measure("keras.io recipe", prepare)
