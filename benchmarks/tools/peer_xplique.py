"""xplique's GradCAM. Its own pictures are pyplot figures, so that the plain blend is used instead."""

from __future__ import annotations

import numpy as np
from harness import LAYER, Explain, Setting, measure
from keras_vgg19 import highest_score, load_vgg19
from xplique.attributions import GradCAM


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 224, 224)."""
    model = highest_score(load_vgg19(setting.weights))
    cam = GradCAM(model, conv_layer=LAYER, batch_size=setting.batch_size)
    return lambda x: cam.explain(x, np.ones((len(x), 1), np.float32)).numpy()[..., 0]


if __name__ == "__main__":
    measure("xplique", prepare)
