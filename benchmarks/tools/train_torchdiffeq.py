"""The same network in torch, its ODE solved by torchdiffeq: eager, as its users have it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torchdiffeq import odeint_adjoint
from train_harness import MOMENTUM, RATE, THREADS, TOLERANCE, Arrays, Learner, Setting, measure

CHANNELS, GROUPS = 64, 32
ACTIVATIONS = {"relu": nn.ReLU, "softplus": nn.Softplus}


class TimeConv(nn.Module):
    """A 3x3 convolution with the time as channel 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1 + CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 64, h, w)."""
        return self.conv(torch.cat([t.expand(len(x), 1, *x.shape[2:]), x], dim=1))


class Field(nn.Module):
    """f(t, z): norm, activation, convolution, norm, activation, convolution, norm; it counts its evaluations."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norm() for _ in range(3))
        self.convs = nn.ModuleList(TimeConv() for _ in range(2))
        self.act = ACTIVATIONS[activation]()
        self.calls = 0

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return dz/dt, (n, 64, h, w)."""
        self.calls += 1
        for norm, conv in zip(self.norms, self.convs, strict=False):
            z = conv(t, self.act(norm(z)))
        return self.norms[2](z)


class Classifier(nn.Module):
    """Stem, ODE and head: logits of pixels, 0 to 255."""

    def __init__(self, network: str) -> None:
        super().__init__()
        convs = [nn.Conv2d(1, CHANNELS, 3)] + [nn.Conv2d(CHANNELS, CHANNELS, 4, 2, padding=1) for _ in range(2)]
        self.stem = nn.Sequential(convs[0], norm(), nn.ReLU(), convs[1], norm(), nn.ReLU(), convs[2])
        self.f = None if network == "stem" else Field(network)
        self.head = nn.Sequential(norm(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 10))
        self.forward_calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, 10)."""
        z = self.stem(x / 255)
        if self.f is not None:
            before = self.f.calls
            z = odeint_adjoint(self.f, z, torch.tensor([0.0, 1.0]), rtol=TOLERANCE, atol=TOLERANCE, method="dopri5")[-1]
            self.forward_calls += self.f.calls - before
        return self.head(z)


def norm() -> nn.GroupNorm:
    """Return a norm over groups of two channels."""
    return nn.GroupNorm(GROUPS, CHANNELS, eps=1e-5)


def named(model: Classifier) -> dict[str, tuple[str, nn.Parameter]]:
    """Return each parameter with the name that says how it is laid out, by the path of the Keras layer."""
    layers = {f"stem_conv{i}": model.stem[3 * i] for i in range(3)}
    layers |= {f"stem_norm{i}": model.stem[3 * i + 1] for i in range(2)}
    if model.f is not None:
        layers |= {f"ode/f/norm{i}": layer for i, layer in enumerate(model.f.norms)}
        layers |= {f"ode/f/conv{i}": layer.conv for i, layer in enumerate(model.f.convs)}
    layers |= {"head_norm": model.head[0], "scores": model.head[-1]}
    kinds = {nn.GroupNorm: ("gamma", "beta"), nn.Conv2d: ("kernel", "bias"), nn.Linear: ("kernel", "bias")}
    return {
        f"{path}/{name}": parameter
        for path, layer in layers.items()
        for name, parameter in zip(kinds[type(layer)], (layer.weight, layer.bias), strict=True)
    }


def to_torch(path: str, weights: Arrays) -> torch.Tensor:
    """Return a weight in torch's layout: OIHW, with the kernel of the time before the others."""
    array = weights[path]
    of_time = path.replace("/kernel", "/time_kernel")
    if array.ndim == 4 and of_time in weights:
        array = np.concatenate([weights[of_time], array], axis=2)
    return torch.tensor(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T).contiguous()


def from_torch(path: str, tensor: torch.Tensor) -> Arrays:
    """Return the arrays of a parameter in Keras's layout."""
    array = tensor.numpy()
    array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    if array.shape[2:3] != (1 + CHANNELS,):
        return {path: array}
    return {path: array[:, :, 1:], path.replace("/kernel", "/time_kernel"): array[:, :, :1]}


def prepare(setting: Setting) -> Learner:
    """Return a learner with these weights."""
    torch.set_num_threads(THREADS)
    model = Classifier(setting.network)
    with torch.no_grad():
        for path, parameter in named(model).items():
            parameter.copy_(to_torch(path, setting.weights))
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM)

    def loss_of(x: np.ndarray, y: np.ndarray) -> torch.Tensor:
        pixels = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 28, 28)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pixels), torch.tensor(y))
        loss.backward()
        return loss

    def step(x: np.ndarray, y: np.ndarray) -> float:
        loss = loss_of(x, y)
        optimizer.step()
        return float(loss.detach())

    def gradient(x: np.ndarray, y: np.ndarray) -> Arrays:
        loss_of(x, y)
        parts = [from_torch(path, parameter.grad) for path, parameter in named(model).items()]
        return {path: array for part in parts for path, array in part.items()}

    def evaluations() -> tuple[int, int]:
        calls = model.f.calls if model.f is not None else 0
        return model.forward_calls, calls - model.forward_calls

    return Learner(step, evaluations, gradient)


if __name__ == "__main__":
    measure(prepare)
