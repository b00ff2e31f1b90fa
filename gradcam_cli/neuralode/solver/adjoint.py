"""The gradient by the adjoint method: one solve backward in time, with memory that does not grow with the steps.

The augmented state Z = [z, theta, t] has the adjoint [a_z, a_theta, a_t], which obeys

    da_z/dt = -a_z df/dz,    da_theta/dt = -a_z df/dtheta,    da_t/dt = -a_z df/dt

Backward from the last requested time to the first, a_z jumps at each of them by the gradient of the loss with respect
to the state there. a_theta and a_t are pure quadratures: nothing depends on them.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 2, appendices B.2 and C.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution, without_state
from gradcam_cli.neuralode.solver.integrate import SolverState, init_state, integrate_to, with_first_slope
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

FIRST_BACKWARD_STEP = 0.1
"""Of the last span: the first step backward, where the forward solve had fixed steps."""


class AugmentedSystem(NamedTuple):
    """The system of z and a_z, y = [*z, *a], with the quadratures [*a_theta] and, if asked for, a_t.

    All adjoints are in the unit (), or for each sample (n,); only what `quadrature_rhs` returns is in the loss's own.
    """

    dynamics: Dynamics
    options: SolverOptions
    theta: Tensors
    non_trainable: Tensors
    need_time_gradient: bool
    scale: tf.Tensor

    def rhs(self, t: tf.Tensor, y: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors]:
        """Return [f, -a df/dz] and, if dense and not left to `quadrature_rhs`, -a df/d(theta, t)."""
        need_quadrature = need_quadrature and self.options.batch_coupled
        dz, da, v = self._vjp(t, y, y[len(y) // 2 :], need_quadrature)
        return [*dz, *da], v

    def quadrature_rhs(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return the sum over the samples of -weight a df/d(theta, t)."""
        a = [self.options.step_mode.broadcast(weight * self.scale, x) * x for x in y[len(y) // 2 :]]
        v = self._vjp(t, y, a, True)[2]
        return [*v[:-1], tf.reduce_sum(v[-1])] if self.need_time_gradient else v

    def _vjp(self, t: tf.Tensor, y: Tensors, a: Tensors, need_quadrature: bool) -> tuple[Tensors, Tensors, Tensors]:
        z = y[: len(y) // 2]
        time, of_t = self.options.step_mode.broadcast(t, z[0]), need_quadrature and self.need_time_gradient
        found: tuple[Tensors, Tensors, Tensors] = self.dynamics.rhs_and_vjp(
            time, z, a, self.theta, self.non_trainable, of_theta=need_quadrature and bool(self.theta), of_t=of_t
        )
        return found


class AdjointResult(NamedTuple):
    """Gradients of the loss.

    Attributes:
        z: with respect to z0.
        theta: with respect to the parameters.
        t: (times,) float64, with respect to the requested times; zeros if not asked for.
        solver_state: where the backward solve ended; without state.
    """

    z: Tensors
    theta: Tensors
    t: tf.Tensor
    solver_state: SolverState


def solve_adjoint(
    dynamics: Dynamics,
    options: SolverOptions,
    solution: ForwardSolution,
    g: Tensors,
    t: tf.Tensor,
    theta: Tensors,
    non_trainable: Tensors,
    need_time_gradient: bool,
    theta_in_norm: bool,
) -> AdjointResult:
    """Integrate z, a_z, a_theta and a_t backward through the requested times.

    The whole is linear in a, so a is solved in units of its own size: the tolerances mean the same for
    a loss of any scale.

    Args:
        dynamics: f.
        options: the options of the backward solve.
        solution: the forward solve; its states replace the backward ones at each requested time.
        g: dL/dz at the requested times, each (times, ...).
        t: (times,) float64.
        theta: the parameters of f.
        non_trainable: what else f has of variables.
        need_time_gradient: whether the gradient of the times is wanted.
        theta_in_norm: whether the quadratures take part in the choice of steps.
    """
    last, unit = t.shape[0] - 1, _adjoint_scale(options, g)
    system = AugmentedSystem(dynamics, options, theta, non_trainable, need_time_gradient, unit)
    jumps = [x / broadcast_scale(options, unit, x) for x in g]
    p = _initial_state(options, solution, jumps, t, theta, need_time_gradient)
    of_times = tf.TensorArray(tf.float64, last + 1, element_shape=[]).write(0, tf.zeros([], tf.float64))

    def body(i: tf.Tensor, p: SolverState, of_times: Any) -> Any:
        a = [x + u[i] for x, u in zip(p.y[len(g) :], jumps, strict=True)]
        p = with_first_slope(options, system, p._replace(y=[*(x[i] for x in solution.z), *a]))
        if need_time_gradient:
            p, f = _dynamics_at(options, system, p)
            of_times = of_times.write(i, _dot([u[i] for u in g], f))
        return i - 1, integrate_to(options, system, p, t[i - 1], theta_in_norm), of_times

    if last > 0:
        _, p, of_times = tf.while_loop(lambda i, *_: i > 0, body, (tf.constant(last), p, of_times))
    a = [(x + u[0]) * broadcast_scale(options, unit, u)[0] for x, u in zip(p.y[len(g) :], jumps, strict=True)]
    q = [x * tf.cast(unit, x.dtype) for x in p.q] if options.batch_coupled else p.q
    gt = _time_gradients(of_times.stack(), q[-1]) if need_time_gradient else tf.zeros_like(t)
    return make_result(options, p, a, q[: len(theta)], gt)


def make_result(options: SolverOptions, p: SolverState, z: Tensors, theta: Tensors, t: tf.Tensor) -> AdjointResult:
    """Return the gradients, with NaN in the place of those that were not solved to the end."""
    done = p.status == Status.SUCCESS
    clean = tf.where(tf.reduce_all(done), 0.0, float("nan"))
    of_z = [x + options.step_mode.broadcast(tf.where(done, 0.0, float("nan")), x) for x in z]
    return AdjointResult(
        of_z, [x + tf.cast(clean, x.dtype) for x in theta], t + tf.cast(clean, t.dtype), without_state(p)
    )


def _initial_state(
    options: SolverOptions,
    solution: ForwardSolution,
    g: Tensors,
    t: tf.Tensor,
    theta: Tensors,
    need_time_gradient: bool,
) -> SolverState:
    """Return the progress at the last requested time, before the jump there."""
    last = t.shape[0] - 1
    q = [*(tf.zeros_like(x) for x in theta), *([tf.zeros([], g[0].dtype)] if need_time_gradient else [])]
    y = [*(x[last] for x in solution.z), *(tf.zeros_like(x[last]) for x in g)]
    p = init_state(options, t[last], y, q, None, store_steps=False)
    k = [tf.zeros_like(x) for x in y] if options.adaptive and options.tableau.fsal else []
    v = [tf.zeros_like(x) for x in q] if k and options.batch_coupled else []
    span = tf.abs(t[last] - t[last - 1])
    h = tf.where(solution.solver_state.next_step > 0, solution.solver_state.next_step, FIRST_BACKWARD_STEP * span)
    return p._replace(first_slope=(k, v), next_step=h, status=solution.solver_state.status)


def _adjoint_scale(options: SolverOptions, g: Tensors) -> tf.Tensor:
    """Return the size of all jumps together, a clock's, float64; 1 where there are none."""
    one = [tf.sqrt(tf.reduce_sum(tf.square(x), axis=0)) for x in g]
    unit = options.step_mode.rms(one)
    return tf.where(unit == 0, tf.ones_like(unit), unit)


def broadcast_scale(options: SolverOptions, scale: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
    """Return a clock's value in a form that multiplies a tensor (times, ...)."""
    return options.step_mode.broadcast(scale, g[0])[tf.newaxis]


def _dynamics_at(options: SolverOptions, system: AugmentedSystem, p: SolverState) -> tuple[SolverState, Tensors]:
    """Return f where the solve is: known, or at the price of an evaluation."""
    n = len(p.y) // 2
    if p.first_slope[0]:
        return p, p.first_slope[0][:n]
    time = options.step_mode.broadcast(p.t, p.y[0])
    f = system.dynamics.rhs(time, p.y[:n], system.theta, system.non_trainable)
    return p._replace(nfe=p.nfe + 1), f


def _dot(u: Tensors, v: Tensors) -> tf.Tensor:
    """Return u . v over all tensors, float64 ()."""
    return tf.add_n([tf.reduce_sum(tf.cast(x * y, tf.float64)) for x, y in zip(u, v, strict=True)])


def _time_gradients(time_gradients: tf.Tensor, a_t: tf.Tensor) -> tf.Tensor:
    """Return dL/dt, (times,): a later time moves its own state only; a_t, that of t0, moves all of them along."""
    first = tf.cast(a_t, tf.float64) - tf.reduce_sum(time_gradients[1:])
    return tf.concat([first[tf.newaxis], time_gradients[1:]], axis=0)
