"""tf-explain with its own overlay, without its default of guided gradients, which is not Grad-CAM."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from harness import LAYER, Explain, Setting, measure_images, save_with_opencv
from keras_vgg19 import highest_logit, load_vgg19
from tf_explain.core.grad_cam import GradCAM
from tf_explain.utils.display import heatmap_display


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 14, 14); the tool takes one class for a whole batch."""
    model = highest_logit(load_vgg19(setting.weights))

    def explain(x: np.ndarray) -> Sequence[np.ndarray]:
        A, dA = GradCAM.get_gradients_and_filters(model, x, LAYER, class_index=0, use_guided_grads=False)
        return [heatmap.numpy() for heatmap in GradCAM.generate_ponderated_output(A, dA)]

    return explain


def overlay(pixels: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Blend with the tool's function."""
    return heatmap_display(heatmap, pixels, cv2.COLORMAP_JET, image_weight=0.5)


if __name__ == "__main__":
    measure_images(prepare, overlay, save_with_opencv)
