"""The location of an event: the first zero crossing of g(t, z(t)) along a solve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.forward_solve import ForwardSystem, integrate_times
from gradcam_cli.neuralode.solver.runge_kutta import RKStep
from gradcam_cli.neuralode.solver.solver_state import SolverState, init_state, without_state
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_interpolation import interpolate
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

EVENT = -1
"""Internal status of a solve that an event ended."""

MAX_BISECTIONS = 60
"""Bisections of a step: more than float64 resolves."""


class EventRecord(NamedTuple):
    """The loop variables of an event location, per step mode.

    Attributes:
        value: g at the current time.
        t: float64, the time of the event; the last time without one.
    """

    value: tf.Tensor
    t: tf.Tensor


class EventFunction(NamedTuple):
    """g(t, z) as a function of flat states, per step mode.

    Attributes:
        function: the event function of the user.
        structure: the structure of the state.
        options: the solver options.
    """

    function: Callable[..., Any]
    structure: Any
    options: SolverOptions

    def __call__(self, t: tf.Tensor, z: Tensors) -> tf.Tensor:
        """Return g, () or (n,), in the dtype of z.

        Raises:
            UsageError: g has another shape or dtype.
        """
        time = self.options.step_mode.broadcast(t, z[0])
        value = tf.convert_to_tensor(self.function(time, tf.nest.pack_sequence_as(self.structure, z)))
        if value.dtype != z[0].dtype or not value.shape.is_compatible_with(t.shape):
            raise UsageError(
                f"event_fn(t, z): expected {z[0].dtype.name} of shape {t.shape}, "
                f"got {value.dtype.name} of shape {value.shape}"
            )
        return value


def locate_event(
    options: SolverOptions, system: ForwardSystem, event: EventFunction, z: Tensors, t: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, SolverState]:
    """Solve until g changes its sign, and bisect the step by the continuous extension.

    Args:
        options: the solver options.
        system: the system.
        event: g.
        z: the state at t[0].
        t: float64 (2, ...), per step mode, the initial and the latest time.

    Returns:
        The time of the event, per step mode; whether it occurred; and the final solver state.
    """

    def after_step(p: SolverState, step: RKStep, accepted: tf.Tensor) -> SolverState:
        record: EventRecord = p.records
        value = event(p.t, p.y)
        crossed = accepted & (record.value != 0) & (tf.sign(record.value) * tf.sign(value) <= 0)
        time = tf.cond(
            tf.reduce_any(crossed),
            lambda: tf.where(crossed, _bisect(options, event, step, record.value), record.t),
            lambda: record.t,
        )
        status = tf.where(crossed & (p.status == Status.SUCCESS), EVENT, p.status)
        return p._replace(records=EventRecord(value, time), status=status)

    p = init_state(t[0], z, [], options.first_step)
    p = p._replace(records=EventRecord(event(p.t, z), t[-1]))
    p = integrate_times(options, system, p, t, after_step)
    occurred, time = p.status == EVENT, p.records.t
    p = p._replace(status=tf.where(occurred, int(Status.SUCCESS), p.status))
    return time, occurred, without_state(p)


def _bisect(options: SolverOptions, event: EventFunction, step: RKStep, value: tf.Tensor) -> tf.Tensor:
    """Return the end of the last interval of a bisection of a step, where g no longer has the sign of `value`."""

    def body(i: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, ...]:
        middle = low + (high - low) * np.float64(0.5)
        same = tf.sign(event(middle, interpolate(options, step, middle))) == tf.sign(value)
        return i + 1, tf.where(same, middle, low), tf.where(same, high, middle)

    variables = (tf.zeros([], tf.int32), step.stages[0][0], step.t1)
    high: tf.Tensor = tf.while_loop(lambda i, *_: i < MAX_BISECTIONS, body, variables)[2]
    return high
