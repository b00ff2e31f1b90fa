"""captum's LayerGradCam. It draws pyplot figures only, so that the overlay is the plain blend."""

from __future__ import annotations

import torch
from captum.attr import LayerGradCam
from harness import Explain, Setting, measure_images
from torch_vgg19 import load_vgg19, target_layer, to_input


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 14, 14).

    The explained function is the highest logit: captum then needs no target, and no forward pass to find it.
    """
    model = load_vgg19(setting)

    def highest(x: torch.Tensor) -> torch.Tensor:
        return model(x).max(dim=1).values  # amax divides the gradient among equal values, frequent in bfloat16

    cam = LayerGradCam(highest, target_layer(model))
    return lambda x: (
        cam.attribute(to_input(x, setting.precision), relu_attributions=True)[:, 0].detach().float().numpy()
    )


if __name__ == "__main__":
    measure_images(prepare)
