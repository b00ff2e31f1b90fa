"""VGG19 in torch with Keras's ImageNet weights, for the torch peers.

`python torch_vgg19.py WEIGHTS PHOTO LOGITS.npy` compares its logits with Keras's, written by keras_vgg19.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from harness import SIDE, Setting, read_photo
from torch import nn

BLOCKS = (2, 2, 4, 4, 4)
"""Convolutions in each block."""


class Float32(nn.Module):
    """Give the logits in float32, which NumPy knows."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Cast."""
        return logits.float()


def load_vgg19(setting: Setting) -> nn.Sequential:
    """Return the network with logits as its output, in torchvision's layout: `features`, `flatten`, `classifier`.

    Nothing is trained, so no parameter needs a gradient but the bias of the last convolution: with it
    autograd begins there, and keeps and differentiates only what lies behind.
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


def as_input(x: np.ndarray, precision: str) -> torch.Tensor:
    """Return (n, 3, 224, 224), channels last in memory as the array is."""
    return torch.from_numpy(x).permute(0, 3, 1, 2).to(getattr(torch, precision))


def _features(file: h5py.File) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for block, count in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            kernel, bias = _arrays(file[f"block{block}_conv{number}"])
            convolution = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            convolution.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1)))  # HWIO -> OIHW
            convolution.bias.copy_(torch.from_numpy(bias))
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
        linear.weight.copy_(torch.from_numpy(kernel.T))
        linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, nn.ReLU(inplace=True)]
    return layers[:-1]


def _arrays(group: h5py.Group) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's kernel and bias."""
    kernel, bias = (group[name][()] for name in group.attrs["weight_names"])
    return kernel, bias


def compare_logits(weights: Path, photo: Path, logits: Path) -> float:
    """Return the largest difference from Keras's logits."""
    model = load_vgg19(Setting(weights, [photo], Path(), "float32", "overlay", 1))
    with torch.no_grad():
        ours = model(as_input(read_photo(photo).x[None], "float32")).numpy()
    return float(np.abs(ours - np.load(logits)).max())


if __name__ == "__main__":
    difference = compare_logits(*map(Path, sys.argv[1:]))
    print(f"largest difference of the logits at {SIDE}x{SIDE}: {difference:.2g}")
    sys.exit(difference > 1e-3)
