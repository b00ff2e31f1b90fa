"""The gradient of what was computed: the accepted steps taken again, and then differentiated one by one, backward.

Memory grows with the number of steps between two requested times. The sizes of the steps count as constants, as
shares of the time between two requested times.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gradcam_cli.neuralode.solver.adjoint import AdjointResult, make_result
from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution, ForwardSystem
from gradcam_cli.neuralode.solver.runge_kutta import runge_kutta_step
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


class StepReplay:
    """The accepted steps of a forward solve.

    Args:
        dynamics: f.
        options: the options of the forward solve.
        solution: the forward solve.
        t: (times,) float64.
        theta: the parameters of f.
        non_trainable: what else f has of variables.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        options: SolverOptions,
        solution: ForwardSolution,
        t: tf.Tensor,
        theta: Tensors,
        non_trainable: Tensors,
    ) -> None:
        self.dynamics, self.options, self.solution, self.t = dynamics, options, solution, t
        self.theta, self.non_trainable = theta, non_trainable
        self.tableau = options.tableau.without_error_estimate()

    def span(self, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the times at both ends of step k."""
        start = self.options.step_mode.batch_time(self.t[0], [x[0] for x in self.solution.z])
        before = self.solution.times[tf.maximum(k - 1, 0)]
        return tf.where(k == 0, start, before), self.solution.times[k]

    def step(self, t: tf.Tensor, t1: tf.Tensor, z: Tensors, theta: Tensors) -> Tensors:
        """Return z at t1."""
        system = ForwardSystem(self.dynamics, self.options, theta, self.non_trainable)
        return runge_kutta_step(system, self.tableau, self.options.step_mode, (t, t1), z).y

    def states(self, i: tf.Tensor) -> list[tf.TensorArray]:
        """Return z before each of the steps that lead to the requested time i."""
        start, end = self.solution.num_stored[i - 1], self.solution.num_stored[i]
        z = [x[i - 1] for x in self.solution.z]
        kept = [tf.TensorArray(x.dtype, self.options.max_steps, element_shape=x.shape) for x in z]

        def body(k: tf.Tensor, z: Tensors, kept: Any) -> Any:
            kept = [array.write(k - start, x) for array, x in zip(kept, z, strict=True)]
            return k + 1, self.step(*self.span(k), z, self.theta), kept

        states: list[tf.TensorArray] = tf.while_loop(lambda k, *_: k < end, body, (start, z, kept))[2]
        return states

    def backprop_interval(
        self, i: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor
    ) -> tuple[Tensors, Tensors, tf.Tensor]:
        """Take the gradients from the requested time i back to the one before it."""
        start, end, kept = self.solution.num_stored[i - 1], self.solution.num_stored[i], self.states(i)

        def body(k: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor) -> Any:
            z = [array.read(k - start) for array in kept]
            a, of_theta, of_span = self.vjp(self.span(k), z, a)
            g_theta = [x + y for x, y in zip(g_theta, of_theta, strict=True)]
            return k - 1, a, g_theta, g_t + self._distribute_time_gradient(i, self.span(k), of_span)

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

    def _distribute_time_gradient(
        self, i: tf.Tensor, span: tuple[tf.Tensor, tf.Tensor], span_gradient: Tensors
    ) -> tf.Tensor:
        """Return what the requested times, (times,), have of the gradient of the times of one step."""
        start, end = self.t[i - 1], self.t[i]
        shares = [(x - start) / (end - start) for x in span]
        of_end = tf.add_n([tf.reduce_sum(s * g) for s, g in zip(shares, span_gradient, strict=True)])
        of_start = tf.add_n([tf.reduce_sum((1 - s) * g) for s, g in zip(shares, span_gradient, strict=True)])
        times = self.t.shape[0]
        return of_start * tf.one_hot(i - 1, times, dtype=tf.float64) + of_end * tf.one_hot(i, times, dtype=tf.float64)


def solve_discrete(
    dynamics: Dynamics,
    options: SolverOptions,
    solution: ForwardSolution,
    g: Tensors,
    t: tf.Tensor,
    theta: Tensors,
    non_trainable: Tensors,
) -> AdjointResult:
    """Return the gradients of the steps that were taken.

    Args:
        dynamics: f.
        options: the options of the forward solve.
        solution: the forward solve, recorded.
        g: dL/dz at the requested times, each (times, ...).
        t: (times,) float64.
        theta: the parameters of f.
        non_trainable: what else f has of variables.
    """
    replay, last = StepReplay(dynamics, options, solution, t, theta, non_trainable), t.shape[0] - 1

    def body(i: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor) -> Any:
        a = [x + u[i] for x, u in zip(a, g, strict=True)]
        return i - 1, *replay.backprop_interval(i, a, g_theta, g_t)

    a, g_theta, g_t = [tf.zeros_like(x[0]) for x in g], [tf.zeros_like(x) for x in theta], tf.zeros_like(t)
    if last > 0:
        _, a, g_theta, g_t = tf.while_loop(lambda i, *_: i > 0, body, (tf.constant(last), a, g_theta, g_t))
    a = [x + u[0] for x, u in zip(a, g, strict=True)]
    evaluations = 2 * replay.tableau.stages * solution.num_stored[last]
    return make_result(options, solution.solver_state._replace(nfe=evaluations), a, g_theta, g_t)
