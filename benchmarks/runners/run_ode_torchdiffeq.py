"""torchdiffeq's `odeint` and `odeint_adjoint`, eager as its users run them."""

from __future__ import annotations

import numpy as np
import torch
from ode_harness import ATOL, RTOL, T1, Arrays, Solver, measure_solver, subset
from torch import nn
from torchdiffeq import odeint, odeint_adjoint


class Dynamics(nn.Module):
    """f(t, z) = W2 tanh(W1 z + b1) + b2, with a counter of its evaluations."""

    def __init__(self, theta: Arrays) -> None:
        super().__init__()
        self.nfe = 0
        for name, array in theta.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(array)))

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return dz/dt, (n, 2)."""
        self.nfe += 1
        return torch.addmm(self.b2, torch.tanh(torch.addmm(self.b1, z, self.w1)), self.w2)


def prepare(arrays: Arrays) -> Solver:
    """Return the functions; the norm of the backward solve excludes the parameters, as for the other tools."""
    torch.set_num_threads(1)  # more threads slow tensors of this size down
    f = Dynamics(subset(arrays, "theta/"))
    z0, g, t = torch.tensor(arrays["z0"]), torch.tensor(arrays["g"]), torch.tensor([0.0, T1])
    options = {"rtol": RTOL, "atol": ATOL, "method": "dopri5"}
    theta = dict(f.named_parameters())
    adjoint = {"adjoint_options": {"norm": "seminorm"}, "adjoint_params": tuple(theta.values())}

    @torch.no_grad()
    def forward() -> np.ndarray:
        return odeint(f, z0, t, **options)[-1].numpy()

    def gradient() -> Arrays:
        z1 = odeint_adjoint(f, z0, t, **options, **adjoint)[-1]
        gradients = torch.autograd.grad((g * z1).sum(), tuple(theta.values()))
        return {path: x.numpy() for path, x in zip(theta, gradients, strict=True)}

    def nfe(backward: bool) -> int:
        f.nfe = 0
        (gradient if backward else forward)()
        return f.nfe

    return Solver(forward, gradient, nfe)


if __name__ == "__main__":
    measure_solver(prepare)
