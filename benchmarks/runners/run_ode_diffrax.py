"""diffrax, with the whole solve compiled by JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from ode_harness import ATOL, RTOL, T1, Arrays, Solver, measure_solver, subset


def f(t: jax.Array, z: jax.Array, theta: dict[str, jax.Array]) -> jax.Array:
    """Return W2 tanh(W1 z + b1) + b2."""
    return jnp.tanh(z @ theta["w1"] + theta["b1"]) @ theta["w2"] + theta["b2"]


def prepare(arrays: Arrays) -> Solver:
    """Return the functions; the norm of the backward solve excludes the parameters, as for the other tools."""
    z0, g = jnp.asarray(arrays["z0"]), jnp.asarray(arrays["g"])
    theta = {path: jnp.asarray(array) for path, array in subset(arrays, "theta/").items()}
    controller = diffrax.PIDController(RTOL, ATOL)
    backward = diffrax.PIDController(RTOL, ATOL, norm=diffrax.adjoint_rms_seminorm)
    options = {"stepsize_controller": controller, "adjoint": diffrax.BacksolveAdjoint(stepsize_controller=backward)}
    times = {"t0": 0.0, "t1": T1, "dt0": None}

    def solve(f: Callable[..., jax.Array], theta: Any) -> jax.Array:
        term, solver = diffrax.ODETerm(f), diffrax.Dopri5()
        return diffrax.diffeqsolve(term, solver, y0=z0, args=theta, throw=False, **times, **options).ys[-1]

    def differentiate(f: Callable[..., jax.Array], theta: Any) -> Any:
        return jax.grad(lambda theta: jnp.sum(g * solve(f, theta)))(theta)

    def nfe(backward: bool) -> int:
        calls: list[int] = []

        def counted(t: jax.Array, z: jax.Array, theta: Any) -> jax.Array:
            jax.debug.callback(lambda: calls.append(1))
            return f(t, z, theta)

        run = differentiate if backward else solve
        jax.block_until_ready(jax.jit(lambda theta: run(counted, theta))(theta))
        jax.effects_barrier()
        return len(calls)

    forward = jax.jit(lambda theta: solve(f, theta))
    gradient = jax.jit(lambda theta: differentiate(f, theta))
    return Solver(lambda: jax.block_until_ready(forward(theta)), lambda: jax.block_until_ready(gradient(theta)), nfe)


if __name__ == "__main__":
    measure_solver(prepare)
