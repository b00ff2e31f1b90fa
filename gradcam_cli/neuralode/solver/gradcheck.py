"""Gradient check: discrete and adjoint gradients against finite differences, at several tolerances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.traced_solver import GRADIENTS

TOLERANCES = (1e-3, 1e-6, 1e-9)
"""Default relative and absolute tolerances."""
TIMES = (0.0, 0.4, 1.0)
"""Default requested times."""
REFERENCE_OPTIONS: dict[str, Any] = {"solver": "dopri8", "rtol": 1e-12, "atol": 1e-13}
"""Options of the solves for the finite differences."""
FINITE_DIFFERENCE_STEP = 1e-4
"""Step of the central differences; their relative error is about its square."""


class GradcheckRow(NamedTuple):
    """Errors of a gradient method at a tolerance, relative to finite differences in the same random directions.

    Attributes:
        gradient: `discrete` or `adjoint`.
        rtol: relative and absolute tolerance.
        z0: error of the derivative with respect to z0.
        theta: error of the derivative with respect to the parameters; None for an f without parameters.
        times: error of the derivative with respect to the times.
        nfe_forward: number of function evaluations of the forward solve.
        nfe_backward: number of function evaluations of the backward solve.
    """

    gradient: str
    rtol: float
    z0: float
    theta: float | None
    times: float
    nfe_forward: int
    nfe_backward: int


class Problem(NamedTuple):
    """An f to check, with its parameters and initial state."""

    f: Callable[..., Any]
    theta: list[Any]
    z0: tf.Tensor


def linear() -> Problem:
    """Return z' = a z."""
    a = tf.Variable(0.7, dtype=tf.float64)
    return Problem(lambda t, z: a * z, [a], tf.constant([1.0, -0.5], tf.float64))


def logistic() -> Problem:
    """Return z' = r z (1 - z/K)."""
    r, K = tf.Variable(2.0, dtype=tf.float64), tf.Variable(3.0, dtype=tf.float64)
    return Problem(lambda t, z: r * z * (1 - z / K), [r, K], tf.constant([0.4, 1.0], tf.float64))


def spiral() -> Problem:
    """Return z' = z^3 A."""
    A = tf.Variable([[-0.1, 2.0], [-2.0, -0.1]], dtype=tf.float64)
    return Problem(lambda t, z: tf.matmul(z**3, A), [A], tf.constant([[1.5, 0.3]], tf.float64))


def network() -> Problem:
    """Return a convolutional f that depends on time, z' = conv(tanh(conv(z) + t b))."""
    keras.utils.set_random_seed(0)
    inner, outer = (keras.layers.Conv2D(4, 3, padding="same", dtype="float64") for _ in range(2))
    z0 = tf.constant(np.random.default_rng(0).normal(size=(2, 6, 6, 4)))
    outer(inner(z0))
    b = tf.Variable(np.linspace(-1, 1, 4))
    theta = [b, *inner.trainable_variables, *outer.trainable_variables]
    return Problem(lambda t, z: outer(tf.tanh(inner(z) + t * b)), theta, z0)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "linear": linear,
    "logistic": logistic,
    "spiral": spiral,
    "network": network,
}
"""Built-in problems by name."""


def gradcheck(
    f: Callable[..., Any],
    theta: Sequence[Any],
    z0: tf.Tensor,
    t: Sequence[float] = TIMES,
    solver: str = "dopri5",
    tolerances: Sequence[float] = TOLERANCES,
    seed: int = 0,
) -> list[GradcheckRow]:
    """Compare the gradients of a weighted sum of cosines of all states with finite differences.

    Args:
        f: right-hand side, as in `odeint`, in float64.
        theta: the parameters of f: variables; a layer must be built.
        z0: the state at t[0], float64.
        t: the requested times.
        solver: solver of the forward and backward solves.
        tolerances: relative and absolute tolerances.
        seed: seed of the random directions.

    Returns:
        A row for each of `GRADIENTS` and each tolerance.

    Raises:
        SolverError: a solve failed.
    """
    inputs = [z0, tf.constant(t, tf.float64), *theta]
    rng = np.random.default_rng(seed)
    directions = [tf.constant(rng.normal(size=x.shape), tf.float64) for x in inputs]
    expected = [_finite_difference(f, inputs, directions, part) for part in _input_groups(theta)]
    rows = []
    for gradient in GRADIENTS[::-1]:
        for rtol in tolerances:
            counts: list[tf.Tensor] = []
            options = {"solver": solver, "rtol": rtol, "atol": rtol, "gradient": gradient}
            gradients, nfe = _gradients(f, inputs, {**options, "backward_callback": counts.append})
            errors = [
                abs(sum(_dot(gradients[i], directions[i]) for i in part) / reference - 1)
                for part, reference in zip(_input_groups(theta), expected, strict=True)
            ]
            theta_error = errors[2] if theta else None
            rows.append(GradcheckRow(gradient, rtol, errors[0], theta_error, errors[1], nfe, int(counts[0])))
    return rows


def _input_groups(theta: Sequence[Any]) -> list[list[int]]:
    """Return the indices in `inputs` of z0, of the times, and of the parameters, if any."""
    return [[0], [1], *([list(range(2, 2 + len(theta)))] if theta else [])]


def _loss(z: tf.Tensor) -> tf.Tensor:
    """Return a scalar that depends differently on the state at each time."""
    weights = np.arange(1, z.shape[0] + 1).reshape([-1] + [1] * (len(z.shape) - 1))
    return tf.reduce_sum(weights * tf.cos(z + 0.3))


def _finite_difference(
    f: Callable[..., Any], inputs: list[Any], directions: list[tf.Tensor], group: list[int]
) -> float:
    """Return the directional derivative of the loss along a group of inputs, by central differences."""
    theta, losses = inputs[2:], []
    original = [tf.identity(x) for x in theta]
    try:
        for h in (FINITE_DIFFERENCE_STEP, -FINITE_DIFFERENCE_STEP):
            moved = [x + h * d if i in group else x for i, (x, d) in enumerate(zip(inputs, directions, strict=True))]
            for variable, value in zip(theta, moved[2:], strict=True):
                variable.assign(value)
            losses.append(float(_loss(odeint(f, moved[0], moved[1], **REFERENCE_OPTIONS).z)))
            for variable, value in zip(theta, original, strict=True):
                variable.assign(value)
    finally:
        for variable, value in zip(theta, original, strict=True):
            variable.assign(value)
    return (losses[0] - losses[1]) / (2 * FINITE_DIFFERENCE_STEP)


def _gradients(f: Callable[..., Any], inputs: list[Any], options: dict[str, Any]) -> tuple[list[tf.Tensor], int]:
    z0, t, *theta = inputs
    with tf.GradientTape() as tape:
        tape.watch([z0, t])
        solution = odeint(f, z0, t, **options)
        loss = _loss(solution.z)
    sources = [z0, t, *(getattr(x, "value", x) if isinstance(x, keras.Variable) else x for x in theta)]
    return tape.gradient(loss, sources, unconnected_gradients="zero"), int(solution.nfe)


def _dot(x: tf.Tensor, y: tf.Tensor) -> float:
    return float(tf.reduce_sum(tf.convert_to_tensor(x) * y))
