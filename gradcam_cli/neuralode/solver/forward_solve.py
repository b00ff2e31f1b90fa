"""The forward solve: z at each requested time."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.integrate import (
    SolverState,
    init_state,
    integrate_to,
    with_first_slope,
    with_first_step,
)
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


class ForwardSystem(NamedTuple):
    """The system dz/dt = f(t, z, theta)."""

    dynamics: Dynamics
    options: SolverOptions
    theta: Tensors
    non_trainable: Tensors

    def rhs(self, t: tf.Tensor, y: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors]:
        """Return f; there are no quadratures."""
        return self.dynamics.rhs(self.options.step_mode.broadcast(t, y[0]), y, self.theta, self.non_trainable), []

    def quadrature_rhs(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return nothing: there are no quadratures."""
        return []


class ForwardSolution(NamedTuple):
    """What a forward solve found.

    Attributes:
        z: the states, each (len(t), ...); NaN if the status is not DONE.
        solver_state: where it ended; without state.
        times: the recorded times, (max_steps, ...) float64, or empty.
        num_stored: how many of them belong to the requested times up to each, (len(t),) int32, or empty.
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
    theta: Tensors,
    non_trainable: Tensors,
    store_steps: bool,
) -> ForwardSolution:
    """Integrate from t[0] through all of t.

    Args:
        dynamics: f.
        options: the options.
        z: the state at t[0].
        t: (times,) float64.
        theta: the parameters of f.
        non_trainable: what else f has of variables.
        store_steps: whether the times of accepted steps are kept, for the discrete gradient.
    """
    system, times = ForwardSystem(dynamics, options, theta, non_trainable), t.shape[0]
    p = init_state(options, t[0], z, [], None if options.first_step is None else options.first_step, store_steps)
    if times > 1:
        p = with_first_slope(options, system, p)
        if options.adaptive and options.first_step is None:
            p = with_first_step(options, system, p, t[1])
    states = [tf.TensorArray(x.dtype, times, element_shape=x.shape).write(0, x) for x in z]
    rows = tf.TensorArray(tf.int32, times, element_shape=[]).write(0, p.num_stored)

    def body(i: tf.Tensor, p: SolverState, states: Any, rows: Any) -> Any:
        p = integrate_to(options, system, p, t[i])
        return i + 1, p, [array.write(i, x) for array, x in zip(states, p.y, strict=True)], rows.write(i, p.num_stored)

    if times > 1:
        _, p, states, rows = tf.while_loop(lambda i, *_: i < times, body, (tf.constant(1), p, states, rows))
    zs = [_nan_if_failed(options, p, array.stack()) for array in states]
    kept = p.times.stack() if store_steps else tf.zeros([0], tf.float64)
    return ForwardSolution(zs, without_state(p), kept, rows.stack())


def without_state(p: SolverState) -> SolverState:
    """Return the progress without its large parts."""
    return p._replace(y=[], q=[], first_slope=([], []), times=())


def _nan_if_failed(options: SolverOptions, p: SolverState, z: tf.Tensor) -> tf.Tensor:
    """Return the states (times, ...), with NaN in the place of those that were not solved to the end."""
    done = p.status == Status.SUCCESS
    nan = tf.constant(float("nan"), z.dtype)
    if options.batch_coupled:
        return tf.cond(done, lambda: z, lambda: tf.fill(tf.shape(z), nan))
    return tf.where(tf.reshape(done, [1, -1] + [1] * (len(z.shape) - 2)), z, nan)
