"""torch-cam (package torchcam) with its own overlay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from harness import Explain, Setting, measure_images
from PIL import Image
from torch_vgg19 import load_vgg19, target_layer, to_input
from torchcam.methods import GradCAM
from torchcam.utils import overlay_mask


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 14, 14), from one forward pass."""
    model = load_vgg19(setting)
    extractor = GradCAM(model, target_layer(model))

    def explain(x: np.ndarray) -> Sequence[np.ndarray]:
        scores = model(to_input(x, setting.precision))
        return extractor(scores.argmax(dim=1).tolist(), scores)[0].float().numpy()

    return explain


def overlay(pixels: np.ndarray, heatmap: np.ndarray) -> Image.Image:
    """Blend with the tool's function."""
    return overlay_mask(Image.fromarray(pixels), Image.fromarray(heatmap), alpha=0.5)


if __name__ == "__main__":
    measure_images(prepare, overlay)
