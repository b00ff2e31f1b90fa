"""The forward solve: the state at each requested time."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.batching import time_within
from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.fixed_steps import AfterStep
from gradcam_cli.neuralode.solver.integrate import integrate_to
from gradcam_cli.neuralode.solver.recorder import Recorder, Records
from gradcam_cli.neuralode.solver.solver_state import (
    SolverState,
    init_state,
    with_first_slope,
    with_first_step,
    with_newton,
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
    bounds: tuple[tf.Tensor, tf.Tensor] | None = None

    @property
    def has_quadratures(self) -> bool:
        """Whether `rhs` returns quadratures."""
        return False

    def rhs(self, t: tf.Tensor, y: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors]:
        """Return f(t, y), and an empty list of quadratures."""
        time = time_within(self.options.step_mode, t, y[0], self.bounds)
        return self.dynamics.rhs(time, y, self.args), []

    def quadrature_rhs(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return an empty list: there are no quadratures."""
        return []

    def between(self, t: tf.Tensor, t1: tf.Tensor) -> ForwardSystem:
        """Return the system that evaluates f only strictly between two times."""
        return self._replace(bounds=(t, t1))


class ForwardSolution(NamedTuple):
    """The result of a forward solve. Times are float64, per step mode.

    Attributes:
        z: the states, each (times, ...); NaN if the status is not SUCCESS.
        t: (times, ...), the times of the states.
        solver_state: the final solver state, without its large tensors.
        ends: (max_steps, ...), the time after each step, or empty.
        polynomials: the coefficients of the steps, each (steps, degree + 1, ...), or empty.
    """

    z: Tensors
    t: tf.Tensor
    solver_state: SolverState
    ends: tf.Tensor
    polynomials: Tensors


def solve_forward(
    dynamics: Dynamics,
    options: SolverOptions,
    z: Tensors,
    t: tf.Tensor,
    args: Tensors,
    store_ends: bool,
    store_states: bool = False,
) -> ForwardSolution:
    """Integrate from t[0] through all requested times.

    Args:
        dynamics: f.
        options: the solver options.
        z: the state at t[0].
        t: float64 (times, ...), per step mode.
        args: the arguments of f after t and z.
        store_ends: whether to store the times of the steps, for the discrete gradient.
        store_states: whether to return the state after each step instead of the states at the requested times.
    """
    system = ForwardSystem(dynamics, options, args)
    recorder = Recorder(options, t, store_ends, store_states)
    p = init_state(t[0], z, [], options.first_step)._replace(records=recorder.start(z))
    if t.shape[0] > 1:
        p = integrate_times(options, system, p, t, recorder.after_step)
    records: Records = p.records
    if store_states:
        steps = tf.range(p.num_stored)
        t = tf.concat([t[:1], records.ends.gather(steps)], axis=0)
        inner = [array.gather(steps)[:-1] for array in records.states]
    else:
        inner = [options.step_mode.read_all(x)[:-1] for x in records.z]
    states = [x[tf.newaxis] for x in z]
    if t.shape[0] != 1:
        last = [y[tf.newaxis] for y in p.y]
        states = [tf.concat(parts, axis=0) for parts in zip(states, *([inner] if inner else []), last, strict=True)]
    return ForwardSolution(
        [_nan_if_failed(options, p, x) for x in states],
        t,
        without_state(p),
        records.ends.stack() if recorder.needs_ends else tf.zeros([0], tf.float64),
        [array.gather(tf.range(p.num_stored)) for array in records.polynomials],
    )


def integrate_times(
    options: SolverOptions, system: ForwardSystem, p: SolverState, t: tf.Tensor, after_step: AfterStep
) -> SolverState:
    """Integrate to the last of at least two times (times, ...); fixed steps end at each of them."""
    p = with_first_slope(options, system, with_newton(options, p))
    if options.adaptive and options.first_step is None:
        p = with_first_step(options, system, p, t[-1])
    if options.adaptive:
        return integrate_to(options, system, p, t[-1], after_step=after_step)

    def body(i: tf.Tensor, p: SolverState) -> Any:
        return i + 1, integrate_to(options, system, p, t[i], after_step=after_step)

    final: SolverState = tf.while_loop(lambda i, _: i < t.shape[0], body, (tf.constant(1), p))[1]
    return final


def _nan_if_failed(options: SolverOptions, p: SolverState, z: tf.Tensor) -> tf.Tensor:
    """Return the states (times, ...), with NaN for failed solves."""
    success = p.status == Status.SUCCESS
    nan = tf.constant(float("nan"), z.dtype)
    if not options.per_sample_steps:
        return tf.cond(success, lambda: z, lambda: tf.fill(tf.shape(z), nan))
    return tf.where(tf.reshape(success, [1, -1] + [1] * (len(z.shape) - 2)), z, nan)
