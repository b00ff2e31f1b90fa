"""torchdiffeq, eager as its users have it; with --compiled f goes through torch.compile."""

from __future__ import annotations

from typing import Any

import torch
from ode_harness import THREADS, Arrays, Contender, Setting, measure, parameters
from torch import nn
from torchdiffeq import odeint, odeint_adjoint

GROUPS = 32


class Tiny(nn.Module):
    """f(t, z) = W2 tanh(W1 z + b1) + b2."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        self.w1, self.b1, self.w2, self.b2 = (as_parameter(arrays[name]) for name in ("w1", "b1", "w2", "b2"))

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return dz/dt, (n, 2)."""
        return torch.addmm(self.b2, torch.tanh(torch.addmm(self.b1, z, self.w1)), self.w2)

    def inputs(self) -> list[nn.Parameter]:
        """Return the parameters in the order of the inputs."""
        return [self.w1, self.b1, self.w2, self.b2]


class Convolutional(nn.Module):
    """Norm, ReLU, convolution, norm, ReLU, convolution, norm, with the time as channel 0 of the convolutions."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        for name, array in parameters(arrays).items():
            if "kernel" in name:
                array = array.transpose(3, 2, 0, 1)  # HWIO -> OIHW
            self.register_parameter(name, as_parameter(array))

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return dz/dt, (n, 64, 6, 6)."""
        z = self.convolve(t, torch.relu(self.normalise(z, 1)), 1)
        z = self.convolve(t, torch.relu(self.normalise(z, 2)), 2)
        return self.normalise(z, 3)

    def normalise(self, z: torch.Tensor, i: int) -> torch.Tensor:
        """Normalise groups of channels."""
        return nn.functional.group_norm(z, GROUPS, getattr(self, f"scale{i}"), getattr(self, f"offset{i}"))

    def convolve(self, t: torch.Tensor, z: torch.Tensor, i: int) -> torch.Tensor:
        """Convolve the time and z."""
        both = torch.cat([t.expand(z.shape[0], 1, *z.shape[2:]), z], dim=1)
        return nn.functional.conv2d(both, getattr(self, f"kernel{i}"), getattr(self, f"bias{i}"), padding=1)

    def inputs(self) -> list[nn.Parameter]:
        """Return the parameters in the order of the inputs."""
        return list(self.parameters())


class Counted(nn.Module):
    """f with a counter."""

    def __init__(self, f: nn.Module) -> None:
        super().__init__()
        self.f, self.calls = f, 0

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Count, and return dz/dt."""
        self.calls += 1
        return self.f(t, z)


def as_parameter(array: Any) -> nn.Parameter:
    """Return a parameter with its numbers in order."""
    return nn.Parameter(torch.tensor(array).contiguous())


def as_state(array: Any) -> torch.Tensor:
    """Return a state, NHWC -> NCHW where it is an image."""
    tensor = torch.tensor(array)
    return tensor.permute(0, 3, 1, 2).contiguous() if tensor.ndim == 4 else tensor


def as_input(tensor: torch.Tensor) -> Any:
    """Return a state or a gradient in the layout of the inputs."""
    if tensor.ndim == 4:
        tensor = tensor.permute(2, 3, 1, 0) if tensor.shape[-1] == 3 else tensor.permute(0, 2, 3, 1)
    return tensor.detach().numpy()


FIELDS = {"tiny": Tiny, "convolutional": Convolutional}


def prepare(setting: Setting) -> Contender:
    """Return all functions; the norm of the backward solve leaves the parameters out, as the others' does."""
    torch.set_num_threads(1 if setting.name == "tiny" else THREADS)  # small tensors do not divide well
    field, problem = FIELDS[setting.name](setting.arrays), setting.problem
    z0, g = as_state(setting.arrays["z0"]), as_state(setting.arrays["g"])
    t = torch.tensor([0.0, problem.t1])
    f = torch.compile(field) if setting.compiled else field
    theta = field.inputs()
    options = {"rtol": problem.rtol, "atol": problem.atol, "method": "dopri5"}

    @torch.no_grad()
    def forward(f: nn.Module = f) -> torch.Tensor:
        return odeint(f, z0, t, **options)[-1]

    def gradient(f: nn.Module = f) -> Any:
        z = z0.clone().requires_grad_(True)
        out = odeint_adjoint(f, z, t, **options, adjoint_options={"norm": "seminorm"}, adjoint_params=tuple(theta))
        of_z0, *of_theta = torch.autograd.grad((g * out[-1]).sum(), [z, *theta])
        return as_input(of_z0), [as_input(x) for x in of_theta]

    def count(backward: bool) -> int:
        counted = Counted(field)
        (gradient if backward else forward)(counted)
        return counted.calls

    @torch.no_grad()
    def evaluate(times: int) -> torch.Tensor:
        z = z0
        for i in range(times):
            z = f(t[0] + i * 1e-3, z)
        return z

    def vjp(times: int) -> Any:
        z = z0
        for i in range(times):
            z = z.detach().requires_grad_(True)
            with torch.enable_grad():
                dz = f(t[0] + i * 1e-3, z)
            products = torch.autograd.grad(dz, [z, *theta], g)
            z = dz
        return products

    return Contender(
        slope=lambda: as_input(f(t[1] / 2, z0)),
        f=evaluate,
        vjp=vjp,
        forward=lambda: as_input(forward()),
        gradient=gradient,
        count=count,
    )


if __name__ == "__main__":
    measure(prepare)
