"""The forward solve: z at each requested time."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.dynamics import Field
from gradcam_cli.neuralode.solver.integrate import Progress, advance, begin, evaluated, with_first_step
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import Control
from gradcam_cli.neuralode.solver.typing import Tensors


class Forward(NamedTuple):
    """The system dz/dt = f(t, z, theta)."""

    field: Field
    control: Control
    theta: Tensors
    fixed: Tensors

    def slope(self, t: tf.Tensor, y: Tensors, dense: bool) -> tuple[Tensors, Tensors]:
        """Return f; there are no quadratures."""
        return self.field.slope(self.control.batch.beside(t, y[0]), y, self.theta, self.fixed), []

    def density(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return nothing: there are no quadratures."""
        return []


class Solved(NamedTuple):
    """What a forward solve found.

    Attributes:
        z: the states, each (len(t), ...); NaN if the status is not DONE.
        progress: where it ended; without state.
        times: the recorded times, (max_steps, ...) float64, or empty.
        rows: how many of them belong to the requested times up to each, (len(t),) int32, or empty.
    """

    z: Tensors
    progress: Progress
    times: tf.Tensor
    rows: tf.Tensor


def solve_forward(
    field: Field, control: Control, z: Tensors, t: tf.Tensor, theta: Tensors, fixed: Tensors, recorded: bool
) -> Solved:
    """Integrate from t[0] through all of t.

    Args:
        field: f.
        control: the options.
        z: the state at t[0].
        t: (times,) float64.
        theta: the parameters of f.
        fixed: what else f has of variables.
        recorded: whether the times of accepted steps are kept, for the discrete gradient.
    """
    system, times = Forward(field, control, theta, fixed), t.shape[0]
    p = begin(control, t[0], z, [], None if control.first_step is None else control.first_step, recorded)
    if times > 1:
        p = evaluated(control, system, p)
        if control.adaptive and control.first_step is None:
            p = with_first_step(control, system, p, t[1])
    states = [tf.TensorArray(x.dtype, times, element_shape=x.shape).write(0, x) for x in z]
    rows = tf.TensorArray(tf.int32, times, element_shape=[]).write(0, p.rows)

    def body(i: tf.Tensor, p: Progress, states: Any, rows: Any) -> Any:
        p = advance(control, system, p, t[i])
        return i + 1, p, [array.write(i, x) for array, x in zip(states, p.y, strict=True)], rows.write(i, p.rows)

    if times > 1:
        _, p, states, rows = tf.while_loop(lambda i, *_: i < times, body, (tf.constant(1), p, states, rows))
    zs = [_or_nan(control, p, array.stack()) for array in states]
    kept = p.times.stack() if recorded else tf.zeros([0], tf.float64)
    return Solved(zs, bare(p), kept, rows.stack())


def bare(p: Progress) -> Progress:
    """Return the progress without its large parts."""
    return p._replace(y=[], q=[], first=([], []), times=())


def _or_nan(control: Control, p: Progress, z: tf.Tensor) -> tf.Tensor:
    """Return the states (times, ...), with NaN in the place of those that were not solved to the end."""
    done = p.status == Status.DONE
    nan = tf.constant(float("nan"), z.dtype)
    if control.batch_coupled:
        return tf.cond(done, lambda: z, lambda: tf.fill(tf.shape(z), nan))
    return tf.where(tf.reshape(done, [1, -1] + [1] * (len(z.shape) - 2)), z, nan)
