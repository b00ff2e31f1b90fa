"""pytorch-grad-cam (package grad-cam) with its own overlay; also its Score-CAM and Ablation-CAM."""

from __future__ import annotations

import sys
import types

import numpy as np
import torch
from harness import Explain, Setting, measure_images, save_with_opencv
from torch_vgg19 import load_vgg19, target_layer, to_input

CHANNEL_BATCH = 32
"""Masked inputs in a forward pass; the tool's defaults are 16 for Score-CAM and 32 for Ablation-CAM."""


def stub_torchvision() -> None:
    """Make the package importable without torchvision, of which the measured methods use nothing."""
    names = {"transforms": ("Compose", "Normalize", "ToTensor"), "transforms.functional": ("resize",), "ops": ()}
    sys.modules["torchvision"] = torchvision = types.ModuleType("torchvision")
    for module, members in names.items():
        sys.modules[f"torchvision.{module}"] = stub = types.ModuleType(module)
        for member in members:
            setattr(stub, member, None)
    torchvision.ops = sys.modules["torchvision.ops"]


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 224, 224); the tool itself takes the highest logit."""
    from pytorch_grad_cam import AblationCAM, GradCAM, ScoreCAM

    methods = {"gradcam": GradCAM, "ablationcam": AblationCAM, "scorecam": ScoreCAM}
    model = load_vgg19(setting)
    # the tool converts A and dA to NumPy, which has no bfloat16
    transform = torch.Tensor.float if setting.precision == "bfloat16" else None
    cam = methods[setting.method](model=model, target_layers=[target_layer(model)], reshape_transform=transform)
    cam.batch_size = CHANNEL_BATCH
    return lambda x: cam(input_tensor=to_input(x, setting.precision), targets=None)


def overlay(pixels: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Blend with the tool's function, which requires image and map of one size."""
    import cv2
    from pytorch_grad_cam.utils.image import show_cam_on_image

    heatmap = cv2.resize(heatmap, (pixels.shape[1], pixels.shape[0]))
    return show_cam_on_image(np.float32(pixels) / 255, heatmap, use_rgb=True)


if __name__ == "__main__":
    stub_torchvision()
    measure_images(prepare, overlay, save_with_opencv)
