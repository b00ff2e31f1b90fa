"""The least that a process must do for one photo: `python bare_oneshot.py WEIGHTS PHOTO` prints its class.

It imports TensorFlow, reads the weights into tensors, decodes the photo and makes one compiled forward
pass; it explains nothing and writes nothing.
"""

from __future__ import annotations

import sys

import h5py
import numpy as np
import tensorflow as tf
from PIL import Image

MEANS = np.array([103.939, 116.779, 123.68], np.float32)
BLOCKS = (2, 2, 4, 4, 4)


def read_weights(path: str) -> dict[str, list[tf.Tensor]]:
    """Return each layer's kernel and bias."""
    with h5py.File(path) as file:
        return {
            layer: [tf.constant(group[name][()]) for name in group.attrs["weight_names"]]
            for layer, group in file.items()
        }


def read_photo(path: str) -> np.ndarray:
    """Return (1, 224, 224, 3), as Keras's VGG19 wants it."""
    with Image.open(path) as file:
        seen = file.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return (np.asarray(seen, np.float32)[:, :, ::-1] - MEANS)[None]


def vgg19(x: tf.Tensor, weights: dict[str, list[tf.Tensor]]) -> tf.Tensor:
    """Return the logits."""
    for block, count in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            kernel, bias = weights[f"block{block}_conv{number}"]
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.reshape(x, (1, -1))
    for layer in ("fc1", "fc2"):
        kernel, bias = weights[layer]
        x = tf.nn.relu(tf.matmul(x, kernel) + bias)
    kernel, bias = weights["predictions"]
    return tf.matmul(x, kernel) + bias


if __name__ == "__main__":
    weights = read_weights(sys.argv[1])
    forward = tf.function(lambda x: vgg19(x, weights))
    print(int(tf.argmax(forward(tf.constant(read_photo(sys.argv[2])))[0])))
