"""`SolverState`: the loop variables of a solve, and how a solve starts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.newton import init_newton
from gradcam_cli.neuralode.solver.runge_kutta import OdeSystem
from gradcam_cli.neuralode.solver.step_size import SolverOptions, initial_step_size, trial_step_size
from gradcam_cli.neuralode.solver.typing import Tensors

UNBOUNDED = np.float64("inf")
"""Distance to the nearest time with a non-finite step if there is none."""


class SolverState(NamedTuple):
    """The loop variables of a solve. "Per step mode" means shape (), or (n,) with per-sample steps.

    Attributes:
        t: float64, per step mode, the current time.
        y: the state at t.
        q: the quadratures at t.
        first_slope: k and v at t, for an FSAL method; otherwise empty lists.
        next_step: float64, per step mode, size of the next step.
        last_step: float64, per step mode, the last step tried, signed.
        nfe: int32 (), number of evaluations of the system.
        njev: int32 (), number of evaluations of its Jacobian.
        num_accepted_steps: int32, per step mode.
        num_rejected_steps: int32, per step mode.
        num_nonfinite: int32, per step mode, non-finite steps since t last passed the nearest non-finite time.
        distance_to_nonfinite: float64, per step mode, distance from t to that time; infinite if there is none.
        status: int32, per step mode, a `Status`.
        num_stored: int32 (), number of recorded steps.
        records: what the callback after each step records, or ().
        newton: for an implicit solver with adaptive steps a `NewtonState`, otherwise ().
    """

    t: tf.Tensor
    y: Tensors
    q: Tensors
    first_slope: tuple[Tensors, Tensors]
    next_step: tf.Tensor
    last_step: tf.Tensor
    nfe: tf.Tensor
    njev: tf.Tensor
    num_accepted_steps: tf.Tensor
    num_rejected_steps: tf.Tensor
    num_nonfinite: tf.Tensor
    distance_to_nonfinite: tf.Tensor
    status: tf.Tensor
    num_stored: tf.Tensor
    records: Any = ()
    newton: Any = ()


def init_state(t: tf.Tensor, y: Tensors, q: Tensors, first_step: float | None) -> SolverState:
    """Return the state of a solve before its first step.

    Args:
        t: float64, per step mode, the initial time.
        y: the state at t.
        q: the quadratures at t.
        first_step: size of the first step; None if `with_first_step` or the caller sets it.
    """
    zeros = tf.zeros_like(t, tf.int32)
    return SolverState(
        t=t,
        y=y,
        q=q,
        first_slope=([], []),
        next_step=tf.zeros_like(t) + (0.0 if first_step is None else first_step),
        last_step=tf.zeros_like(t),
        nfe=tf.zeros([], tf.int32),
        njev=tf.zeros([], tf.int32),
        num_accepted_steps=zeros,
        num_rejected_steps=zeros,
        num_nonfinite=zeros,
        distance_to_nonfinite=tf.fill(tf.shape(t), UNBOUNDED),
        status=zeros,
        num_stored=tf.zeros([], tf.int32),
    )


def with_newton(options: SolverOptions, p: SolverState) -> SolverState:
    """Return p with the state of Newton's method, for an implicit solver with adaptive steps."""
    implicit = options.adaptive and options.tableau.implicit
    return p._replace(newton=init_newton(options.step_mode, p.y)) if implicit else p


def with_first_slope(options: SolverOptions, system: OdeSystem, p: SolverState) -> SolverState:
    """Evaluate the system at the current time, if the solver is adaptive and FSAL; otherwise return p.

    Newton's method evaluates its Jacobian again.
    """
    if not (options.adaptive and options.tableau.fsal):
        return p
    if p.newton:
        p = p._replace(newton=p.newton.restarted())
    slope = system.rhs(p.t, p.y, True)
    return p._replace(first_slope=slope, nfe=p.nfe + 1)


def with_first_step(options: SolverOptions, system: OdeSystem, p: SolverState, end: tf.Tensor) -> SolverState:
    """Set the size of the first step by Hairer's rule, with one function evaluation, or two without FSAL."""
    span = end - p.t
    k = p.first_slope[0] or system.rhs(p.t, p.y, False)[0]
    h0 = trial_step_size(options, k, p.y, tf.abs(span))
    dt = tf.sign(span) * h0
    y1 = [x + options.step_mode.broadcast(dt, x) * u for x, u in zip(p.y, k, strict=True)]
    k1 = system.rhs(p.t + dt, y1, False)[0]
    h = initial_step_size(options, (k, k1), (p.y, y1), tf.where(h0 > 0, h0, tf.ones_like(h0)))
    return p._replace(next_step=h, nfe=p.nfe + (1 if p.first_slope[0] else 2))


def without_state(p: SolverState) -> SolverState:
    """Return p without the large tensors: y, q, first_slope, records and newton."""
    return p._replace(y=[], q=[], first_slope=([], []), records=(), newton=())
