"""The ODE-Net's dynamics f and its layers in torch, with weights in Keras's layout and names."""

from __future__ import annotations

import numpy as np
import torch
from ode_harness import Arrays
from torch import nn

CHANNELS, GROUPS = 64, 32
ACTIVATIONS = {"relu": nn.ReLU, "softplus": nn.Softplus}


class ConcatConv2D(nn.Module):
    """A 3x3 convolution with the time t as channel 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1 + CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 64, h, w)."""
        return self.conv(torch.cat([t.expand(len(x), 1, *x.shape[2:]), x], dim=1))


class ODEFunc(nn.Module):
    """f(t, z): norm, activation, convolution, norm, activation, convolution, norm."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.norms = nn.ModuleList(group_norm() for _ in range(3))
        self.convs = nn.ModuleList(ConcatConv2D() for _ in range(2))
        self.act = ACTIVATIONS[activation]()

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return dz/dt, (n, 64, h, w)."""
        for norm, conv in zip(self.norms, self.convs, strict=False):
            z = conv(t, self.act(norm(z)))
        return self.norms[2](z)

    def layers(self) -> dict[str, nn.Module]:
        """Return the layers by their Keras names."""
        norms = {f"norm{i}": layer for i, layer in enumerate(self.norms)}
        return norms | {f"conv{i}": layer.conv for i, layer in enumerate(self.convs)}


class Counted(nn.Module):
    """f with a counter of its evaluations."""

    def __init__(self, f: nn.Module) -> None:
        super().__init__()
        self.f, self.nfe = f, 0

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Count, and return dz/dt."""
        self.nfe += 1
        return self.f(t, z)


def group_norm() -> nn.GroupNorm:
    """Return a norm over groups of two channels."""
    return nn.GroupNorm(GROUPS, CHANNELS, eps=1e-5)


def load_keras_weights(layers: dict[str, nn.Module], weights: Arrays) -> None:
    """Copy weights by their Keras paths, from HWIO to OIHW, with the kernel of the time before the others."""
    for path, layer in layers.items():
        if isinstance(layer, nn.GroupNorm):
            arrays = weights[f"{path}/gamma"], weights[f"{path}/beta"]
        else:
            kernel = weights[f"{path}/kernel"]
            if f"{path}/time_kernel" in weights:
                kernel = np.concatenate([weights[f"{path}/time_kernel"], kernel], axis=2)
            arrays = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T, weights[f"{path}/bias"]
        for parameter, array in zip((layer.weight, layer.bias), arrays, strict=True):
            parameter.data.copy_(torch.tensor(np.ascontiguousarray(array)))
