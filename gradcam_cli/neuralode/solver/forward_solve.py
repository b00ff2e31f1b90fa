"""The forward solve: the state at each requested time."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.integrate import integrate_to
from gradcam_cli.neuralode.solver.solver_state import (
    SolverState,
    init_state,
    with_first_slope,
    with_first_step,
    without_state,
)
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


class ForwardSystem(NamedTuple):
    """The system dz/dt = f(t, z, *args), without quadratures."""

    dynamics: Dynamics
    options: SolverOptions
    args: Tensors

    def rhs(self, t: tf.Tensor, y: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors]:
        """Return f(t, y), and an empty list of quadratures."""
        return self.dynamics.rhs(self.options.step_mode.broadcast(t, y[0]), y, self.args), []

    def quadrature_rhs(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return an empty list: there are no quadratures."""
        return []


class ForwardSolution(NamedTuple):
    """The result of a forward solve.

    Attributes:
        z: the states, each (len(t), ...); NaN if the status is not SUCCESS.
        solver_state: the final solver state, without its large tensors.
        times: float64 (max_steps, ...), the stored times, or empty.
        num_stored: int32 (len(t),), number of stored times up to each requested time.
    """

    z: Tensors
    solver_state: SolverState
    times: tf.Tensor
    num_stored: tf.Tensor


def solve_forward(
    dynamics: Dynamics,
    options: SolverOptions,
    z: Tensors,
    t: tf.Tensor,
    args: Tensors,
    store_steps: bool,
) -> ForwardSolution:
    """Integrate from t[0] through all requested times.

    Args:
        dynamics: f.
        options: the solver options.
        z: the state at t[0].
        t: (times,) float64.
        args: the arguments of f after t and z.
        store_steps: whether to store the times of the accepted steps, for the discrete gradient.
    """
    system, num_times = ForwardSystem(dynamics, options, args), t.shape[0]
    p = init_state(options, t[0], z, [], options.first_step, store_steps)
    if num_times > 1:
        p = with_first_slope(options, system, p)
        if options.adaptive and options.first_step is None:
            p = with_first_step(options, system, p, t[1])
    states = [tf.TensorArray(x.dtype, num_times, element_shape=x.shape).write(0, x) for x in z]
    num_stored = tf.TensorArray(tf.int32, num_times, element_shape=[]).write(0, p.num_stored)

    def body(i: tf.Tensor, p: SolverState, states: Any, num_stored: Any) -> Any:
        p = integrate_to(options, system, p, t[i])
        states = [array.write(i, x) for array, x in zip(states, p.y, strict=True)]
        return i + 1, p, states, num_stored.write(i, p.num_stored)

    if num_times > 1:
        variables = (tf.constant(1), p, states, num_stored)
        _, p, states, num_stored = tf.while_loop(lambda i, *_: i < num_times, body, variables)
    zs = [_nan_if_failed(options, p, array.stack()) for array in states]
    times = p.times.stack() if store_steps else tf.zeros([0], tf.float64)
    return ForwardSolution(zs, without_state(p), times, num_stored.stack())


def _nan_if_failed(options: SolverOptions, p: SolverState, z: tf.Tensor) -> tf.Tensor:
    """Return the states (times, ...), with NaN for failed solves."""
    success = p.status == Status.SUCCESS
    nan = tf.constant(float("nan"), z.dtype)
    if not options.per_sample_steps:
        return tf.cond(success, lambda: z, lambda: tf.fill(tf.shape(z), nan))
    return tf.where(tf.reshape(success, [1, -1] + [1] * (len(z.shape) - 2)), z, nan)
