"""gradcam's `odeint` in a `tf.function` compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from ode_harness import ATOL, RTOL, T1, Arrays, Solver, measure_solver, subset

from gradcam_cli.neuralode import odeint


def prepare(arrays: Arrays, rtol: float = RTOL, atol: float = ATOL) -> Solver:
    """Return the functions, traced and compiled by their first call."""
    theta = {path: tf.Variable(array) for path, array in subset(arrays, "theta/").items()}
    w1, b1, w2, b2 = (theta[path] for path in ("w1", "b1", "w2", "b2"))
    z0, g = tf.constant(arrays["z0"]), tf.constant(arrays["g"])

    def f(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        return tf.matmul(tf.tanh(tf.matmul(z, w1) + b1), w2) + b2

    def solve(f: Callable[..., tf.Tensor]) -> tf.Tensor:
        return odeint(f, z0, (0.0, T1), rtol=rtol, atol=atol).z[-1]

    def differentiate(f: Callable[..., tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(g * solve(f))
        return tape.gradient(loss, list(theta.values()))

    def nfe(backward: bool) -> int:
        calls: list[int] = []

        def counted(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
            tf.numpy_function(lambda: calls.append(1), [], [])
            return f(t, z)

        tf.function(lambda: (differentiate if backward else solve)(counted), autograph=False)()
        return len(calls)

    forward = tf.function(lambda: solve(f), autograph=False, jit_compile=True)
    gradient = tf.function(lambda: differentiate(f), autograph=False, jit_compile=True)
    return Solver(
        forward=lambda: forward().numpy(),
        gradient=lambda: {path: x.numpy() for path, x in zip(theta, gradient(), strict=True)},
        nfe=nfe,
    )


if __name__ == "__main__":
    measure_solver(prepare)
