"""VGG19 in torch with Keras's ImageNet weights, for the torch peers.

    python torch_vgg19.py vgg19.h5 vgg19.pt

writes the weights as a file of torch, which `load_vgg19` maps into memory; one_photo.py measures this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from harness import Setting
from torch import nn

if TYPE_CHECKING:
    import h5py
    import numpy as np

BLOCKS = (2, 2, 4, 4, 4)
"""Convolutions in each block."""
FILTERS = (64, 128, 256, 512, 512)
"""Filters of the convolutions of each block."""


class Float32(nn.Module):
    """Cast the logits to float32, since NumPy has no bfloat16."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Cast."""
        return logits.float()


def load_vgg19(setting: Setting) -> nn.Sequential:
    """Return the network with logits as its output, in torchvision's layout: `features`, `flatten`, `classifier`.

    Its weights are those of a file of Keras, or of one that this program has written.

    No parameter requires a gradient but the bias of the last convolution: autograd then starts there, and keeps and
    differentiates only what is downstream.
    """
    if setting.weights.suffix == ".pt":
        with torch.device("meta"):
            model = _network()
        model.load_state_dict(torch.load(setting.weights, mmap=True, weights_only=True), assign=True)
    else:
        model = _with_weights(setting.weights)
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


def _network() -> nn.Sequential:
    features: list[nn.Module] = []
    channels = 3
    for count, filters in zip(BLOCKS, FILTERS, strict=True):
        for _ in range(count):
            features += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        features.append(nn.MaxPool2d(2))
    classifier: list[nn.Module] = []
    for sizes in ((7 * 7 * 512, 4096), (4096, 4096), (4096, 1000)):
        classifier += [nn.Linear(*sizes), nn.ReLU(inplace=True)]
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(*features))
    model.add_module("flatten", nn.Flatten())
    model.add_module("classifier", nn.Sequential(*classifier[:-1]))
    return model


def _with_weights(path: Path) -> nn.Sequential:
    """Return the network with the weights of a file of Keras."""
    import h5py

    names = [f"block{block}_conv{number}" for block, count in enumerate(BLOCKS, 1) for number in range(1, count + 1)]
    model = _network()
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    with h5py.File(path) as file, torch.no_grad():
        for layer, name in zip(layers, [*names, "fc1", "fc2", "predictions"], strict=True):
            kernel, bias = _arrays(file[name])
            if name == "fc1":  # Keras flattens (7, 7, 512), torch (512, 7, 7)
                kernel = kernel.reshape(7, 7, 512, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            kernel = kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)  # HWIO -> OIHW
            layer.weight.copy_(torch.from_numpy(kernel))
            layer.bias.copy_(torch.from_numpy(bias))
    return model


def _arrays(group: h5py.Group) -> tuple[np.ndarray, np.ndarray]:
    kernel, bias = (group[name][()] for name in group.attrs["weight_names"])
    return kernel, bias


if __name__ == "__main__":
    torch.save(_with_weights(Path(sys.argv[1])).to(memory_format=torch.channels_last).state_dict(), sys.argv[2])
