"""One step of a Runge-Kutta method, on systems whose state is a list of tensors.

A system is y' = k(t, y), and beside it quadratures q' = v(t, y), which do not feed back: they need no stages of their
own. Only in these the adjoint's theta differs from its z and a.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.batching import Batch
from gradcam_cli.neuralode.solver.tableaus import Tableau
from gradcam_cli.neuralode.solver.typing import Tensors

B, E = -2, -1
"""Rows of the coefficients, below those of a."""


class System(Protocol):
    """What is integrated."""

    def slope(self, t: tf.Tensor, y: Tensors, dense: bool) -> tuple[Tensors, Tensors]:
        """Return k and, if dense, v (otherwise an empty list); t as the batch's clocks show it."""

    def density(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return v summed over the samples, each with its weight (n,)."""


class Step(NamedTuple):
    """What a step found.

    Attributes:
        y: the state at its end.
        dq: what the quadratures gain; empty where each sample has a clock (`gain` adds it up afterwards).
        last: k and v of the last stage; of use where the method is FSAL.
        error: the error estimate of y, and that of q where it is asked for.
        stages: (t, y) of each stage.
    """

    y: Tensors
    dq: Tensors
    last: tuple[Tensors, Tensors]
    error: tuple[Tensors, Tensors]
    stages: list[tuple[tf.Tensor, Tensors]]


def step(
    system: System,
    tableau: Tableau,
    batch: Batch,
    span: tuple[tf.Tensor, tf.Tensor],
    y: Tensors,
    first: tuple[Tensors, Tensors] | None = None,
    q_estimated: bool = False,
) -> Step:
    """Step from t to t'.

    Args:
        system: what is integrated.
        tableau: how.
        batch: whose clocks t and t' are on.
        span: t and t', float64.
        y: the state at t.
        first: k and v there, if known.
        q_estimated: whether the error of the quadratures is estimated, too.
    """
    t, t1 = span
    dt = t1 - t
    coefficients = _Coefficients(tableau, batch, dt)
    b, e = tableau.b, tableau.e
    dense = (b != 0) | (q_estimated & (e != 0))
    dense[-1] |= tableau.fsal  # it is the next step's first stage
    k: list[Tensors] = []
    v: list[Tensors] = []
    stages = [(t, y)]
    for i in range(tableau.stages):
        if i > 0:
            stages.append((_time(t, t1, dt, tableau.c[i]), coefficients.total(i, k, y)))
        at, state = stages[i]
        k_i, v_i = first if i == 0 and first else system.slope(at, state, bool(dense[i]))
        k.append(k_i)
        v.append(v_i)
    y1 = stages[-1][1] if tableau.fsal else coefficients.total(B, k, y)
    error = coefficients.total(E, k) if tableau.adaptive else []
    dq, dq_error = coefficients.total(B, v), coefficients.total(E, v) if q_estimated else []
    return Step(y1, dq, (k[-1], v[-1]), (error, dq_error), stages)


def gain(system: System, tableau: Tableau, taken: Step, dt: tf.Tensor) -> Tensors:
    """Return what the quadratures gain where each sample has a clock: its dt (n,), 0 for a step not taken."""
    parts = [
        system.density(at, state, dt * b) for b, (at, state) in zip(tableau.b, taken.stages, strict=True) if b != 0
    ]
    return [tf.add_n(list(of_one)) for of_one in zip(*parts, strict=True)]


def _time(t: tf.Tensor, t1: tf.Tensor, dt: tf.Tensor, c: float) -> tf.Tensor:
    return t1 if c == 1 else t + c * dt


class _Coefficients:
    """dt times all that a tableau holds, made once a step for each kind of tensor."""

    def __init__(self, tableau: Tableau, batch: Batch, dt: tf.Tensor) -> None:
        self.batch, self.dt = batch, dt
        self.rows = np.vstack([tableau.a, tableau.b, tableau.e])
        self.made: dict[tuple[tf.DType, int], dict[tuple[int, int], tf.Tensor]] = {}

    def of(self, row: int, z: tf.Tensor) -> list[tuple[int, tf.Tensor]]:
        """Return which stages a row uses, each with its coefficient in a form that multiplies z."""
        kind = (z.dtype, z.shape.rank)
        if kind not in self.made:
            places = [(int(i), int(j)) for i, j in np.argwhere(self.rows)]
            numbers = self.batch.coefficients(self.rows[self.rows != 0], self.dt, z)
            self.made[kind] = dict(zip(places, numbers, strict=True))
        return [(j, x) for (i, j), x in self.made[kind].items() if i == row % len(self.rows)]

    def total(self, row: int, slopes: Sequence[Tensors], y: Tensors | None = None) -> Tensors:
        """Return y + dt sum_j w_j slopes_j for the weights w of a row; without y, the sum alone."""
        sums = []
        used = np.flatnonzero(self.rows[row])
        for n in range(len(slopes[used[0]])) if len(used) else ():
            terms = [h * slopes[j][n] for j, h in self.of(row, slopes[used[0]][n])]
            sums.append(tf.add_n([y[n], *terms] if y else terms))
        return sums
