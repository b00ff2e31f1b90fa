"""Discrete gradients: recompute the accepted steps, and backpropagate through them one by one.

Memory grows with the number of steps between two requested times. The relative step sizes within such an interval are
constants: they have no gradient.
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
    """The accepted steps of a forward solve, recomputed and differentiated.

    Args:
        dynamics: f.
        options: the options of the forward solve.
        solution: the forward solve.
        t: (times,) float64.
        args: the arguments of f after t and z.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        options: SolverOptions,
        solution: ForwardSolution,
        t: tf.Tensor,
        args: Tensors,
    ) -> None:
        self.options, self.solution, self.t = options, solution, t
        self.system, self.theta = ForwardSystem(dynamics, options, args), dynamics.theta(args)
        self.tableau = options.tableau.without_error_estimate()

    def span(self, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the times at the start and end of step k."""
        start = self.options.step_mode.batch_time(self.t[0], [x[0] for x in self.solution.z])
        previous = self.solution.times[tf.maximum(k - 1, 0)]
        return tf.where(k == 0, start, previous), self.solution.times[k]

    def step(self, t: tf.Tensor, t1: tf.Tensor, z: Tensors) -> Tensors:
        """Return z at t1, from z at t."""
        return runge_kutta_step(self.system, self.tableau, self.options.step_mode, (t, t1), z).y

    def states(self, i: tf.Tensor) -> list[tf.TensorArray]:
        """Return z before each step of the interval that ends at the requested time i."""
        start, end = self.solution.num_stored[i - 1], self.solution.num_stored[i]
        z = [x[i - 1] for x in self.solution.z]
        arrays = [tf.TensorArray(x.dtype, self.options.max_steps, element_shape=x.shape) for x in z]

        def body(k: tf.Tensor, z: Tensors, arrays: Any) -> Any:
            arrays = [array.write(k - start, x) for array, x in zip(arrays, z, strict=True)]
            return k + 1, self.step(*self.span(k), z), arrays

        states: list[tf.TensorArray] = tf.while_loop(lambda k, *_: k < end, body, (start, z, arrays))[2]
        return states

    def backprop_interval(
        self, i: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor
    ) -> tuple[Tensors, Tensors, tf.Tensor]:
        """Backpropagate from the requested time i to the time before it.

        Args:
            i: int32 (), index of the requested time.
            a: dL/dz at that time.
            g_theta: dL/dtheta so far.
            g_t: dL/dt so far, (times,) float64.

        Returns:
            a, g_theta and g_t at the start of the interval.
        """
        start, end, states = self.solution.num_stored[i - 1], self.solution.num_stored[i], self.states(i)

        def body(k: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor) -> Any:
            z = [array.read(k - start) for array in states]
            a, theta_gradient, span_gradient = self.vjp(self.span(k), z, a)
            g_theta = [x + y for x, y in zip(g_theta, theta_gradient, strict=True)]
            return k - 1, a, g_theta, g_t + self._distribute_time_gradient(i, self.span(k), span_gradient)

        _, a, g_theta, g_t = tf.while_loop(
            lambda k, *_: k >= start,
            body,
            (end - 1, a, g_theta, g_t),
            parallel_iterations=1,  # the default runs ten steps ahead, with the memory of their gradients
        )
        return a, g_theta, g_t

    def vjp(self, span: tuple[tf.Tensor, tf.Tensor], z: Tensors, a: Tensors) -> tuple[Tensors, Tensors, Tensors]:
        """Return a times the derivatives of a step with respect to z, theta, and its start and end times."""
        sources = [*z, *self.theta, *span]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            z1 = self.step(*span, z)
        gradients = tape.gradient(z1, sources, a, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(x) for x in gradients]
        return gradients[: len(z)], gradients[len(z) : -2], gradients[-2:]

    def _distribute_time_gradient(
        self, i: tf.Tensor, span: tuple[tf.Tensor, tf.Tensor], span_gradient: Tensors
    ) -> tf.Tensor:
        """Return the gradient of the requested times, (times,), from that of the start and end of a step.

        A step time at the fraction s of its interval passes s of its gradient to the end, and 1 - s to the start.
        """
        start, end = self.t[i - 1], self.t[i]
        fractions = [(x - start) / (end - start) for x in span]
        end_gradient = tf.add_n([tf.reduce_sum(s * g) for s, g in zip(fractions, span_gradient, strict=True)])
        start_gradient = tf.add_n([tf.reduce_sum((1 - s) * g) for s, g in zip(fractions, span_gradient, strict=True)])
        start_index, end_index = (tf.one_hot(j, self.t.shape[0], dtype=tf.float64) for j in (i - 1, i))
        return start_gradient * start_index + end_gradient * end_index


def solve_discrete(
    dynamics: Dynamics,
    options: SolverOptions,
    solution: ForwardSolution,
    g: Tensors,
    t: tf.Tensor,
    args: Tensors,
) -> AdjointResult:
    """Return the exact gradients of the accepted steps.

    Args:
        dynamics: f.
        options: the options of the forward solve.
        solution: the forward solve, with its stored steps.
        g: dL/dz at the requested times, each (times, ...).
        t: (times,) float64.
        args: the arguments of f after t and z.
    """
    replay, last = StepReplay(dynamics, options, solution, t, args), t.shape[0] - 1

    def body(i: tf.Tensor, a: Tensors, g_theta: Tensors, g_t: tf.Tensor) -> Any:
        a = [x + u[i] for x, u in zip(a, g, strict=True)]
        return i - 1, *replay.backprop_interval(i, a, g_theta, g_t)

    a, g_theta, g_t = [tf.zeros_like(x[0]) for x in g], [tf.zeros_like(x) for x in replay.theta], tf.zeros_like(t)
    if last > 0:
        _, a, g_theta, g_t = tf.while_loop(lambda i, *_: i > 0, body, (tf.constant(last), a, g_theta, g_t))
    a = [x + u[0] for x, u in zip(a, g, strict=True)]
    nfe = 2 * replay.tableau.stages * solution.num_stored[last]
    return make_result(options, solution.solver_state._replace(nfe=nfe), a, g_theta, g_t)
