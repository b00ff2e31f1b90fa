"""diffrax, the whole solve compiled by JAX.

XLA is slow at one of the gradients of a convolution on a processor, so that f has its own: the kernel's gradient as a
product of the neighbourhoods with the cotangent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from ode_harness import Contender, Setting, measure, parameters

GROUP = 2
"""Channels of a group: 64 in 32 groups."""
LAYOUT = ("NHWC", "HWIO", "NHWC")


def tiny(t: jax.Array, z: jax.Array, theta: dict[str, jax.Array]) -> jax.Array:
    """Return W2 tanh(W1 z + b1) + b2."""
    return jnp.tanh(z @ theta["w1"] + theta["b1"]) @ theta["w2"] + theta["b2"]


def convolutional(t: jax.Array, z: jax.Array, theta: dict[str, jax.Array]) -> jax.Array:
    """Return norm, ReLU, convolution, norm, ReLU, convolution, norm."""
    for i in (1, 2):
        z = jax.nn.relu(normalise(z, theta[f"scale{i}"], theta[f"offset{i}"]))
        kernel = theta[f"kernel{i}"]
        plane = plain_convolution(jnp.ones((1, *z.shape[1:3], 1)), kernel[:, :, :1])
        z = convolution(z, kernel[:, :, 1:]) + (t * plane + theta[f"bias{i}"])
    return normalise(z, theta["scale3"], theta["offset3"])


def normalise(z: jax.Array, scale: jax.Array, offset: jax.Array) -> jax.Array:
    """Normalise each group of channels of a sample; a product with blocks of ones adds up a group."""
    n, height, width, channels = z.shape
    size = GROUP * height * width
    blocks = np.kron(np.eye(channels // GROUP), np.ones((GROUP, GROUP))).astype(np.float32) / size
    flat = z.reshape(n, height * width, channels)
    centred = flat - (flat.sum(1) @ blocks)[:, None]
    factor = jax.lax.rsqrt(jnp.square(centred).sum(1) @ blocks + 1e-5) * scale
    return (centred * factor[:, None] + offset).reshape(z.shape)


def plain_convolution(z: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve."""
    return jax.lax.conv_general_dilated(z, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


@jax.custom_vjp
def convolution(z: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve, with gradients that are quick."""
    return plain_convolution(z, kernel)


def _forward(z: jax.Array, kernel: jax.Array) -> Any:
    return plain_convolution(z, kernel), (z, kernel)


def _backward(kept: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    z, kernel = kept
    of_z = plain_convolution(g, jnp.transpose(kernel[::-1, ::-1], (0, 1, 3, 2)))
    height, width, channels = z.shape[1:]
    padded = jnp.pad(z, ((0, 0), (1, 1), (1, 1), (0, 0)))
    around = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    flat = jnp.concatenate(around, axis=-1).reshape(-1, 9 * channels)
    return of_z, (flat.T @ g.reshape(-1, g.shape[-1])).reshape(kernel.shape)


convolution.defvjp(_forward, _backward)

FIELDS = {"tiny": tiny, "convolutional": convolutional}


def prepare(setting: Setting) -> Contender:
    """Return all functions; the norm of the backward solve leaves the parameters out, as the others' does."""
    field, problem = FIELDS[setting.name], setting.problem
    z0, g = jnp.asarray(setting.arrays["z0"]), jnp.asarray(setting.arrays["g"])
    theta = {name: jnp.asarray(array) for name, array in parameters(setting.arrays).items()}
    steps = diffrax.PIDController(problem.rtol, problem.atol)
    back = diffrax.PIDController(problem.rtol, problem.atol, norm=diffrax.adjoint_rms_seminorm)

    def solve(f: Callable[..., jax.Array], z0: jax.Array, theta: Any) -> jax.Array:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(f),
            diffrax.Dopri5(),
            t0=0.0,
            t1=problem.t1,
            dt0=None,
            y0=z0,
            args=theta,
            stepsize_controller=steps,
            adjoint=diffrax.BacksolveAdjoint(stepsize_controller=back),
            throw=False,
        )
        return solution.ys[-1]

    def differentiate(f: Callable[..., jax.Array], z0: jax.Array, theta: Any) -> Any:
        return jax.grad(lambda z0, theta: jnp.sum(g * solve(f, z0, theta)), argnums=(0, 1))(z0, theta)

    forward = jax.jit(lambda z0, theta: solve(field, z0, theta))
    both = jax.jit(lambda z0, theta: differentiate(field, z0, theta))

    def gradient() -> Any:
        of_z0, of_theta = jax.block_until_ready(both(z0, theta))
        return of_z0, [of_theta[name] for name in theta]

    def count(backward: bool) -> int:
        calls: list[int] = []

        def counted(t: jax.Array, z: jax.Array, theta: Any) -> jax.Array:
            jax.debug.callback(lambda: calls.append(1))
            return field(t, z, theta)

        way = differentiate if backward else solve
        jax.block_until_ready(jax.jit(lambda z0, theta: way(counted, z0, theta))(z0, theta))
        jax.effects_barrier()
        return len(calls)

    f, vjp = loops(field, g)
    return Contender(
        slope=lambda: field(problem.t1 / 2, z0, theta),
        f=lambda times: jax.block_until_ready(f(z0, theta, times)),
        vjp=lambda times: jax.block_until_ready(vjp(z0, theta, times)),
        forward=lambda: jax.block_until_ready(forward(z0, theta)),
        gradient=gradient,
        count=count,
    )


def loops(field: Callable[..., jax.Array], g: jax.Array) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the functions that evaluate f, and f with its product, so often in a row."""

    @jax.jit
    def f(z: jax.Array, theta: Any, times: int) -> jax.Array:
        return jax.lax.fori_loop(0, times, lambda i, z: field(i * 1e-3, z, theta), z)

    @jax.jit
    def vjp(z: jax.Array, theta: Any, times: int) -> Any:
        def body(i: jax.Array, found: Any) -> Any:
            dz, pull = jax.vjp(lambda z, theta: field(i * 1e-3, z, theta), found[0], theta)
            return dz, pull(g)

        return jax.lax.fori_loop(0, times, body, (z, jax.tree.map(jnp.zeros_like, (z, theta))))

    return f, vjp


if __name__ == "__main__":
    measure(prepare)
