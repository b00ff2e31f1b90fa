"""From one requested time to the next: the loop of adaptive steps, and that of fixed ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.runge_kutta import OdeSystem, RKStep, quadrature_increment, runge_kutta_step
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import (
    SolverOptions,
    combined_error_norm,
    initial_step_size,
    trial_step_size,
)
from gradcam_cli.neuralode.solver.typing import Tensors

MAX_NONFINITE_TRIES = 12
"""Attempts that may answer NaN or infinity before the clock passes the place where one did."""

OVERSHOOT = 1.1
"""Of the room before such a place, the longest step: a little more, lest it meet a lone gap of f again."""

SHRINK_FACTOR = np.float64(0.6)
"""What the size of a step beyond such a place is multiplied with if it fails, near the golden section: a good step is
followed by another attempt there, one that is not leaves less room.
"""

UNBOUNDED, ZERO = np.float64("inf"), np.float64(0)


class SolverState(NamedTuple):
    """Where a solve is; what is a clock's is () or, where each sample has a clock, (n,).

    Attributes:
        t: float64, a clock's.
        y: the state there.
        q: the quadratures.
        first_slope: k and v there, of a method that is FSAL; else empty lists.
        next_step: float64, a clock's: size of the next step.
        last_step: float64, a clock's: the step last tried, signed.
        nfe: int32 (), of the system.
        accepted, rejected: int32, a clock's.
        num_nonfinite: int32, a clock's: attempts that were not finite since it last passed the nearest place where one was.
        distance_to_nonfinite: float64, a clock's: how far it is to that place; infinite where there is none.
        status: int32, a clock's.
        num_stored: int32 (), how many steps are recorded.
        times: the recorded t after each of them, a TensorArray, or () where nothing is recorded.
    """

    t: tf.Tensor
    y: Tensors
    q: Tensors
    first_slope: tuple[Tensors, Tensors]
    next_step: tf.Tensor
    last_step: tf.Tensor
    nfe: tf.Tensor
    num_accepted_steps: tf.Tensor
    num_rejected_steps: tf.Tensor
    num_nonfinite: tf.Tensor
    distance_to_nonfinite: tf.Tensor
    status: tf.Tensor
    num_stored: tf.Tensor
    times: Any = ()


def init_state(
    options: SolverOptions, t: tf.Tensor, y: Tensors, q: Tensors, first_step: tf.Tensor | None, store_steps: bool
) -> SolverState:
    """Return the progress of a solve that has not taken a step.

    Args:
        options: the options.
        t: float64 (), where it starts.
        y: the state there.
        q: the quadratures there.
        first_step: float64, size of the first step, or None if `set_first_step` will say it.
        store_steps: whether the times of the steps are kept.
    """
    t = options.step_mode.batch_time(t, y)
    none = tf.zeros_like(t, tf.int32)
    first_step = tf.zeros_like(t) + (0.0 if first_step is None else first_step)
    times: Any = ()
    if store_steps:
        times = tf.TensorArray(tf.float64, options.max_steps, element_shape=t.shape, clear_after_read=False)
    zero = tf.zeros([], tf.int32)
    free = tf.fill(tf.shape(t), UNBOUNDED)
    return SolverState(t, y, q, ([], []), first_step, tf.zeros_like(t), zero, none, none, none, free, none, zero, times)


def with_first_slope(options: SolverOptions, system: OdeSystem, p: SolverState) -> SolverState:
    """Evaluate the system where the solve is, if the method is FSAL and adaptive: each step needs it from the last."""
    if not (options.adaptive and options.tableau.fsal):
        return p
    first = system.rhs(p.t, p.y, True)
    return p._replace(first_slope=first, nfe=p.nfe + 1)


def with_first_step(options: SolverOptions, system: OdeSystem, p: SolverState, end: tf.Tensor) -> SolverState:
    """Set the size of the first step by Hairer's rule, at the price of an evaluation, or two where it is not FSAL."""
    span = end - p.t
    k = p.first_slope[0] or system.rhs(p.t, p.y, False)[0]
    h0 = trial_step_size(options, k, p.y, tf.abs(span))
    dt = tf.sign(span) * h0
    probe = [x + options.step_mode.broadcast(dt, x) * u for x, u in zip(p.y, k, strict=True)]
    k1 = system.rhs(p.t + dt, probe, False)[0]
    h = initial_step_size(options, (k, k1), (p.y, probe), tf.where(h0 > 0, h0, tf.ones_like(h0)))
    return p._replace(next_step=h, nfe=p.nfe + (1 if p.first_slope[0] else 2))


def integrate_to(
    options: SolverOptions,
    system: OdeSystem,
    p: SolverState,
    target: tf.Tensor,
    estimate_quadrature_error: bool = False,
) -> SolverState:
    """Step until the clocks show the target, exactly, or the status says why not.

    Args:
        options: the options.
        system: what is integrated.
        p: where it is; for an adaptive FSAL method `first` is known.
        target: float64 (), the next requested time.
        estimate_quadrature_error: whether the error of the quadratures counts.
    """
    target = options.step_mode.batch_time(target, p.y)
    if not options.adaptive:
        return _integrate_fixed(options, system, p, target)

    def going(p: SolverState) -> tf.Tensor:
        return (p.t != target) & (p.status == Status.SUCCESS)

    several = not options.batch_coupled  # a lone clock goes whenever there is an attempt
    p = p._replace(status=_check_max_steps(options, p, target, p.status))
    (p,) = tf.while_loop(
        lambda p: tf.reduce_any(going(p)),
        lambda p: (
            _try_step(
                options, system, p, target, going(p) if several else tf.constant(True), estimate_quadrature_error
            ),
        ),
        (p,),
    )
    return p


def _try_step(
    options: SolverOptions,
    system: OdeSystem,
    p: SolverState,
    target: tf.Tensor,
    active: tf.Tensor,
    estimate_quadrature_error: bool,
) -> SolverState:
    """Try one step; take it if its error is within the tolerance, and choose the next one's size.

    Where f ends in the midst, steps that are good grow into its end again and again, ever nearer. So no step goes
    far beyond a place where one was not finite, and those that are not count until one there is.
    """
    batch, tableau = options.step_mode, options.tableau
    remaining, size = target - p.t, tf.minimum(p.next_step, OVERSHOOT * p.distance_to_nonfinite)
    landing = tf.abs(remaining) <= 1.01 * size
    t1 = tf.where(landing, target, p.t + tf.sign(remaining) * size)
    t1 = tf.where(active, t1, p.t)
    dt = t1 - p.t
    known = p.first_slope if tableau.fsal else None
    taken = runge_kutta_step(system, tableau, batch, (p.t, t1), p.y, known, estimate_quadrature_error)
    q1 = [q + dq for q, dq in zip(p.q, taken.dq, strict=True)] if taken.dq else p.q
    error = combined_error_norm(options, taken.error, p.y, taken.y, p.q, q1)
    finite, good = tf.math.is_finite(error) | ~active, active & (error <= 1)
    p = _accept(options, system, p, taken, q1, good, dt)

    length, there = tf.abs(dt), size >= p.distance_to_nonfinite
    scaled = length * options.step_factor(error, tf.where(there, SHRINK_FACTOR, np.float64(options.min_factor)))
    h = tf.where(active, tf.where(good & landing, tf.maximum(p.next_step, scaled), scaled), p.next_step)
    bad = tf.where(finite, tf.where(there, 0, p.num_nonfinite), p.num_nonfinite + 1)
    room = tf.where(finite, tf.where(there, UNBOUNDED, p.distance_to_nonfinite - tf.where(good, length, ZERO)), length)
    lost = active & ~good & options.is_underflow(h, p.t, target)
    status = tf.where(lost, int(Status.STEP_UNDERFLOW), p.status)
    status = tf.where((lost & ~finite) | (bad >= MAX_NONFINITE_TRIES), int(Status.NOT_FINITE), status)
    p = p._replace(
        t=tf.where(good, t1, p.t),
        next_step=h,
        last_step=tf.where(active, dt, p.last_step),
        nfe=p.nfe + tableau.stages - (1 if tableau.fsal else 0),
        num_accepted_steps=p.num_accepted_steps + tf.cast(good, tf.int32),
        num_rejected_steps=p.num_rejected_steps + tf.cast(active & ~good, tf.int32),
        num_nonfinite=bad,
        distance_to_nonfinite=room,
    )
    return _store_time(p, tf.reduce_any(good))._replace(status=_check_max_steps(options, p, target, status))


def _accept(
    options: SolverOptions,
    system: OdeSystem,
    p: SolverState,
    rk_step: RKStep,
    q1: Tensors,
    accepted: tf.Tensor,
    dt: tf.Tensor,
) -> SolverState:
    """Return the progress with state, quadratures and first slopes as after the step, where it is good."""
    batch = options.step_mode
    k, v = rk_step.last_slope if options.tableau.fsal else ([], [])
    (k0, v0), n = p.first_slope, len(p.y)
    if options.batch_coupled:
        new = batch.select(accepted, [*rk_step.y, *q1, *k, *v], [*p.y, *p.q, *k0, *v0])
        q = new[n : n + len(q1)]
        k, v = new[n + len(q) :][: len(k)], new[n + len(q) + len(k) :]
        return p._replace(y=new[:n], q=q, first_slope=(k, v))
    y = batch.select(accepted, rk_step.y, p.y)
    k = batch.select(accepted, k, k0)
    q = p.q
    if q:
        dq = quadrature_increment(system, options.tableau, rk_step, tf.where(accepted, dt, tf.zeros_like(dt)))
        q = [x + dx for x, dx in zip(q, dq, strict=True)]
    return p._replace(y=y, q=q, first_slope=(k, v))


def _check_max_steps(options: SolverOptions, p: SolverState, target: tf.Tensor, status: tf.Tensor) -> tf.Tensor:
    """Return the status, or that the limit of steps is reached before the target."""
    full = (p.num_accepted_steps + p.num_rejected_steps >= options.max_steps) | (p.num_stored >= options.max_steps)
    over = full & (p.t != target) & (status == Status.SUCCESS)
    return tf.where(over, int(Status.TOO_MANY_STEPS), status)


def _store_time(p: SolverState, accepted: tf.Tensor) -> SolverState:
    """Keep the time after a step; that of a step not taken is written over by the next one's."""
    if isinstance(p.times, tuple):
        return p
    row = tf.minimum(p.num_stored, p.times.size() - 1)
    return p._replace(times=p.times.write(row, p.t), num_stored=p.num_stored + tf.cast(accepted, tf.int32))


def _integrate_fixed(options: SolverOptions, system: OdeSystem, p: SolverState, target: tf.Tensor) -> SolverState:
    """Take equal steps, as few as are no larger than the step size, all of them good unless they are not finite."""
    batch, tableau, start = options.step_mode, options.tableau, p.t
    span = target - start
    longest = tf.reduce_max(tf.abs(span))
    size = tf.maximum(longest, 1e-300) if options.step_size is None else options.step_size
    steps = tf.minimum(tf.math.ceil(longest / size - 1e-9), 2.0**30)
    steps = tf.cast(tf.where(longest > 0, tf.maximum(steps, 1), 0), tf.int32)
    left = options.max_steps - tf.reduce_max(p.num_accepted_steps)
    done = int(Status.SUCCESS)

    def body(j: tf.Tensor, p: SolverState) -> tuple[tf.Tensor, SolverState]:
        t1 = tf.where(j + 1 == steps, target, start + span * tf.cast((j + 1) / steps, tf.float64))
        going = p.status == done
        taken = runge_kutta_step(system, tableau, batch, (p.t, t1), p.y)
        finite = batch.all_finite(taken.y)
        p = p._replace(
            y=taken.y,
            last_step=tf.where(going, t1 - p.t, p.last_step),
            t=tf.where(going, t1, p.t),
            nfe=p.nfe + tableau.stages,
            num_accepted_steps=p.num_accepted_steps + tf.cast(going, tf.int32),
            status=tf.where(going & ~finite, int(Status.NOT_FINITE), p.status),
            q=_fixed_increment(system, options, taken, p.q, t1 - p.t),
        )
        return j + 1, _store_time(p, tf.constant(True))

    _, p = tf.while_loop(
        lambda j, p: (j < tf.minimum(steps, left)) & tf.reduce_any(p.status == done),
        body,
        (tf.zeros([], tf.int32), p),
    )
    return p._replace(status=tf.where((p.status == done) & (steps > left), int(Status.TOO_MANY_STEPS), p.status))


def _fixed_increment(system: OdeSystem, options: SolverOptions, rk_step: RKStep, q: Tensors, dt: tf.Tensor) -> Tensors:
    dq = rk_step.dq if options.batch_coupled or not q else quadrature_increment(system, options.tableau, rk_step, dt)
    return [x + dx for x, dx in zip(q, dq, strict=True)]
