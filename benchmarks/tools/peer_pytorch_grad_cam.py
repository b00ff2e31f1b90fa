"""pytorch-grad-cam (package grad-cam), with its own overlay."""

from __future__ import annotations

import sys
import types

import numpy as np
import torch
from harness import Explain, Setting, measure, save_with_opencv
from torch_vgg19 import as_input, load_vgg19, target_layer


def stand_in_for_torchvision() -> None:
    """Let the package be imported without torchvision, which is not published for a torch without CUDA.

    Grad-CAM and the overlay call nothing of it: the names are only imported.
    """
    names = {"transforms": ("Compose", "Normalize", "ToTensor"), "transforms.functional": ("resize",), "ops": ()}
    sys.modules["torchvision"] = torchvision = types.ModuleType("torchvision")
    for module, members in names.items():
        sys.modules[f"torchvision.{module}"] = stand_in = types.ModuleType(module)
        for member in members:
            setattr(stand_in, member, None)
    torchvision.ops = sys.modules["torchvision.ops"]


def prepare(setting: Setting) -> Explain:
    """Return a function that gives maps of (n, 224, 224); the tool itself takes the highest score."""
    from pytorch_grad_cam import GradCAM

    model = load_vgg19(setting)
    # the tool hands A and dA to NumPy, which has no bfloat16
    cam = GradCAM(model=model, target_layers=[target_layer(model)], reshape_transform=torch.Tensor.float)
    return lambda x: cam(input_tensor=as_input(x, setting.precision), targets=None)


def overlay(photo: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """Blend with the tool's function, which wants photo and map in one size."""
    import cv2
    from pytorch_grad_cam.utils.image import show_cam_on_image

    map_ = cv2.resize(map_, (photo.shape[1], photo.shape[0]))
    return show_cam_on_image(np.float32(photo) / 255, map_, use_rgb=True)


if __name__ == "__main__":
    stand_in_for_torchvision()
    measure("pytorch-grad-cam", prepare, overlay, save_with_opencv)
