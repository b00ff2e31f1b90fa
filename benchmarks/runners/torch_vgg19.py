"""VGG19 in torch with Keras's ImageNet weights, for the torch peers."""

from __future__ import annotations

import h5py
import numpy as np
import torch
from harness import Setting
from torch import nn

BLOCKS = (2, 2, 4, 4, 4)
"""Convolutions in each block."""


class Float32(nn.Module):
    """Cast the logits to float32, since NumPy has no bfloat16."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Cast."""
        return logits.float()


def load_vgg19(setting: Setting) -> nn.Sequential:
    """Return the network with logits as its output, in torchvision's layout: `features`, `flatten`, `classifier`.

    No parameter requires a gradient but the bias of the last convolution: autograd then starts there, and keeps and
    differentiates only what is downstream.
    """
    with h5py.File(setting.weights) as file, torch.no_grad():
        features = nn.Sequential(*_features(file))
        classifier = nn.Sequential(*_classifier(file))
    model = nn.Sequential()
    for name, part in (("features", features), ("flatten", nn.Flatten()), ("classifier", classifier)):
        model.add_module(name, part)
    if setting.precision == "bfloat16":
        model = model.to(torch.bfloat16)
        model.add_module("float32", Float32())
    model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    model.features[34].bias.requires_grad_(True)
    return model


def target_layer(model: nn.Sequential) -> nn.Module:
    """Return block5_conv4 after its ReLU, which in Keras is part of the layer."""
    return model.features[35]


def to_input(x: np.ndarray, precision: str) -> torch.Tensor:
    """Return (n, 3, 224, 224), channels last in memory as the array is."""
    return torch.from_numpy(x).permute(0, 3, 1, 2).to(getattr(torch, precision))


def _features(file: h5py.File) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for block, count in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            kernel, bias = _arrays(file[f"block{block}_conv{number}"])
            convolution = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            _assign(convolution, kernel.transpose(3, 2, 0, 1), bias)  # HWIO -> OIHW
            layers += [convolution, nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(2))
    return layers


def _classifier(file: h5py.File) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for name in ("fc1", "fc2", "predictions"):
        kernel, bias = _arrays(file[name])
        if name == "fc1":  # Keras flattens (7, 7, 512), torch (512, 7, 7)
            kernel = kernel.reshape(7, 7, 512, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        linear = nn.Linear(*kernel.shape)
        _assign(linear, kernel.T, bias)
        layers += [linear, nn.ReLU(inplace=True)]
    return layers[:-1]


def _arrays(group: h5py.Group) -> tuple[np.ndarray, np.ndarray]:
    kernel, bias = (group[name][()] for name in group.attrs["weight_names"])
    return kernel, bias


def _assign(layer: nn.Module, kernel: np.ndarray, bias: np.ndarray) -> None:
    layer.weight.copy_(torch.from_numpy(kernel))
    layer.bias.copy_(torch.from_numpy(bias))
