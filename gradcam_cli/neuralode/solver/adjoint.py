"""Adjoint gradients: a single solve backward in time, with memory independent of the number of steps.

The augmented state Z = [z, theta, t] has the adjoint [a_z, a_theta, a_t], which obeys

    da_z/dt = -a_z df/dz,    da_theta/dt = -a_z df/dtheta,    da_t/dt = -a_z df/dt

At each requested time, a_z jumps by the gradient of the loss with respect to the state at that time. Adaptive steps
pass over the times where this gradient is zero. a_theta and a_t are quadratures: the right-hand side does not depend
on them.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 2, appendices B.2 and C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.batching import time_within
from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution
from gradcam_cli.neuralode.solver.integrate import integrate_to
from gradcam_cli.neuralode.solver.solver_state import (
    SolverState,
    init_state,
    with_first_slope,
    with_newton,
    without_state,
)
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

FIRST_BACKWARD_STEP = 0.1
"""First backward step after a forward solve with fixed steps, as a fraction of the last interval."""


class AugmentedSystem(NamedTuple):
    """The system of z and a_z, y = [*z, *a], with the quadratures [*a_theta] and, if requested, a_t.

    The adjoints in y are divided by `scale`, () or (n,). `quadrature_rhs` returns unscaled quadratures.
    """

    dynamics: Dynamics
    options: SolverOptions
    args: Tensors
    need_time_gradient: bool
    scale: tf.Tensor
    bounds: tuple[tf.Tensor, tf.Tensor] | None = None

    @property
    def has_quadratures(self) -> bool:
        """Whether `rhs` returns quadratures."""
        return not self.options.per_sample_steps and bool(self.need_time_gradient or self.dynamics.theta(self.args))

    def rhs(self, t: tf.Tensor, y: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors]:
        """Return [f, -a df/dz], and -a df/d(theta, t) if requested and all samples share their steps."""
        need_quadrature = need_quadrature and not self.options.per_sample_steps
        dz, da, v = self._vjp(t, y, y[len(y) // 2 :], need_quadrature)
        return [*dz, *da], v

    def quadrature_rhs(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return the sum over the samples of -weight a df/dtheta, and -weight a df/dt (n,)."""
        a = [self.options.step_mode.broadcast(weight * self.scale, x) * x for x in y[len(y) // 2 :]]
        v = self._vjp(t, y, a, True)[2]
        return [*v[:-1], tf.reshape(v[-1], [-1])] if self.need_time_gradient else v

    def between(self, t: tf.Tensor, t1: tf.Tensor) -> AugmentedSystem:
        """Return the system that evaluates f only strictly between two times."""
        return self._replace(bounds=(t, t1))

    def _vjp(self, t: tf.Tensor, y: Tensors, a: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors, Tensors]:
        z = y[: len(y) // 2]
        time = time_within(self.options.step_mode, t, z[0], self.bounds)
        vjp: tuple[Tensors, Tensors, Tensors] = self.dynamics.rhs_and_vjp(
            time,
            z,
            a,
            self.args,
            need_theta_gradient=need_quadrature and bool(self.dynamics.theta(self.args)),
            need_time_gradient=need_quadrature and self.need_time_gradient,
        )
        return vjp


class AdjointResult(NamedTuple):
    """Gradients of the loss.

    Attributes:
        z: with respect to z0.
        theta: with respect to `Dynamics.theta`.
        t: float64 (times, ...), per step mode, with respect to the requested times; zeros if not requested.
        solver_state: the final state of the backward solve, without its large tensors.
    """

    z: Tensors
    theta: Tensors
    t: tf.Tensor
    solver_state: SolverState


def solve_adjoint(
    dynamics: Dynamics,
    options: SolverOptions,
    forward_options: SolverOptions,
    solution: ForwardSolution,
    g: Tensors,
    args: Tensors,
    need_time_gradient: bool,
    adjoint_seminorm: bool,
) -> AdjointResult:
    """Integrate z, a_z, a_theta and a_t backward through the requested times.

    The system is linear in a, so a is divided by its norm: the tolerances are independent of the scale of the loss.

    Args:
        dynamics: f.
        options: the options of the backward solve.
        forward_options: the options of the forward solve.
        solution: the forward solve. At each requested time with a jump, its states replace the backward ones.
        g: dL/dz at the requested times, each (times, ...).
        args: the arguments of f after t and z.
        need_time_gradient: whether to compute the gradient of the times.
        adjoint_seminorm: whether the error norm excludes the quadratures.
    """
    t, mode, scale, theta = solution.t, options.step_mode, _adjoint_scale(options, g), dynamics.theta(args)
    num_times = t.shape[0] or tf.shape(t)[0]
    system = AugmentedSystem(dynamics, options, args, need_time_gradient, scale)
    jumps = [x / _broadcast_scale(options, scale, x) for x in g]
    is_stop = _is_stop(options, g)
    p = _initial_state(options, solution, jumps, theta, need_time_gradient)
    time_gradients = tf.TensorArray(tf.float64, num_times, element_shape=t.shape[1:]).unstack(tf.zeros_like(t))

    def body(i: tf.Tensor, p: SolverState, time_gradients: Any) -> Any:
        a = [x + u[i] for x, u in zip(p.y[len(g) :], jumps, strict=True)]
        p = with_first_slope(options, system, p._replace(t=t[i], y=[*(x[i] for x in solution.z), *a]))
        if need_time_gradient:
            p, f = _dynamics_at(options, system, p)
            time_gradients = time_gradients.write(i, mode.dot([u[i] for u in g], f))
        stop = _stop_before(is_stop, i)
        p = integrate_to(options, system, p, t[stop], not adjoint_seminorm)
        return stop, _check_reconstruction((forward_options, options), p, [x[stop] for x in solution.z]), time_gradients

    if t.shape[0] != 1:
        variables = (_stop_before(is_stop, tf.constant(num_times)), p, time_gradients)
        _, p, time_gradients = tf.while_loop(lambda i, *_: i > 0, body, variables)
    a = [(x + u[0]) * _broadcast_scale(options, scale, u)[0] for x, u in zip(p.y[len(g) :], jumps, strict=True)]
    q = [x * tf.cast(scale, x.dtype) for x in p.q] if not options.per_sample_steps else p.q
    gt = _time_gradients(time_gradients.stack(), q[-1]) if need_time_gradient else tf.zeros_like(t)
    return make_result(options, p, a, q[: len(theta)], gt)


def _is_stop(options: SolverOptions, g: Tensors) -> tf.Tensor:
    """Return whether the backward solve stops at each requested time, bool (times,).

    Adaptive steps stop where the loss depends on the state, fixed steps at every time.
    """
    jumps = [tf.reduce_any(x != 0, axis=list(range(1, len(x.shape)))) for x in g]
    return tf.reduce_any(tf.stack(jumps), axis=0) | (not options.adaptive)


def _stop_before(is_stop: tf.Tensor, i: tf.Tensor) -> tf.Tensor:
    """Return the last index below i of a stop; 0 without one."""
    index: tf.Tensor = tf.while_loop(lambda j: (j > 0) & ~is_stop[j], lambda j: (j - 1,), (i - 1,))[0]
    return index


def _check_reconstruction(options: tuple[SolverOptions, SolverOptions], p: SolverState, z: Tensors) -> SolverState:
    """Return p; with the status NOT_REVERSIBLE if its state differs too much from z, that of the forward solve.

    The unit of the difference is the looser of the tolerances of the two solves.
    """
    if not all(x.adaptive for x in options):
        return p
    error = [x - y for x, y in zip(p.y[: len(z)], z, strict=True)]
    wrong = tf.reduce_all([x.error_norm(error, z, z) > x.max_reconstruction_error for x in options], axis=0)
    wrong &= p.status == Status.SUCCESS
    return p._replace(status=tf.where(wrong, int(Status.NOT_REVERSIBLE), p.status))


def make_result(options: SolverOptions, p: SolverState, z: Tensors, theta: Tensors, t: tf.Tensor) -> AdjointResult:
    """Return the gradients, with NaN for failed solves."""
    return with_nan(options, AdjointResult(z, theta, t, without_state(p)), p.status != Status.SUCCESS)


def with_nan(options: SolverOptions, result: AdjointResult, invalid: tf.Tensor) -> AdjointResult:
    """Return a result with NaN for invalid gradients.

    Args:
        options: the solver options.
        result: the gradients.
        invalid: bool, () or (n,); the parameters and times are shared by all samples.
    """
    nan = tf.where(invalid, float("nan"), 0.0)
    shared = tf.reduce_sum(nan)
    return result._replace(
        z=[x + options.step_mode.broadcast(nan, x) for x in result.z],
        theta=[x + tf.cast(shared, x.dtype) for x in result.theta],
        t=result.t + tf.cast(shared, result.t.dtype),
    )


def _initial_state(
    options: SolverOptions,
    solution: ForwardSolution,
    g: Tensors,
    theta: Sequence[Any],
    need_time_gradient: bool,
) -> SolverState:
    """Return the solver state at the last requested time, before its jump."""
    t = solution.t
    q = [
        *(tf.zeros_like(x) for x in theta),
        *([tf.cast(tf.zeros_like(t[0]), g[0].dtype)] if need_time_gradient else []),
    ]
    p = init_state(t[-1], [*(x[-1] for x in solution.z), *(tf.zeros_like(x[-1]) for x in g)], q, None)
    y = p.y
    k = [tf.zeros_like(x) for x in y] if options.adaptive and options.tableau.fsal else []
    v = [tf.zeros_like(x) for x in q] if k and not options.per_sample_steps else []
    span = tf.abs(t[-1] - t[-2]) if t.shape[0] != 1 else tf.zeros_like(t[0])
    h = tf.where(solution.solver_state.next_step > 0, solution.solver_state.next_step, FIRST_BACKWARD_STEP * span)
    return with_newton(options, p._replace(first_slope=(k, v), next_step=h, status=solution.solver_state.status))


def _adjoint_scale(options: SolverOptions, g: Tensors) -> tf.Tensor:
    """Return the root mean square of all jumps, float64 () or (n,); 1 if all are zero."""
    norms = [tf.sqrt(tf.reduce_sum(tf.square(x), axis=0)) for x in g]
    scale = options.step_mode.rms(norms)
    return tf.where(scale == 0, tf.ones_like(scale), scale)


def _broadcast_scale(options: SolverOptions, scale: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
    """Return the scale in a shape that broadcasts with g (times, ...)."""
    return options.step_mode.broadcast(scale, g[0])[tf.newaxis]


def _dynamics_at(options: SolverOptions, system: AugmentedSystem, p: SolverState) -> tuple[SolverState, Tensors]:
    """Return the solver state and f at the current time, from the first slope or from a function evaluation."""
    n = len(p.y) // 2
    if p.first_slope[0]:
        return p, p.first_slope[0][:n]
    time = options.step_mode.broadcast(p.t, p.y[0])
    f = system.dynamics.rhs(time, p.y[:n], system.args)
    return p._replace(nfe=p.nfe + 1), f


def _time_gradients(time_gradients: tf.Tensor, a_t: tf.Tensor) -> tf.Tensor:
    """Return dL/dt, (times, ...).

    dL/dt_i = g_i . f(t_i, z_i) for i > 0, and dL/dt_0 = a_t(t_0) - sum_i dL/dt_i

    Args:
        time_gradients: float64 (times, ...), g_i . f(t_i, z_i); the first is ignored.
        a_t: the quadrature a_t at t_0.
    """
    first = tf.cast(a_t, tf.float64) - tf.reduce_sum(time_gradients[1:], axis=0)
    return tf.concat([first[tf.newaxis], time_gradients[1:]], axis=0)
