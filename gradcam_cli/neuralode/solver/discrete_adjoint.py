"""The gradient of what was computed: the accepted steps taken again, and then differentiated one by one, backward.

Memory grows with the number of steps between two requested times. The sizes of the steps count as constants, as
shares of the time between two requested times.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gradcam_cli.neuralode.solver.adjoint import Gradients, gradients
from gradcam_cli.neuralode.solver.dynamics import Field
from gradcam_cli.neuralode.solver.forward_solve import Forward, Solved
from gradcam_cli.neuralode.solver.runge_kutta import step
from gradcam_cli.neuralode.solver.step_size import Control
from gradcam_cli.neuralode.solver.typing import Tensors


class Replay:
    """The accepted steps of a forward solve.

    Args:
        field: f.
        control: the options of the forward solve.
        solved: the forward solve.
        t: (times,) float64.
        theta: the parameters of f.
        fixed: what else f has of variables.
    """

    def __init__(
        self, field: Field, control: Control, solved: Solved, t: tf.Tensor, theta: Tensors, fixed: Tensors
    ) -> None:
        self.field, self.control, self.solved, self.t = field, control, solved, t
        self.theta, self.fixed = theta, fixed
        self.tableau = control.tableau.without_estimate()

    def span(self, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the times at both ends of step k."""
        start = self.control.batch.clock(self.t[0], [x[0] for x in self.solved.z])
        before = self.solved.times[tf.maximum(k - 1, 0)]
        return tf.where(k == 0, start, before), self.solved.times[k]

    def step(self, t: tf.Tensor, t1: tf.Tensor, z: Tensors, theta: Tensors) -> Tensors:
        """Return z at t1."""
        system = Forward(self.field, self.control, theta, self.fixed)
        return step(system, self.tableau, self.control.batch, (t, t1), z).y

    def states(self, i: tf.Tensor) -> list[tf.TensorArray]:
        """Return z before each of the steps that lead to the requested time i."""
        start, end = self.solved.rows[i - 1], self.solved.rows[i]
        z = [x[i - 1] for x in self.solved.z]
        kept = [tf.TensorArray(x.dtype, self.control.max_steps, element_shape=x.shape) for x in z]

        def body(k: tf.Tensor, z: Tensors, kept: Any) -> Any:
            kept = [array.write(k - start, x) for array, x in zip(kept, z, strict=True)]
            return k + 1, self.step(*self.span(k), z, self.theta), kept

        states: list[tf.TensorArray] = tf.while_loop(lambda k, *_: k < end, body, (start, z, kept))[2]
        return states

    def back(self, i: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor) -> tuple[Tensors, Tensors, tf.Tensor]:
        """Take the gradients from the requested time i back to the one before it."""
        start, end, kept = self.solved.rows[i - 1], self.solved.rows[i], self.states(i)

        def body(k: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor) -> Any:
            z = [array.read(k - start) for array in kept]
            a, of_theta, of_span = self.vjp(self.span(k), z, a)
            g_theta = [x + y for x, y in zip(g_theta, of_theta, strict=True)]
            return k - 1, a, g_theta, g_t + self.shared(i, self.span(k), of_span)

        _, a, g_theta, g_t = tf.while_loop(
            lambda k, *_: k >= start,
            body,
            (end - 1, a, g_theta, g_t),
            parallel_iterations=1,  # or TensorFlow replays ten steps ahead, with all that their gradients need
        )
        return a, g_theta, g_t

    def vjp(self, span: tuple[tf.Tensor, tf.Tensor], z: Tensors, a: Tensors) -> tuple[Tensors, Tensors, Tensors]:
        """Return a times the derivatives of one step by z, theta, and the times of both ends."""
        sources = [*z, *self.theta, *span]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            z1 = self.step(*span, z, self.theta)
        found = tape.gradient(z1, sources, a, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        found = [tf.convert_to_tensor(x) for x in found]
        return found[: len(z)], found[len(z) : -2], found[-2:]

    def shared(self, i: tf.Tensor, span: tuple[tf.Tensor, tf.Tensor], of_span: Tensors) -> tf.Tensor:
        """Return what the requested times, (times,), have of the gradient of the times of one step."""
        start, end = self.t[i - 1], self.t[i]
        shares = [(x - start) / (end - start) for x in span]
        of_end = tf.add_n([tf.reduce_sum(s * g) for s, g in zip(shares, of_span, strict=True)])
        of_start = tf.add_n([tf.reduce_sum((1 - s) * g) for s, g in zip(shares, of_span, strict=True)])
        times = self.t.shape[0]
        return of_start * tf.one_hot(i - 1, times, dtype=tf.float64) + of_end * tf.one_hot(i, times, dtype=tf.float64)


def solve_discrete(
    field: Field, control: Control, solved: Solved, g: Tensors, t: tf.Tensor, theta: Tensors, fixed: Tensors
) -> Gradients:
    """Return the gradients of the steps that were taken.

    Args:
        field: f.
        control: the options of the forward solve.
        solved: the forward solve, recorded.
        g: dL/dz at the requested times, each (times, ...).
        t: (times,) float64.
        theta: the parameters of f.
        fixed: what else f has of variables.
    """
    replay, last = Replay(field, control, solved, t, theta, fixed), t.shape[0] - 1

    def body(i: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor) -> Any:
        a = [x + u[i] for x, u in zip(a, g, strict=True)]
        return i - 1, *replay.back(i, a, g_theta, g_t)

    a, g_theta, g_t = [tf.zeros_like(x[0]) for x in g], [tf.zeros_like(x) for x in theta], tf.zeros_like(t)
    if last > 0:
        _, a, g_theta, g_t = tf.while_loop(lambda i, *_: i > 0, body, (tf.constant(last), a, g_theta, g_t))
    a = [x + u[0] for x, u in zip(a, g, strict=True)]
    evaluations = 2 * replay.tableau.stages * solved.rows[last]
    return gradients(control, solved.progress._replace(evaluations=evaluations), a, g_theta, g_t)
