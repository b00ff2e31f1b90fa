"""`odeint`: the solution of an ordinary differential equation, with its gradients."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.adjoint import Gradients, solve_adjoint
from gradcam_cli.neuralode.solver.arguments import backward_control, read_state, read_times
from gradcam_cli.neuralode.solver.discrete_adjoint import solve_discrete
from gradcam_cli.neuralode.solver.dynamics import Field
from gradcam_cli.neuralode.solver.forward_solve import Solved, solve_forward
from gradcam_cli.neuralode.solver.status import assert_done, raise_for
from gradcam_cli.neuralode.solver.step_size import Control
from gradcam_cli.neuralode.solver.typing import Tensors

GRADIENTS = ("adjoint", "discrete")


class Solution(NamedTuple):
    """What a solve found. All of it are tensors, so that a `tf.function` can return it.

    Attributes:
        z: the states at the requested times, (len(t), ...), in the structure of z0; NaN if the solve failed.
        evaluations: int32 (), how often f was evaluated.
        accepted, rejected: int32, steps; (), or (n,) where each sample has steps of its own. So are the following.
        status: int32, a `Status`.
        t: float64, the time reached.
        dt: float64, the step last tried.
    """

    z: Any
    evaluations: tf.Tensor
    accepted: tf.Tensor
    rejected: tf.Tensor
    status: tf.Tensor
    t: tf.Tensor
    dt: tf.Tensor

    def check(self) -> None:
        """Say whether the solve reached its last time: for solves that XLA compiled, which cannot say so themselves.

        Raises:
            SolverError: it did not.
        """
        steps = np.asarray(self.accepted) + np.asarray(self.rejected)
        raise_for(np.asarray(self.status), np.asarray(self.t), np.asarray(self.dt), steps, "forward")


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
    on_backward: Callable[[tf.Tensor], None] | None = None,
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
        on_backward: called with the number of evaluations of each backward pass.

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
    control = Control(solver, rtol, atol, step_size, first_step, max_steps, batch_coupled)
    backward = backward_control(control, adjoint_solver, adjoint_rtol, adjoint_atol)
    if gradient not in GRADIENTS:
        raise UsageError(f"gradient: expected one of {', '.join(GRADIENTS)}, got {gradient}")
    if theta_in_norm and not batch_coupled:
        raise UsageError("theta_in_norm: expected batch_coupled=True: the parameters belong to no sample")
    z = read_state(z0, batch_coupled)
    of_t = tf.is_tensor(t) or isinstance(t, tf.Variable)
    t = read_times(t)
    way = _Way(control, backward, gradient, of_t, theta_in_norm, jit_compile)
    solver_of_f = _traced(f, z0, z, t, way)
    return solver_of_f.solve(f, z0, z, t, on_backward)


class _Way(NamedTuple):
    """How a solver is traced."""

    control: Control
    backward: Control
    gradient: str
    of_t: bool
    theta_in_norm: bool
    jit_compile: bool


class _Solver:
    """The traced forward and backward solves of one f."""

    def __init__(self, field: Field, way: _Way) -> None:
        self.field, self.way = field, way
        self.forward = tf.function(_own(self._forward), autograph=False, jit_compile=way.jit_compile)
        self.backward = tf.function(_own(self._backward), autograph=False, jit_compile=way.jit_compile)

    def _forward(self, z: Tensors, t: tf.Tensor, theta: Tensors, fixed: Tensors) -> Solved:
        way = self.way
        return solve_forward(self.field, way.control, z, t, theta, fixed, recorded=way.gradient == "discrete")

    def _backward(self, solved: Solved, g: Tensors, t: tf.Tensor, theta: Tensors, fixed: Tensors) -> Gradients:
        way = self.way
        if way.gradient == "discrete":
            return solve_discrete(self.field, way.control, solved, g, t, theta, fixed)
        return solve_adjoint(
            self.field, way.backward, solved, g, t, theta, fixed, of_t=way.of_t, theta_in_norm=way.theta_in_norm
        )

    def solve(
        self, f: Any, z0: Any, z: Tensors, t: tf.Tensor, on_backward: Callable[[tf.Tensor], None] | None
    ) -> Solution:
        """Solve, and let TensorFlow know the gradient, which keeps f alive."""
        theta = [tf.convert_to_tensor(x) for x in self.field.theta]
        fixed = [tf.convert_to_tensor(x) for x in self.field.fixed]
        found: list[Solved] = []
        leaves = len(z)

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def states(*arguments: tf.Tensor) -> Any:
            *rest, t = _constants(arguments)
            z, theta = rest[:leaves], rest[leaves:]
            solved = self.forward(z, t, theta, fixed)
            found.append(solved)

            def gradient(*g: tf.Tensor, variables: Any = None) -> Any:
                gradients = self._differentiate(f, solved, list(g), t, theta, fixed, on_backward)
                gradients = _once(gradients, [*arguments, *g])
                return (gradients, [None] * len(variables)) if variables else gradients

            return tuple(solved.z), gradient

        zs = states(*z, *theta, t)
        p = found[0].progress
        ended = (p.status, p.t, p.dt, p.accepted + p.rejected)
        zs = _checked(list(zs), ended, "forward")
        return Solution(tf.nest.pack_sequence_as(z0, zs), p.evaluations, p.accepted, p.rejected, p.status, p.t, p.dt)

    def _differentiate(
        self,
        f: Any,
        solved: Solved,
        g: Tensors,
        t: tf.Tensor,
        theta: Tensors,
        fixed: Tensors,
        on_backward: Callable[[tf.Tensor], None] | None,
    ) -> Tensors:
        found = self.backward(solved, _constants(g), t, theta, fixed)
        p = found.progress
        if on_backward:
            on_backward(p.evaluations)
        flat = [*found.z, *found.theta, found.t]
        return _checked(flat, (p.status, p.t, p.dt, p.accepted + p.rejected), "backward")


def _own(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for one object only: TensorFlow warns of methods that are traced for many."""
    return lambda *arguments: method(*arguments)


def _checked(tensors: Tensors, ended: Sequence[tf.Tensor], which: str) -> Tensors:
    """Return tensors that are there only if the solve reached its end."""
    status, t, dt, steps = ended
    if tf.executing_eagerly():
        raise_for(status.numpy(), t.numpy(), dt.numpy(), steps.numpy(), which)
        return tensors
    with tf.control_dependencies(assert_done(status, t, dt, steps, which)):
        return [tf.identity(x) for x in tensors]


def _once(gradients: Tensors, inputs: Tensors) -> Tensors:
    """Return gradients that refuse to be differentiated by their inputs, rather than be taken for constants."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def same(*_: tf.Tensor) -> Any:
        def refuse(*_: tf.Tensor) -> Any:
            raise UsageError("a second derivative of odeint: expected only first ones", "take it by finite differences")

        return tuple(gradients), refuse

    return list(same(*inputs))


def _constants(tensors: Sequence[tf.Tensor]) -> Tensors:
    return [tf.stop_gradient(x) for x in tensors]


_solvers: weakref.WeakKeyDictionary[Any, dict[Hashable, _Solver]] = weakref.WeakKeyDictionary()
"""The traced solvers of each f, for as long as it lives; what is kept of one f says nothing about another."""


def _traced(f: Callable[..., Any], z0: Any, z: Tensors, t: tf.Tensor, way: _Way) -> _Solver:
    """Return the solver of an f, traced before if there is one."""
    structure = tf.nest.map_structure(lambda _: 0, z0)
    owner, name = getattr(f, "__self__", f), getattr(f, "__func__", None)  # a bound method is made anew each time
    key = (name, repr(structure), z[0].dtype, tuple(x.shape.rank for x in z), way)
    try:
        solvers = _solvers.setdefault(owner, {})
    except TypeError:
        solvers = {}
    if key not in solvers:
        control = way.control
        time = control.batch.beside(control.batch.clock(t[0], z), z[0])
        solvers[key] = _Solver(Field(f, time, z, structure), way)
    return solvers[key]
