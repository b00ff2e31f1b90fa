"""Function evaluations and errors of a solve with 2, 1,000 and 5,000 requested times.

Usage, in the environment of each tool: python benchmarks/runners/dense_output.py gradcam|torchdiffeq|diffrax|scipy

The problem is z'' = -z with z(0) = (1, 0), from 0 to 10, dopri5 in float64; its solution is (cos t, -sin t).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

T1, RTOL, ATOL = 10.0, 1e-6, 1e-8
NUM_TIMES = (2, 1_000, 5_000)
Solve = Callable[[np.ndarray], tuple[np.ndarray, int]]
"""From the times to the states (times, 2) and the number of evaluations."""


def gradcam() -> Solve:
    """Return the solve of gradcam."""
    import tensorflow as tf

    from gradcam_cli.neuralode import odeint

    rotation = tf.constant([[0.0, -1.0], [1.0, 0.0]], tf.float64)

    def solve(t: np.ndarray) -> tuple[np.ndarray, int]:
        solution = odeint(lambda t, z: z @ rotation, tf.constant([[1.0, 0.0]], tf.float64), t, rtol=RTOL, atol=ATOL)
        return solution.z.numpy()[:, 0], int(solution.nfe)

    return solve


def torchdiffeq() -> Solve:
    """Return the solve of torchdiffeq."""
    import torch
    from torchdiffeq import odeint

    rotation = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)

    def solve(t: np.ndarray) -> tuple[np.ndarray, int]:
        calls: list[int] = []

        def f(t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            return z @ rotation

        z0 = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
        z = odeint(f, z0, torch.tensor(t), rtol=RTOL, atol=ATOL, method="dopri5")
        return z.numpy()[:, 0], len(calls)

    return solve


def diffrax() -> Solve:
    """Return the solve of diffrax: six evaluations a step, the last of which is the first of the next step."""
    import diffrax as dfx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    rotation = jnp.array([[0.0, -1.0], [1.0, 0.0]])

    def solve(t: np.ndarray) -> tuple[np.ndarray, int]:
        term, saveat = dfx.ODETerm(lambda t, z, args: z @ rotation), dfx.SaveAt(ts=jnp.asarray(t))
        controller = dfx.PIDController(RTOL, ATOL)
        options = {"t0": 0.0, "t1": T1, "dt0": None, "saveat": saveat, "stepsize_controller": controller}
        solution = dfx.diffeqsolve(term, dfx.Dopri5(), y0=jnp.array([1.0, 0.0]), **options)
        return np.asarray(solution.ys), 6 * int(solution.stats["num_steps"]) + 2

    return solve


def scipy() -> Solve:
    """Return the solve of scipy."""
    from scipy.integrate import solve_ivp

    def solve(t: np.ndarray) -> tuple[np.ndarray, int]:
        found = solve_ivp(lambda t, z: (z[1], -z[0]), (0, T1), (1.0, 0.0), t_eval=t, rtol=RTOL, atol=ATOL)
        return found.y.T, found.nfev

    return solve


def main(tool: str) -> None:
    """Print a line for each number of times."""
    solve = {"gradcam": gradcam, "torchdiffeq": torchdiffeq, "diffrax": diffrax, "scipy": scipy}[tool]()
    for count in NUM_TIMES:
        t = np.linspace(0, T1, count)
        z, nfe = solve(t)
        error = np.abs(z - np.stack([np.cos(t), -np.sin(t)], axis=1)).max()
        print(f"{tool}: {count:,} times, {nfe} evaluations, largest error {error:.2g}")


if __name__ == "__main__":
    main(sys.argv[1])
