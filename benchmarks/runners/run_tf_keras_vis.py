"""tf-keras-vis, which draws nothing itself."""

from __future__ import annotations

import tensorflow as tf
from harness import LAYER, Explain, Setting, measure_images
from keras_vgg19 import load_vgg19
from tf_keras_vis.gradcam import Gradcam


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 224, 224), from one forward pass."""
    cam = Gradcam(load_vgg19(setting.weights), clone=False)
    return lambda x: cam(lambda scores: tf.reduce_max(scores, axis=1), x, penultimate_layer=LAYER)


if __name__ == "__main__":
    measure_images(prepare)
