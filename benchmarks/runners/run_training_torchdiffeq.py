"""The same network in torch around torchdiffeq's `odeint_adjoint`: eager, as its users run it."""

from __future__ import annotations

import numpy as np
import torch
from ode_harness import MOMENTUM, RATE, THREADS, TOLERANCE, Arrays, Training, measure_training
from torch import nn
from torch_odenet import CHANNELS, Counted, ODEFunc, group_norm, load_keras_weights
from torchdiffeq import odeint_adjoint


class Classifier(nn.Module):
    """Stem, ODE and head: logits of pixels, 0 to 255; `stem-only` has no ODE."""

    def __init__(self, name: str) -> None:
        super().__init__()
        convs = [nn.Conv2d(1, CHANNELS, 3)] + [nn.Conv2d(CHANNELS, CHANNELS, 4, 2, padding=1) for _ in range(2)]
        self.stem = nn.Sequential(convs[0], group_norm(), nn.ReLU(), convs[1], group_norm(), nn.ReLU(), convs[2])
        self.f = None if name == "stem-only" else Counted(ODEFunc(name))
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(group_norm(), nn.ReLU(), *pool, nn.Linear(CHANNELS, 10))
        self.nfe_forward = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, 10)."""
        z = self.stem(x / 255)
        if self.f is not None:
            before = self.f.nfe
            z = odeint_adjoint(self.f, z, torch.tensor([0.0, 1.0]), rtol=TOLERANCE, atol=TOLERANCE, method="dopri5")[-1]
            self.nfe_forward += self.f.nfe - before
        return self.head(z)

    def layers(self) -> dict[str, nn.Module]:
        """Return the layers by their Keras paths."""
        layers = {f"stem_conv{i}": self.stem[3 * i] for i in range(3)}
        layers |= {f"stem_norm{i}": self.stem[3 * i + 1] for i in range(2)}
        layers |= {f"ode/f/{path}": layer for path, layer in (self.f.f.layers() if self.f else {}).items()}
        return layers | {"head_norm": self.head[0], "scores": self.head[-1]}


def prepare(name: str, weights: Arrays) -> Training:
    """Return the training of a network with these weights."""
    torch.set_num_threads(THREADS)
    model = Classifier(name)
    load_keras_weights(model.layers(), weights)
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        pixels = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 28, 28)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pixels), torch.tensor(y, dtype=torch.long))
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    def nfe() -> tuple[int, int]:
        return model.nfe_forward, (model.f.nfe if model.f else 0) - model.nfe_forward

    return Training(step, nfe)


if __name__ == "__main__":
    measure_training(prepare)
