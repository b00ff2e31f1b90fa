"""xplique's GradCAM. It draws pyplot figures only, so that the overlay is the plain blend."""

from __future__ import annotations

import numpy as np
from harness import LAYER, Explain, Setting, measure_images
from keras_vgg19 import highest_logit, load_vgg19
from xplique.attributions import GradCAM


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 224, 224)."""
    model = highest_logit(load_vgg19(setting.weights))
    cam = GradCAM(model, conv_layer=LAYER, batch_size=setting.batch_size)
    return lambda x: cam.explain(x, np.ones((len(x), 1), np.float32)).numpy()[..., 0]


if __name__ == "__main__":
    measure_images(prepare)
