"""From one requested time to the next: the loop of adaptive steps, and that of fixed ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.runge_kutta import Step, System, gain, step
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import Control, guess_first_step, guess_probe, joined
from gradcam_cli.neuralode.solver.typing import Tensors

PATIENCE = 12
"""Attempts that may answer NaN or infinity before the clock passes the place where one did."""

BEYOND = 1.1
"""Of the room before such a place, the longest step: a little more, lest it meet a lone gap of f again."""

NEARER = np.float64(0.6)
"""What the size of a step beyond such a place is multiplied with if it fails, near the golden section: a good step is
followed by another attempt there, one that is not leaves less room.
"""

FREE, NOTHING = np.float64("inf"), np.float64(0)


class Progress(NamedTuple):
    """Where a solve is; what is a clock's is () or, where each sample has a clock, (n,).

    Attributes:
        t: float64, a clock's.
        y: the state there.
        q: the quadratures.
        first: k and v there, of a method that is FSAL; else empty lists.
        h: float64, a clock's: size of the next step.
        dt: float64, a clock's: the step last tried, signed.
        evaluations: int32 (), of the system.
        accepted, rejected: int32, a clock's.
        bad: int32, a clock's: attempts that were not finite since it last passed the nearest place where one was.
        room: float64, a clock's: how far it is to that place; infinite where there is none.
        status: int32, a clock's.
        rows: int32 (), how many steps are recorded.
        times: the recorded t after each of them, a TensorArray, or () where nothing is recorded.
    """

    t: tf.Tensor
    y: Tensors
    q: Tensors
    first: tuple[Tensors, Tensors]
    h: tf.Tensor
    dt: tf.Tensor
    evaluations: tf.Tensor
    accepted: tf.Tensor
    rejected: tf.Tensor
    bad: tf.Tensor
    room: tf.Tensor
    status: tf.Tensor
    rows: tf.Tensor
    times: Any = ()


def begin(control: Control, t: tf.Tensor, y: Tensors, q: Tensors, h: tf.Tensor | None, recorded: bool) -> Progress:
    """Return the progress of a solve that has not taken a step.

    Args:
        control: the options.
        t: float64 (), where it starts.
        y: the state there.
        q: the quadratures there.
        h: float64, size of the first step, or None if `set_first_step` will say it.
        recorded: whether the times of the steps are kept.
    """
    t = control.batch.clock(t, y)
    none = tf.zeros_like(t, tf.int32)
    h = tf.zeros_like(t) + (0.0 if h is None else h)
    times: Any = ()
    if recorded:
        times = tf.TensorArray(tf.float64, control.max_steps, element_shape=t.shape, clear_after_read=False)
    zero = tf.zeros([], tf.int32)
    free = tf.fill(tf.shape(t), FREE)
    return Progress(t, y, q, ([], []), h, tf.zeros_like(t), zero, none, none, none, free, none, zero, times)


def evaluated(control: Control, system: System, p: Progress) -> Progress:
    """Evaluate the system where the solve is, if the method is FSAL and adaptive: each step needs it from the last."""
    if not (control.adaptive and control.tableau.fsal):
        return p
    first = system.slope(p.t, p.y, True)
    return p._replace(first=first, evaluations=p.evaluations + 1)


def with_first_step(control: Control, system: System, p: Progress, end: tf.Tensor) -> Progress:
    """Set the size of the first step by Hairer's rule, at the price of an evaluation, or two where it is not FSAL."""
    span = end - p.t
    k = p.first[0] or system.slope(p.t, p.y, False)[0]
    h0 = guess_probe(control, k, p.y, tf.abs(span))
    dt = tf.sign(span) * h0
    probe = [x + control.batch.beside(dt, x) * u for x, u in zip(p.y, k, strict=True)]
    k1 = system.slope(p.t + dt, probe, False)[0]
    h = guess_first_step(control, (k, k1), (p.y, probe), tf.where(h0 > 0, h0, tf.ones_like(h0)))
    return p._replace(h=h, evaluations=p.evaluations + (1 if p.first[0] else 2))


def advance(control: Control, system: System, p: Progress, target: tf.Tensor, q_estimated: bool = False) -> Progress:
    """Step until the clocks show the target, exactly, or the status says why not.

    Args:
        control: the options.
        system: what is integrated.
        p: where it is; for an adaptive FSAL method `first` is known.
        target: float64 (), the next requested time.
        q_estimated: whether the error of the quadratures counts.
    """
    target = control.batch.clock(target, p.y)
    if not control.adaptive:
        return _advance_fixed(control, system, p, target)

    def going(p: Progress) -> tf.Tensor:
        return (p.t != target) & (p.status == Status.DONE)

    several = not control.batch_coupled  # a lone clock goes whenever there is an attempt
    p = p._replace(status=_limited(control, p, target, p.status))
    (p,) = tf.while_loop(
        lambda p: tf.reduce_any(going(p)),
        lambda p: (_attempt(control, system, p, target, going(p) if several else tf.constant(True), q_estimated),),
        (p,),
    )
    return p


def _attempt(
    control: Control, system: System, p: Progress, target: tf.Tensor, going: tf.Tensor, q_estimated: bool
) -> Progress:
    """Try one step; take it if its error is within the tolerance, and choose the next one's size.

    Where f ends in the midst, steps that are good grow into its end again and again, ever nearer. So no step goes
    far beyond a place where one was not finite, and those that are not count until one there is.
    """
    batch, tableau = control.batch, control.tableau
    remaining, size = target - p.t, tf.minimum(p.h, BEYOND * p.room)
    landing = tf.abs(remaining) <= 1.01 * size
    t1 = tf.where(landing, target, p.t + tf.sign(remaining) * size)
    t1 = tf.where(going, t1, p.t)
    dt = t1 - p.t
    known = p.first if tableau.fsal else None
    taken = step(system, tableau, batch, (p.t, t1), p.y, known, q_estimated)
    q1 = [q + dq for q, dq in zip(p.q, taken.dq, strict=True)] if taken.dq else p.q
    error = joined(control, taken.error, p.y, taken.y, p.q, q1)
    finite, good = tf.math.is_finite(error) | ~going, going & (error <= 1)
    p = _commit(control, system, p, taken, q1, good, dt)

    length, there = tf.abs(dt), size >= p.room
    scaled = length * control.factor(error, tf.where(there, NEARER, np.float64(control.least_factor)))
    h = tf.where(going, tf.where(good & landing, tf.maximum(p.h, scaled), scaled), p.h)
    bad = tf.where(finite, tf.where(there, 0, p.bad), p.bad + 1)
    room = tf.where(finite, tf.where(there, FREE, p.room - tf.where(good, length, NOTHING)), length)
    lost = going & ~good & control.underflow(h, p.t, target)
    status = tf.where(lost, int(Status.STEP_UNDERFLOW), p.status)
    status = tf.where((lost & ~finite) | (bad >= PATIENCE), int(Status.NOT_FINITE), status)
    p = p._replace(
        t=tf.where(good, t1, p.t),
        h=h,
        dt=tf.where(going, dt, p.dt),
        evaluations=p.evaluations + tableau.stages - (1 if tableau.fsal else 0),
        accepted=p.accepted + tf.cast(good, tf.int32),
        rejected=p.rejected + tf.cast(going & ~good, tf.int32),
        bad=bad,
        room=room,
    )
    return _record(p, tf.reduce_any(good))._replace(status=_limited(control, p, target, status))


def _commit(
    control: Control, system: System, p: Progress, taken: Step, q1: Tensors, good: tf.Tensor, dt: tf.Tensor
) -> Progress:
    """Return the progress with state, quadratures and first slopes as after the step, where it is good."""
    batch = control.batch
    k, v = taken.last if control.tableau.fsal else ([], [])
    (k0, v0), n = p.first, len(p.y)
    if control.batch_coupled:
        new = batch.choose(good, [*taken.y, *q1, *k, *v], [*p.y, *p.q, *k0, *v0])
        q = new[n : n + len(q1)]
        k, v = new[n + len(q) :][: len(k)], new[n + len(q) + len(k) :]
        return p._replace(y=new[:n], q=q, first=(k, v))
    y = batch.choose(good, taken.y, p.y)
    k = batch.choose(good, k, k0)
    q = p.q
    if q:
        dq = gain(system, control.tableau, taken, tf.where(good, dt, tf.zeros_like(dt)))
        q = [x + dx for x, dx in zip(q, dq, strict=True)]
    return p._replace(y=y, q=q, first=(k, v))


def _limited(control: Control, p: Progress, target: tf.Tensor, status: tf.Tensor) -> tf.Tensor:
    """Return the status, or that the limit of steps is reached before the target."""
    full = (p.accepted + p.rejected >= control.max_steps) | (p.rows >= control.max_steps)
    over = full & (p.t != target) & (status == Status.DONE)
    return tf.where(over, int(Status.TOO_MANY_STEPS), status)


def _record(p: Progress, taken: tf.Tensor) -> Progress:
    """Keep the time after a step; that of a step not taken is written over by the next one's."""
    if isinstance(p.times, tuple):
        return p
    row = tf.minimum(p.rows, p.times.size() - 1)
    return p._replace(times=p.times.write(row, p.t), rows=p.rows + tf.cast(taken, tf.int32))


def _advance_fixed(control: Control, system: System, p: Progress, target: tf.Tensor) -> Progress:
    """Take equal steps, as few as are no larger than the step size, all of them good unless they are not finite."""
    batch, tableau, start = control.batch, control.tableau, p.t
    span = target - start
    longest = tf.reduce_max(tf.abs(span))
    size = tf.maximum(longest, 1e-300) if control.step_size is None else control.step_size
    steps = tf.minimum(tf.math.ceil(longest / size - 1e-9), 2.0**30)
    steps = tf.cast(tf.where(longest > 0, tf.maximum(steps, 1), 0), tf.int32)
    left = control.max_steps - tf.reduce_max(p.accepted)
    done = int(Status.DONE)

    def body(j: tf.Tensor, p: Progress) -> tuple[tf.Tensor, Progress]:
        t1 = tf.where(j + 1 == steps, target, start + span * tf.cast((j + 1) / steps, tf.float64))
        going = p.status == done
        taken = step(system, tableau, batch, (p.t, t1), p.y)
        finite = batch.finite(taken.y)
        p = p._replace(
            y=taken.y,
            dt=tf.where(going, t1 - p.t, p.dt),
            t=tf.where(going, t1, p.t),
            evaluations=p.evaluations + tableau.stages,
            accepted=p.accepted + tf.cast(going, tf.int32),
            status=tf.where(going & ~finite, int(Status.NOT_FINITE), p.status),
            q=_fixed_gain(system, control, taken, p.q, t1 - p.t),
        )
        return j + 1, _record(p, tf.constant(True))

    _, p = tf.while_loop(
        lambda j, p: (j < tf.minimum(steps, left)) & tf.reduce_any(p.status == done),
        body,
        (tf.zeros([], tf.int32), p),
    )
    return p._replace(status=tf.where((p.status == done) & (steps > left), int(Status.TOO_MANY_STEPS), p.status))


def _fixed_gain(system: System, control: Control, taken: Step, q: Tensors, dt: tf.Tensor) -> Tensors:
    dq = taken.dq if control.batch_coupled or not q else gain(system, control.tableau, taken, dt)
    return [x + dx for x, dx in zip(q, dq, strict=True)]
