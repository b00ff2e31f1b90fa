"""Grad-CAM as the example of keras.io computes it: one image at a time, eagerly, from one model with two outputs."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from harness import LAYER, Explain, Setting, measure_images
from keras_vgg19 import load_vgg19


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (14, 14); the model is built once, not for each image."""
    model = load_vgg19(setting.weights)
    both = keras.Model(model.inputs, [model.get_layer(LAYER).output, model.output])
    return lambda x: [explain_image(both, x[i : i + 1]) for i in range(len(x))]


def explain_image(both: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return the map of one image, L = relu(sum_k alpha_k A_k)."""
    with tf.GradientTape() as tape:
        A, scores = both(x)
        y_c = tf.reduce_max(scores, axis=1)
    alpha = tf.reduce_mean(tape.gradient(y_c, A), axis=(0, 1, 2))
    return tf.nn.relu(tf.linalg.matvec(A[0], alpha)).numpy()


if __name__ == "__main__":
    measure_images(prepare)
