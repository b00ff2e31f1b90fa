"""The solution inside a step, by the continuous extension of the Runge-Kutta method.

z(t + x h) = z + h sum_i b_i(x) k_i
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.runge_kutta import RKStep
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


class InnerPoint(NamedTuple):
    """A time t inside a step from t_0 to t_1. All fields have the shape of the step mode, or one more axis of size s.

    Attributes:
        x: float64, (t - t_0) / h with h = t_1 - t_0; 0 for a step of size 0.
        at_end: bool, whether t = t_1, where the state is that of the step.
        weights: float64 (..., s), h b_i(x).
        rates: float64 (..., s), b_i'(x), the derivatives of the weights with respect to t.
    """

    x: tf.Tensor
    at_end: tf.Tensor
    weights: tf.Tensor
    rates: tf.Tensor


def locate(options: SolverOptions, span: tuple[tf.Tensor, tf.Tensor], t: tf.Tensor) -> InnerPoint:
    """Return the place of the time t in the step of a span t_0, t_1."""
    start, end = span
    h = end - start
    x = tf.where(h == 0, tf.zeros_like(h), (t - start) / tf.where(h == 0, tf.ones_like(h), h))
    extension = tf.constant(options.tableau.extension)
    degrees = tf.range(1, extension.shape[0] + 1, dtype=tf.float64)
    powers = x[..., tf.newaxis] ** tf.concat([[0.0], degrees], axis=0)  # 1, x, x^2, ...
    weights = h[..., tf.newaxis] * tf.linalg.matvec(extension, powers[..., 1:], transpose_a=True)
    rates = tf.linalg.matvec(extension, powers[..., :-1] * degrees, transpose_a=True)
    return InnerPoint(x, t == end, weights, rates)


def interpolate(options: SolverOptions, step: RKStep, t: tf.Tensor) -> Tensors:
    """Return the state at a time inside a step; at its end, exactly that of the step."""
    (start, y0), slopes = step.stages[0], step.slopes
    point = locate(options, (start, step.t1), t)
    increments = combine(options, point.weights, slopes)
    inside = [y + dy for y, dy in zip(y0, increments, strict=True)]
    state: Tensors = options.step_mode.select(point.at_end, step.y, inside)
    return state


def combine(options: SolverOptions, weights: tf.Tensor, slopes: list[Tensors]) -> Tensors:
    """Return sum_i w_i k_i for the weights (..., s)."""
    parts = tf.unstack(weights, num=len(slopes), axis=-1)
    return [
        tf.add_n([options.step_mode.broadcast(w, k) * k for w, k in zip(parts, stage, strict=True)])
        for stage in zip(*slopes, strict=True)
    ]


def step_polynomials(options: SolverOptions, step: RKStep) -> Tensors:
    """Return the coefficients of 1, x, x^2, ... of the state in a step, each (degree + 1, ...)."""
    start, y0 = step.stages[0]
    h = (step.t1 - start)[..., tf.newaxis]
    rows = [combine(options, h * row, step.slopes) for row in options.tableau.extension]
    return [tf.stack(coefficients) for coefficients in zip(y0, *rows, strict=True)]
