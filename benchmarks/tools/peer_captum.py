"""captum's LayerGradCam. Its own pictures are pyplot figures, so that the plain blend is used instead."""

from __future__ import annotations

import torch
from captum.attr import LayerGradCam
from harness import Explain, Setting, measure
from torch_vgg19 import as_input, load_vgg19, target_layer


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 14, 14).

    The function explained is the highest score: with it captum needs no target, and so no forward
    pass before its own.
    """
    model = load_vgg19(setting)

    def highest(x: torch.Tensor) -> torch.Tensor:
        return model(x).max(dim=1).values  # amax would share the gradient among equals, which bfloat16 makes

    cam = LayerGradCam(highest, target_layer(model))
    return lambda x: (
        cam.attribute(as_input(x, setting.precision), relu_attributions=True)[:, 0].detach().float().numpy()
    )


if __name__ == "__main__":
    measure("captum", prepare)
