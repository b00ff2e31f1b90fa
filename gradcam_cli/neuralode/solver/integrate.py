"""The solver loop to a target time with adaptive steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.fixed_steps import AfterStep, integrate_fixed
from gradcam_cli.neuralode.solver.implicit_step import take_step
from gradcam_cli.neuralode.solver.runge_kutta import OdeSystem, RKStep, quadrature_increment
from gradcam_cli.neuralode.solver.solver_state import UNBOUNDED, SolverState, with_first_slope
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import SolverOptions, combined_error_norm
from gradcam_cli.neuralode.solver.typing import Tensors

MAX_NONFINITE_TRIES = 12
"""Maximum number of non-finite steps before t passes the time of the nearest one."""

OVERSHOOT = 1.1
"""Maximum step, in units of the distance to the nearest non-finite time. Above 1, so that a step can cross an isolated
singularity of f.
"""

SHRINK_FACTOR = np.float64(0.6)
"""Step factor after a non-finite step across that time. Near the golden section, so that accepted and non-finite steps
alternate.
"""

NEWTON_SHRINK_FACTOR = np.float64(0.5)
"""Step factor after Newton's method failed with the Jacobian of the start of the step."""

ZERO = np.float64(0)


def integrate_to(
    options: SolverOptions,
    system: OdeSystem,
    p: SolverState,
    target: tf.Tensor,
    estimate_quadrature_error: bool = False,
    after_step: AfterStep | None = None,
) -> SolverState:
    """Step to the target time exactly, or until the status is not SUCCESS. Adaptive steps also end at `jump_t`.

    Args:
        options: the solver options.
        system: the system to integrate.
        p: the current state; for an adaptive FSAL method with `first_slope` set.
        target: float64, per step mode.
        estimate_quadrature_error: whether the error norm includes the quadratures.
        after_step: called after each step.
    """
    if not options.adaptive:
        return integrate_fixed(options, system, p, target, after_step)
    if not options.jump_t:
        return _integrate_adaptive(options, system, p, target, estimate_quadrature_error, after_step)
    low, high = tf.minimum(p.t, target), tf.maximum(p.t, target)
    jumps, last = tf.constant(options.jump_t, tf.float64), len(options.jump_t)
    jumps = tf.where(tf.reduce_all(target >= p.t), jumps, jumps[::-1])

    def body(i: tf.Tensor, p: SolverState) -> tuple[tf.Tensor, SolverState]:
        jump = tf.clip_by_value(jumps[tf.minimum(i, last - 1)], low, high)
        stop = tf.where(i == last, target, jump)
        piece = system.between(p.t, stop)
        p = with_first_slope(options, piece, p)
        return i + 1, _integrate_adaptive(options, piece, p, stop, estimate_quadrature_error, after_step)

    final: SolverState = tf.while_loop(lambda i, _: i <= last, body, (tf.zeros([], tf.int32), p))[1]
    return final


def _integrate_adaptive(
    options: SolverOptions,
    system: OdeSystem,
    p: SolverState,
    target: tf.Tensor,
    estimate_quadrature_error: bool,
    after_step: AfterStep | None,
) -> SolverState:
    """Step to the target time, where f is continuous in t."""

    def active(p: SolverState) -> tf.Tensor:
        return (p.t != target) & (p.status == Status.SUCCESS)

    def body(p: SolverState) -> tuple[SolverState]:
        stepping = active(p) if options.per_sample_steps else tf.constant(True)
        return (_try_step(options, system, p, target, stepping, estimate_quadrature_error, after_step),)

    p = p._replace(status=_check_max_steps(options, p, target))
    (p,) = tf.while_loop(lambda p: tf.reduce_any(active(p)), body, (p,))
    return p


def _try_step(
    options: SolverOptions,
    system: OdeSystem,
    p: SolverState,
    target: tf.Tensor,
    active: tf.Tensor,
    estimate_quadrature_error: bool,
    after_step: AfterStep | None,
) -> SolverState:
    """Try a step, accept it if its error is within the tolerance, and choose the size of the next step.

    A step in which Newton's method does not converge is rejected.

    Where the domain of f ends, accepted steps could approach the end forever. `OVERSHOOT` limits a step near the last
    non-finite time, and `MAX_NONFINITE_TRIES` limits the number of non-finite steps there.
    """
    tableau = options.tableau
    proposal = _propose_step(options, p, target, active)
    first_slope = p.first_slope if tableau.fsal else None
    rk_step = take_step(options, system, (p.t, proposal.t1), p.y, first_slope, estimate_quadrature_error, p.newton)
    q1 = [q + dq for q, dq in zip(p.q, rk_step.dq, strict=True)] if rk_step.dq else p.q
    error = combined_error_norm(options, rk_step.error, p.y, rk_step.y, p.q, q1)
    finite, accepted = tf.math.is_finite(error) | ~active, active & (error <= 1) & rk_step.converged
    p = _update_accepted(options, system, p, rk_step, q1, accepted, proposal.dt)

    h = tf.where(active, _next_step_size(options, p, proposal, error, accepted, rk_step), p.next_step)
    num_nonfinite, distance = _track_nonfinite(p, proposal, finite, accepted)
    underflow = active & ~accepted & options.is_underflow(h, p.t, target)
    status = tf.where(underflow, int(Status.STEP_UNDERFLOW), p.status)
    not_finite = (underflow & ~finite) | (num_nonfinite >= MAX_NONFINITE_TRIES)
    status = tf.where(not_finite, int(Status.NOT_FINITE), status)
    p = p._replace(
        t=tf.where(accepted, proposal.t1, p.t),
        next_step=h,
        last_step=tf.where(active, proposal.dt, p.last_step),
        nfe=p.nfe + rk_step.nfe,
        njev=p.njev + rk_step.njev,
        newton=rk_step.newton.moved(tf.reshape(accepted, [-1])) if p.newton else (),
        num_accepted_steps=p.num_accepted_steps + tf.cast(accepted, tf.int32),
        num_rejected_steps=p.num_rejected_steps + tf.cast(active & ~accepted, tf.int32),
        num_nonfinite=num_nonfinite,
        distance_to_nonfinite=distance,
        status=status,
    )
    if after_step:
        p = after_step(p, rk_step, accepted)
    return p._replace(status=_check_max_steps(options, p, target))


class _Proposal(NamedTuple):
    """A proposed step, in the shape of the step mode.

    Attributes:
        t1: float64, end of the step.
        dt: float64, signed size of the step.
        reaches_target: bool, whether t1 is the target.
        crosses: bool, whether the step crosses the nearest non-finite time.
    """

    t1: tf.Tensor
    dt: tf.Tensor
    reaches_target: tf.Tensor
    crosses: tf.Tensor


def _propose_step(options: SolverOptions, p: SolverState, target: tf.Tensor, active: tf.Tensor) -> _Proposal:
    """Return the next step to try; of size 0 where not active."""
    remaining, size = target - p.t, tf.minimum(p.next_step, OVERSHOOT * p.distance_to_nonfinite)
    reach = 1.01 * size
    if options.max_step is not None:
        size, reach = tf.minimum(size, options.max_step), tf.minimum(reach, options.max_step)
    reaches_target = tf.abs(remaining) <= reach
    t1 = tf.where(reaches_target, target, p.t + tf.sign(remaining) * size)
    t1 = tf.where(active, t1, p.t)
    return _Proposal(t1, t1 - p.t, reaches_target, size >= p.distance_to_nonfinite)


def _next_step_size(
    options: SolverOptions,
    p: SolverState,
    proposal: _Proposal,
    error: tf.Tensor,
    accepted: tf.Tensor,
    rk_step: RKStep,
) -> tf.Tensor:
    """Return the size of the next step. A step shortened to reach the target does not reduce it.

    Where Newton's method failed with a Jacobian of an earlier step, the same step is tried with a new Jacobian.
    """
    nonfinite_factor = tf.where(proposal.crosses, SHRINK_FACTOR, np.float64(options.min_factor))
    factor = options.step_factor(error, nonfinite_factor)
    if p.newton:
        is_current = tf.reshape(rk_step.newton.is_current, tf.shape(p.t))
        retry_factor = tf.where(is_current, NEWTON_SHRINK_FACTOR, 1)
        factor = tf.where(rk_step.converged | ~tf.math.is_finite(error), factor, retry_factor)
    h = tf.abs(proposal.dt) * factor
    return tf.where(accepted & proposal.reaches_target, tf.maximum(p.next_step, h), h)


def _track_nonfinite(
    p: SolverState, proposal: _Proposal, finite: tf.Tensor, accepted: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `num_nonfinite` and `distance_to_nonfinite` after a step; a finite step that crosses resets both."""
    length = tf.abs(proposal.dt)
    num_nonfinite = tf.where(finite, tf.where(proposal.crosses, 0, p.num_nonfinite), p.num_nonfinite + 1)
    distance = p.distance_to_nonfinite - tf.where(accepted, length, ZERO)
    return num_nonfinite, tf.where(finite, tf.where(proposal.crosses, UNBOUNDED, distance), length)


def _update_accepted(
    options: SolverOptions,
    system: OdeSystem,
    p: SolverState,
    rk_step: RKStep,
    q1: Tensors,
    accepted: tf.Tensor,
    dt: tf.Tensor,
) -> SolverState:
    """Return p with the state, quadratures and first slope of the step where it is accepted."""
    step_mode = options.step_mode
    k, v = rk_step.last_slope if options.tableau.fsal else ([], [])
    (k0, v0), n = p.first_slope, len(p.y)
    if not options.per_sample_steps:
        new = step_mode.select(accepted, [*rk_step.y, *q1, *k, *v], [*p.y, *p.q, *k0, *v0])
        q = new[n : n + len(q1)]
        k, v = new[n + len(q) :][: len(k)], new[n + len(q) + len(k) :]
        return p._replace(y=new[:n], q=q, first_slope=(k, v))
    y = step_mode.select(accepted, rk_step.y, p.y)
    k = step_mode.select(accepted, k, k0)
    q = p.q
    if q:
        dq = quadrature_increment(system, options.tableau, rk_step, tf.where(accepted, dt, tf.zeros_like(dt)))
        q = [x + dx for x, dx in zip(q, dq, strict=True)]
    return p._replace(y=y, q=q, first_slope=(k, v))


def _check_max_steps(options: SolverOptions, p: SolverState, target: tf.Tensor) -> tf.Tensor:
    """Return the status, or TOO_MANY_STEPS if `max_steps` is reached before the target."""
    full = (p.num_accepted_steps + p.num_rejected_steps >= options.max_steps) | (p.num_stored >= options.max_steps)
    failed = full & (p.t != target) & (p.status == Status.SUCCESS)
    return tf.where(failed, int(Status.TOO_MANY_STEPS), p.status)
