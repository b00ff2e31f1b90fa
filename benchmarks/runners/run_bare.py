"""The minimum that any tool needs: VGG19 from TensorFlow's operations, compiled, forward only.

The case `forward` times batches that are in memory already. The case `cold-start` is one image, of which bench.py
times the whole process: import TensorFlow, read the weights, decode the image, one forward pass.
"""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf
from harness import Setting, read_image, read_setting, report

BLOCKS = (2, 2, 4, 4, 4)


def read_weights(path: Path) -> dict[str, list[tf.Tensor]]:
    """Return each layer's kernel and bias."""
    with h5py.File(path) as file:
        return {
            layer: [tf.constant(group[name][()]) for name in group.attrs["weight_names"]]
            for layer, group in file.items()
        }


def vgg19(x: tf.Tensor, weights: dict[str, list[tf.Tensor]]) -> tf.Tensor:
    """Return the logits."""
    for block, count in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            kernel, bias = weights[f"block{block}_conv{number}"]
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.reshape(x, (-1, 7 * 7 * 512))
    for layer in ("fc1", "fc2"):
        kernel, bias = weights[layer]
        x = tf.nn.relu(tf.matmul(x, kernel) + bias)
    kernel, bias = weights["predictions"]
    return tf.matmul(x, kernel) + bias


def ms_per_image(setting: Setting) -> float:
    """Return the milliseconds per image, without the first batch if there are several."""
    if setting.precision == "bfloat16":
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    weights = read_weights(setting.weights)
    forward = tf.function(lambda x: vgg19(x, weights))
    x = np.stack([read_image(path).x for path in setting.paths()])
    first, *batches = (tf.constant(part) for part in np.split(x, len(x) // setting.batch_size))
    forward(first).numpy()
    start = time.perf_counter()
    for batch in batches:
        forward(batch).numpy()
    return 1000 * (time.perf_counter() - start) / max(len(x) - setting.batch_size, 1)


if __name__ == "__main__":
    setting = read_setting()
    report(ms_per_image(setting), {})
