"""One step of a Runge-Kutta method, on systems whose state is a list of tensors.

A system is y' = k(t, y), and beside it quadratures q' = v(t, y), which do not feed back: they need no stages of their
own. Only in these the adjoint's theta differs from its z and a.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.batching import StepMode
from gradcam_cli.neuralode.solver.tableaus import Tableau
from gradcam_cli.neuralode.solver.typing import Tensors

B_ROW, ERROR_ROW = -2, -1
"""Rows of the coefficients, below those of a."""


class OdeSystem(Protocol):
    """What is integrated."""

    def rhs(self, t: tf.Tensor, y: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors]:
        """Return k and, if dense, v (otherwise an empty list); t as the batch's clocks show it."""

    def quadrature_rhs(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return v summed over the samples, each with its weight (n,)."""


class RKStep(NamedTuple):
    """What a step found.

    Attributes:
        y: the state at its end.
        dq: what the quadratures gain; empty where each sample has a clock (`quadrature_increment` adds it up afterwards).
        last_slope: k and v of the last stage; of use where the method is FSAL.
        error: the error estimate of y, and that of q where it is asked for.
        stages: (t, y) of each stage.
    """

    y: Tensors
    dq: Tensors
    last_slope: tuple[Tensors, Tensors]
    error: tuple[Tensors, Tensors]
    stages: list[tuple[tf.Tensor, Tensors]]


def runge_kutta_step(
    system: OdeSystem,
    tableau: Tableau,
    step_mode: StepMode,
    span: tuple[tf.Tensor, tf.Tensor],
    y: Tensors,
    first_slope: tuple[Tensors, Tensors] | None = None,
    estimate_quadrature_error: bool = False,
) -> RKStep:
    """Step from t to t'.

    Args:
        system: what is integrated.
        tableau: how.
        step_mode: whose clocks t and t' are on.
        span: t and t', float64.
        y: the state at t.
        first_slope: k and v there, if known.
        estimate_quadrature_error: whether the error of the quadratures is estimated, too.
    """
    t, t1 = span
    dt = t1 - t
    coefficients = _ScaledTableau(tableau, step_mode, dt)
    b, e = tableau.b, tableau.error_weights
    dense = (b != 0) | (estimate_quadrature_error & (e != 0))
    dense[-1] |= tableau.fsal  # it is the next step's first stage
    k: list[Tensors] = []
    v: list[Tensors] = []
    stages = [(t, y)]
    for i in range(tableau.stages):
        if i > 0:
            stages.append((_stage_time(t, t1, dt, tableau.c[i]), coefficients.weighted_sum(i, k, y)))
        at, state = stages[i]
        k_i, v_i = first_slope if i == 0 and first_slope else system.rhs(at, state, bool(dense[i]))
        k.append(k_i)
        v.append(v_i)
    y1 = stages[-1][1] if tableau.fsal else coefficients.weighted_sum(B_ROW, k, y)
    error = coefficients.weighted_sum(ERROR_ROW, k) if tableau.adaptive else []
    dq, dq_error = (
        coefficients.weighted_sum(B_ROW, v),
        coefficients.weighted_sum(ERROR_ROW, v) if estimate_quadrature_error else [],
    )
    return RKStep(y1, dq, (k[-1], v[-1]), (error, dq_error), stages)


def quadrature_increment(system: OdeSystem, tableau: Tableau, rk_step: RKStep, dt: tf.Tensor) -> Tensors:
    """Return what the quadratures gain where each sample has a clock: its dt (n,), 0 for a step not taken."""
    parts = [
        system.quadrature_rhs(at, state, dt * b)
        for b, (at, state) in zip(tableau.b, rk_step.stages, strict=True)
        if b != 0
    ]
    return [tf.add_n(list(of_one)) for of_one in zip(*parts, strict=True)]


def _stage_time(t: tf.Tensor, t1: tf.Tensor, dt: tf.Tensor, c: float) -> tf.Tensor:
    return t1 if c == 1 else t + c * dt


class _ScaledTableau:
    """dt times all that a tableau holds, made once a step for each kind of tensor."""

    def __init__(self, tableau: Tableau, step_mode: StepMode, dt: tf.Tensor) -> None:
        self.step_mode, self.dt = step_mode, dt
        self.rows = np.vstack([tableau.a, tableau.b, tableau.error_weights])
        self.cache: dict[tuple[tf.DType, int], dict[tuple[int, int], tf.Tensor]] = {}

    def row_entries(self, row: int, z: tf.Tensor) -> list[tuple[int, tf.Tensor]]:
        """Return which stages a row uses, each with its coefficient in a form that multiplies z."""
        kind = (z.dtype, z.shape.rank)
        if kind not in self.cache:
            places = [(int(i), int(j)) for i, j in np.argwhere(self.rows)]
            numbers = self.step_mode.coefficients(self.rows[self.rows != 0], self.dt, z)
            self.cache[kind] = dict(zip(places, numbers, strict=True))
        return [(j, x) for (i, j), x in self.cache[kind].items() if i == row % len(self.rows)]

    def weighted_sum(self, row: int, slopes: Sequence[Tensors], y: Tensors | None = None) -> Tensors:
        """Return y + dt sum_j w_j slopes_j for the weights w of a row; without y, the sum alone."""
        sums = []
        used = np.flatnonzero(self.rows[row])
        for n in range(len(slopes[used[0]])) if len(used) else ():
            terms = [h * slopes[j][n] for j, h in self.row_entries(row, slopes[used[0]][n])]
            sums.append(tf.add_n([y[n], *terms] if y else terms))
        return sums
