"""The solver loop to a target time with fixed steps."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from gradcam_cli.neuralode.solver.implicit_step import take_step
from gradcam_cli.neuralode.solver.runge_kutta import OdeSystem, RKStep, quadrature_increment
from gradcam_cli.neuralode.solver.solver_state import SolverState
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

AfterStep = Callable[[SolverState, RKStep, tf.Tensor], SolverState]
"""A function that is called after each step: (state, step tried, whether accepted) -> state."""


def integrate_fixed(
    options: SolverOptions, system: OdeSystem, p: SolverState, target: tf.Tensor, after_step: AfterStep | None
) -> SolverState:
    """Take the smallest number of equal steps no larger than `step_size`; fail at the first that is not finite.

    A step in which Newton's method does not converge fails, too.

    Args:
        options: the solver options.
        system: the system to integrate.
        p: the current state.
        target: float64, per step mode.
        after_step: called after each step.
    """
    step_mode, start = options.step_mode, p.t
    span = target - start
    max_span = tf.reduce_max(tf.abs(span))
    size = tf.maximum(max_span, 1e-300) if options.step_size is None else options.step_size
    steps = tf.minimum(tf.math.ceil(max_span / size - 1e-9), 2.0**30)
    steps = tf.cast(tf.where(max_span > 0, tf.maximum(steps, 1), 0), tf.int32)
    remaining_steps = options.max_steps - tf.reduce_max(p.num_accepted_steps)
    success = int(Status.SUCCESS)

    def body(j: tf.Tensor, p: SolverState) -> tuple[tf.Tensor, SolverState]:
        t1 = tf.where(j + 1 == steps, target, start + span * tf.cast((j + 1) / steps, tf.float64))
        active = p.status == success
        rk_step = take_step(options, system, (p.t, t1), p.y)
        finite = step_mode.all_finite(rk_step.y)
        p = p._replace(
            y=rk_step.y,
            last_step=tf.where(active, t1 - p.t, p.last_step),
            t=tf.where(active, t1, p.t),
            nfe=p.nfe + rk_step.nfe,
            njev=p.njev + rk_step.njev,
            num_accepted_steps=p.num_accepted_steps + tf.cast(active, tf.int32),
            status=tf.where(active, _status(finite, rk_step), p.status),
            q=_add_fixed_increment(system, options, rk_step, p.q, t1 - p.t),
        )
        return j + 1, after_step(p, rk_step, active) if after_step else p

    _, p = tf.while_loop(
        lambda j, p: (j < tf.minimum(steps, remaining_steps)) & tf.reduce_any(p.status == success),
        body,
        (tf.zeros([], tf.int32), p),
    )
    too_many = (p.status == success) & (steps > remaining_steps)
    return p._replace(status=tf.where(too_many, int(Status.TOO_MANY_STEPS), p.status))


def _status(finite: tf.Tensor, rk_step: RKStep) -> tf.Tensor:
    """Return the status after a step, per step mode."""
    status = tf.where(rk_step.converged, int(Status.SUCCESS), int(Status.NOT_CONVERGED))
    return tf.where(finite, status, int(Status.NOT_FINITE))


def _add_fixed_increment(
    system: OdeSystem, options: SolverOptions, rk_step: RKStep, q: Tensors, dt: tf.Tensor
) -> Tensors:
    """Return the quadratures after a fixed step."""
    per_sample = options.per_sample_steps and q
    dq = quadrature_increment(system, options.tableau, rk_step, dt) if per_sample else rk_step.dq
    return [x + dx for x, dx in zip(q, dq, strict=True)]
