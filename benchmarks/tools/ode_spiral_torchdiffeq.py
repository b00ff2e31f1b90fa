"""torchdiffeq learns the spiral, as its demonstration does: `ode_spiral_torchdiffeq.py INPUTS OUT ITERATIONS WAY`.

WAY is `default`, which differentiates through the steps of the solver, or `adjoint`. Network, loss, optimizer and
tolerances are those of the demonstration; weights and batches are given, and nothing is drawn.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchdiffeq import odeint, odeint_adjoint

PIECE = 10
EVERY = 20
NAMES = ("w1", "b1", "w2", "b2")


class Network(nn.Module):
    """f(t, z) = W2 tanh(W1 z^3 + b1) + b2, which counts its evaluations."""

    def __init__(self, given: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))
        self.calls = 0
        with torch.no_grad():
            for parameter, name in zip(self.net.parameters(), NAMES, strict=True):
                parameter.copy_(torch.tensor(given[name].T))

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return dz/dt, (n, 2)."""
        self.calls += 1
        return self.net(z**3)


def main(inputs: Path, out: Path, iterations: int, way: str) -> None:
    """Learn, write the weights after each 20 iterations, and print a line of JSON."""
    torch.set_num_threads(1)  # small tensors do not divide well
    with np.load(inputs) as file:
        given = dict(file)
    solve = odeint_adjoint if way == "adjoint" else odeint
    f = Network(given)
    optimizer = torch.optim.RMSprop(f.parameters(), lr=1e-3)
    t = torch.tensor(given["t"][:PIECE], dtype=torch.float32)
    truth = torch.tensor(given["z"])
    start, times, weights = time.perf_counter(), [], []
    for i, starts in enumerate(torch.tensor(given["batches"][:iterations]), 1):
        optimizer.zero_grad()
        pieces = truth[starts[None] + torch.arange(PIECE)[:, None]]  # (10, 20, 2)
        loss = torch.mean(torch.abs(solve(f, pieces[0], t) - pieces))
        loss.backward()
        optimizer.step()
        if i % EVERY == 0:
            weights.append([p.detach().numpy().T.copy() for p in f.net.parameters()])
            times.append(time.perf_counter() - start)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, **{name: np.stack(some) for name, some in zip(NAMES, zip(*weights, strict=True), strict=True)})
    record = {
        "iterations": iterations,
        "seconds": times[-1],
        "an_iteration": (times[-1] - times[0]) / (iterations - EVERY),
        "evaluations": f.calls / iterations,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
