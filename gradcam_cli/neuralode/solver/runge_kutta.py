"""A step of a Runge-Kutta method, for systems whose state is a list of tensors.

A system is y' = k(t, y) with quadratures q' = v(t, y). k does not depend on q, so q needs no stages. In the adjoint
system, y holds z and a_z, and q holds a_theta and a_t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.batching import StepMode
from gradcam_cli.neuralode.solver.butcher_tableau import Tableau
from gradcam_cli.neuralode.solver.typing import Tensors

B_ROW, ERROR_ROW = -2, -1
"""Rows of b and of the error weights, after the rows of a."""


class OdeSystem(Protocol):
    """A system to integrate."""

    @property
    def has_quadratures(self) -> bool:
        """Whether `rhs` returns v if it is needed."""

    def rhs(self, t: tf.Tensor, y: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors]:
        """Return k, and v if needed, otherwise an empty list; t has the shape of the step mode."""

    def quadrature_rhs(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return the sum of v over the samples, weighted by (n,)."""

    def between(self, t: tf.Tensor, t1: tf.Tensor) -> OdeSystem:
        """Return the system that evaluates f only strictly between two times, where f jumps."""


class RKStep(NamedTuple):
    """The result of a step.

    Attributes:
        y: the state at its end.
        dq: the increment of the quadratures; with per-sample steps empty (see `quadrature_increment`).
        last_slope: k and v of the last stage, the first slope of the next step of an FSAL method.
        error: the error estimates of y, and of q if requested.
        stages: t and y of each stage; the first is the start of the step.
        slopes: k of each stage.
        t1: the time at its end.
        nfe: number of function evaluations.
        njev: number of Jacobian evaluations.
        newton: for an implicit method a `NewtonState`, otherwise ().
        converged: for an implicit method, bool per step mode, whether Newton's method converged; otherwise true.
    """

    y: Tensors
    dq: Tensors
    last_slope: tuple[Tensors, Tensors]
    error: tuple[Tensors, Tensors]
    stages: list[tuple[tf.Tensor, Tensors]]
    slopes: list[Tensors]
    t1: tf.Tensor
    nfe: Any
    njev: Any = 0
    newton: Any = ()
    converged: Any = True


def runge_kutta_step(
    system: OdeSystem,
    tableau: Tableau,
    step_mode: StepMode,
    span: tuple[tf.Tensor, tf.Tensor],
    y: Tensors,
    first_slope: tuple[Tensors, Tensors] | None = None,
    estimate_quadrature_error: bool = False,
) -> RKStep:
    """Take a step of an explicit method from t to t'.

    The equations are in `tableaus`.

    Args:
        system: the system to integrate.
        tableau: the Runge-Kutta method.
        step_mode: the step mode.
        span: t and t', float64, in the shape of the step mode.
        y: the state at t.
        first_slope: k and v at t, if already computed.
        estimate_quadrature_error: whether to estimate the error of the quadratures.
    """
    t, t1 = span
    dt = t1 - t
    coefficients = ScaledTableau(tableau, step_mode, dt)
    need_quadrature = quadrature_stages(tableau, estimate_quadrature_error)
    k: list[Tensors] = []
    v: list[Tensors] = []
    stages = [(t, y)]
    for i in range(tableau.stages):
        if i > 0:
            stages.append((stage_time(t, t1, tableau.c[i]), coefficients.weighted_sum(i, k, y)))
        t_i, y_i = stages[i]
        k_i, v_i = first_slope if i == 0 and first_slope else system.rhs(t_i, y_i, bool(need_quadrature[i]))
        k.append(k_i)
        v.append(v_i)
    y1 = stages[-1][1] if tableau.fsal else coefficients.weighted_sum(B_ROW, k, y)
    error = coefficients.weighted_sum(ERROR_ROW, k) if tableau.adaptive else []
    dq = coefficients.weighted_sum(B_ROW, v)
    dq_error = coefficients.weighted_sum(ERROR_ROW, v) if estimate_quadrature_error else []
    nfe = tableau.stages - (1 if first_slope else 0)
    return RKStep(y1, dq, (k[-1], v[-1]), (error, dq_error), stages, k, t1, nfe)


def quadrature_stages(tableau: Tableau, estimate_error: bool) -> np.ndarray:
    """Return which stages need v, bool (s,)."""
    need_quadrature: np.ndarray = (tableau.b != 0) | (estimate_error & (tableau.error_weights != 0))
    need_quadrature[-1] |= tableau.fsal  # the first stage of the next step
    return need_quadrature


def quadrature_increment(system: OdeSystem, tableau: Tableau, rk_step: RKStep, dt: tf.Tensor) -> Tensors:
    """Return the increment of the quadratures with per-sample steps dt (n,); dt is 0 for a rejected step."""
    parts = [
        system.quadrature_rhs(t_i, y_i, dt * b)
        for b, (t_i, y_i) in zip(tableau.b, rk_step.stages, strict=True)
        if b != 0
    ]
    return [tf.add_n(list(terms)) for terms in zip(*parts, strict=True)]


def stage_time(t: tf.Tensor, t1: tf.Tensor, c: float) -> tf.Tensor:
    """Return the time of a stage in the step from t to t1."""
    return t1 if c == 1 else t + c * (t1 - t)


class ScaledTableau:
    """The coefficients of a tableau times dt, computed once per step for each dtype and rank."""

    def __init__(self, tableau: Tableau, step_mode: StepMode, dt: tf.Tensor) -> None:
        self.step_mode, self.dt = step_mode, dt
        self.rows = np.vstack([tableau.a, tableau.b, tableau.error_weights])
        self.cache: dict[tuple[tf.DType, int], dict[tuple[int, int], tf.Tensor]] = {}

    def row_entries(self, row: int, z: tf.Tensor) -> list[tuple[int, tf.Tensor]]:
        """Return the stages that a row uses, each with its coefficient in a shape that broadcasts with z."""
        kind = (z.dtype, z.shape.rank)
        if kind not in self.cache:
            indices = [(int(i), int(j)) for i, j in np.argwhere(self.rows)]
            coefficients = self.step_mode.coefficients(self.rows[self.rows != 0], self.dt, z)
            self.cache[kind] = dict(zip(indices, coefficients, strict=True))
        return [(j, x) for (i, j), x in self.cache[kind].items() if i == row % len(self.rows)]

    def weighted_sum(self, row: int, slopes: Sequence[Tensors], y: Tensors | None = None) -> Tensors:
        """Return y + dt sum_j w_j slopes_j for the weights w of a row; without y, only the sum."""
        sums = []
        used = np.flatnonzero(self.rows[row])
        for n in range(len(slopes[used[0]])) if len(used) else ():
            terms = [h * slopes[j][n] for j, h in self.row_entries(row, slopes[used[0]][n])]
            sums.append(tf.add_n([y[n], *terms] if y else terms))
        return sums
