"""`odeint`: the solution of an ordinary differential equation, with its gradients."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.adjoint import AdjointResult, solve_adjoint
from gradcam_cli.neuralode.solver.arguments import adjoint_options, validate_state, validate_times
from gradcam_cli.neuralode.solver.discrete_adjoint import solve_discrete
from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution, solve_forward
from gradcam_cli.neuralode.solver.status import graph_assert_success, raise_on_failure
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

GRADIENTS = ("adjoint", "discrete")


class Solution(NamedTuple):
    """What a solve found. All of it are tensors, so that a `tf.function` can return it.

    Attributes:
        z: the states at the requested times, (len(t), ...), in the structure of z0; NaN if the solve failed.
        nfe: int32 (), how often f was evaluated.
        accepted, rejected: int32, steps; (), or (n,) where each sample has steps of its own. So are the following.
        status: int32, a `Status`.
        t: float64, the time reached.
        dt: float64, the step last tried.
    """

    z: Any
    nfe: tf.Tensor
    num_accepted_steps: tf.Tensor
    num_rejected_steps: tf.Tensor
    status: tf.Tensor
    t: tf.Tensor
    dt: tf.Tensor

    def raise_if_failed(self) -> None:
        """Say whether the solve reached its last time: for solves that XLA compiled, which cannot say so themselves.

        Raises:
            SolverError: it did not.
        """
        steps = np.asarray(self.num_accepted_steps) + np.asarray(self.num_rejected_steps)
        raise_on_failure(np.asarray(self.status), np.asarray(self.t), np.asarray(self.dt), steps, "forward")


def odeint(
    f: Callable[..., Any],
    z0: Any,
    t: Any,
    *,
    solver: str = "dopri5",
    rtol: float = 1e-6,
    atol: float = 1e-8,
    gradient: str = "adjoint",
    step_size: float | None = None,
    first_step: float | None = None,
    max_steps: int = 10_000,
    batch_coupled: bool = True,
    adjoint_solver: str | None = None,
    adjoint_rtol: float | None = None,
    adjoint_atol: float | None = None,
    theta_in_norm: bool = False,
    jit_compile: bool = False,
    backward_callback: Callable[[tf.Tensor], None] | None = None,
) -> Solution:
    """Solve dz/dt = f(t, z), z(t[0]) = z0, for the states at all of t.

    The states are differentiable with respect to z0, to the parameters of f, and to each of t, once. The parameters
    are a layer's trainable variables; of a function, the trainable variables that it reads when it is traced, once.
    A tensor that a function closes over is a constant: it is not differentiated. f is traced, never run eagerly,
    and its traces are kept for as long as f lives.

    Args:
        f: a Keras layer, or a function, of t () and z, that returns dz/dt in the structure, shapes and dtype of z.
            With batch_coupled=False t is of shape (n, 1, ...), as many axes as z has.
        z0: the state at t[0]: a tensor of float32 or float64, or a (nested) tuple of them.
        t: (times,), increasing or decreasing; their gradients are computed if it is a tensor or a variable.
        solver: a name in `tableaus.SOLVERS`.
        rtol: relative tolerance of an adaptive solver.
        atol: absolute tolerance, in units of z.
        gradient: `adjoint`, solved backward in time with its own error and in constant memory, or `discrete`,
            exact for the steps that were taken, all of which are stored.
        step_size: fixed steps of at most this size. None: adaptive steps; of a solver that estimates no error,
            one step from each time to the next.
        first_step: size of the first step; None: Hairer's rule, for one evaluation.
        max_steps: of all steps, accepted or not. Under XLA `discrete` sets memory for so many aside.
        batch_coupled: False: each sample, along the first axis of z0, takes steps of its own.
        adjoint_solver: of the backward solve; None: the same.
        adjoint_rtol: likewise.
        adjoint_atol: likewise, relative to the size of dL/dz.
        theta_in_norm: whether the gradient of the parameters takes part in the choice of the backward steps.
        jit_compile: compile the solve by XLA, which pays for a small f.
        backward_callback: called with the number of evaluations of each backward pass.

    Returns:
        The solution. Where TensorFlow runs eagerly or in a `tf.function`, it is one that succeeded.

    Raises:
        UsageError: an argument that cannot be meant, or an f whose own `tf.function` reads its parameters.
        SolverError: eagerly, forward or backward: NotFiniteError, StepUnderflowError or TooManyStepsError.
        tf.errors.InvalidArgumentError: in a `tf.function`, with the sentence of these. XLA knows no errors: there z and
            the gradients are NaN, and `Solution.check` raises.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations.
    """
    control = SolverOptions(solver, rtol, atol, step_size, first_step, max_steps, batch_coupled)
    backward = adjoint_options(control, adjoint_solver, adjoint_rtol, adjoint_atol)
    if gradient not in GRADIENTS:
        raise UsageError(f"gradient: expected one of {', '.join(GRADIENTS)}, got {gradient}")
    if theta_in_norm and not batch_coupled:
        raise UsageError("theta_in_norm: expected batch_coupled=True: the parameters belong to no sample")
    z = validate_state(z0, batch_coupled)
    of_t = tf.is_tensor(t) or isinstance(t, tf.Variable)
    t = validate_times(t)
    way = _SolverKey(control, backward, gradient, of_t, theta_in_norm, jit_compile)
    solver_of_f = _cached_solver(f, z0, z, t, way)
    return solver_of_f.solve(f, z0, z, t, backward_callback)


class _SolverKey(NamedTuple):
    """How a solver is traced."""

    options: SolverOptions
    backward_options: SolverOptions
    gradient: str
    need_time_gradient: bool
    theta_in_norm: bool
    jit_compile: bool


class _TracedSolver:
    """The traced forward and backward solves of one f."""

    def __init__(self, dynamics: Dynamics, solver_key: _SolverKey) -> None:
        self.dynamics, self.solver_key = dynamics, solver_key
        self.forward = tf.function(_as_function(self._forward), autograph=False, jit_compile=solver_key.jit_compile)
        self.backward = tf.function(_as_function(self._backward), autograph=False, jit_compile=solver_key.jit_compile)

    def _forward(self, z: Tensors, t: tf.Tensor, theta: Tensors, non_trainable: Tensors) -> ForwardSolution:
        way = self.solver_key
        return solve_forward(
            self.dynamics, way.options, z, t, theta, non_trainable, store_steps=way.gradient == "discrete"
        )

    def _backward(
        self, solution: ForwardSolution, g: Tensors, t: tf.Tensor, theta: Tensors, non_trainable: Tensors
    ) -> AdjointResult:
        way = self.solver_key
        if way.gradient == "discrete":
            return solve_discrete(self.dynamics, way.options, solution, g, t, theta, non_trainable)
        return solve_adjoint(
            self.dynamics,
            way.backward_options,
            solution,
            g,
            t,
            theta,
            non_trainable,
            need_time_gradient=way.need_time_gradient,
            theta_in_norm=way.theta_in_norm,
        )

    def solve(
        self, f: Any, z0: Any, z: Tensors, t: tf.Tensor, backward_callback: Callable[[tf.Tensor], None] | None
    ) -> Solution:
        """Solve, and let TensorFlow know the gradient, which keeps f alive."""
        theta = [tf.convert_to_tensor(x) for x in self.dynamics.theta]
        fixed = [tf.convert_to_tensor(x) for x in self.dynamics.non_trainable]
        found: list[ForwardSolution] = []
        leaves = len(z)

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def states(*arguments: tf.Tensor) -> Any:
            *rest, t = _stop_gradients(arguments)
            z, theta = rest[:leaves], rest[leaves:]
            solved = self.forward(z, t, theta, fixed)
            found.append(solved)

            def gradient(*g: tf.Tensor, variables: Any = None) -> Any:
                gradients = self._differentiate(f, solved, list(g), t, theta, fixed, backward_callback)
                gradients = _forbid_second_derivative(gradients, [*arguments, *g])
                return (gradients, [None] * len(variables)) if variables else gradients

            return tuple(solved.z), gradient

        zs = states(*z, *theta, t)
        p = found[0].solver_state
        ended = (p.status, p.t, p.last_step, p.num_accepted_steps + p.num_rejected_steps)
        zs = _raise_if_failed(list(zs), ended, "forward")
        return Solution(
            tf.nest.pack_sequence_as(z0, zs),
            p.nfe,
            p.num_accepted_steps,
            p.num_rejected_steps,
            p.status,
            p.t,
            p.last_step,
        )

    def _differentiate(
        self,
        f: Any,
        solution: ForwardSolution,
        g: Tensors,
        t: tf.Tensor,
        theta: Tensors,
        non_trainable: Tensors,
        backward_callback: Callable[[tf.Tensor], None] | None,
    ) -> Tensors:
        found = self.backward(solution, _stop_gradients(g), t, theta, non_trainable)
        p = found.progress
        if backward_callback:
            backward_callback(p.evaluations)
        flat = [*found.z, *found.theta, found.t]
        return _raise_if_failed(flat, (p.status, p.t, p.dt, p.accepted + p.rejected), "backward")


def _as_function(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for one object only: TensorFlow warns of methods that are traced for many."""
    return lambda *arguments: method(*arguments)


def _raise_if_failed(tensors: Tensors, outcome: Sequence[tf.Tensor], phase: str) -> Tensors:
    """Return tensors that are there only if the solve reached its end."""
    status, t, dt, steps = outcome
    if tf.executing_eagerly():
        raise_on_failure(status.numpy(), t.numpy(), dt.numpy(), steps.numpy(), phase)
        return tensors
    with tf.control_dependencies(graph_assert_success(status, t, dt, steps, phase)):
        return [tf.identity(x) for x in tensors]


def _forbid_second_derivative(gradients: Tensors, inputs: Tensors) -> Tensors:
    """Return gradients that refuse to be differentiated by their inputs, rather than be taken for constants."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def same(*_: tf.Tensor) -> Any:
        def refuse(*_: tf.Tensor) -> Any:
            raise UsageError("a second derivative of odeint: expected only first ones", "take it by finite differences")

        return tuple(gradients), refuse

    return list(same(*inputs))


def _stop_gradients(tensors: Sequence[tf.Tensor]) -> Tensors:
    return [tf.stop_gradient(x) for x in tensors]


_solver_cache: weakref.WeakKeyDictionary[Any, dict[Hashable, _TracedSolver]] = weakref.WeakKeyDictionary()
"""The traced solvers of each f, for as long as it lives; what is kept of one f says nothing about another."""


def _cached_solver(f: Callable[..., Any], z0: Any, z: Tensors, t: tf.Tensor, solver_key: _SolverKey) -> _TracedSolver:
    """Return the solver of an f, traced before if there is one."""
    structure = tf.nest.map_structure(lambda _: 0, z0)
    owner, name = getattr(f, "__self__", f), getattr(f, "__func__", None)  # a bound method is made anew each time
    key = (name, repr(structure), z[0].dtype, tuple(x.shape.rank for x in z), solver_key)
    try:
        solvers = _solver_cache.setdefault(owner, {})
    except TypeError:
        solvers = {}
    if key not in solvers:
        control = solver_key.options
        time = control.step_mode.broadcast(control.step_mode.batch_time(t[0], z), z[0])
        solvers[key] = _TracedSolver(Dynamics(f, time, z, structure), solver_key)
    return solvers[key]
