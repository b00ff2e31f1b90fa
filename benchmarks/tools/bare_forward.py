"""The least that any tool must do: Keras's VGG19, compiled, forward only, on photos that are in memory already."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf
from harness import Setting, read_photo, read_setting, report
from keras_vgg19 import load_vgg19


def forward_all(setting: Setting) -> float:
    """Return the seconds for all batches after the first."""
    if setting.precision == "bfloat16":
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    model = load_vgg19(setting.weights)
    forward = tf.function(lambda x: model(x, training=False))
    x = np.stack([read_photo(path).x for path in setting.photos])
    first, *batches = (tf.constant(part) for part in np.split(x, len(x) // setting.batch_size))
    forward(first).numpy()
    start = time.perf_counter()
    for batch in batches:
        forward(batch).numpy()
    return time.perf_counter() - start


if __name__ == "__main__":
    setting = read_setting()
    report("bare forward", setting, forward_all(setting))
