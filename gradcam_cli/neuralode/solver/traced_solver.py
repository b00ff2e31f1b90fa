"""The traced forward and backward solves of each f, joined by a custom gradient and cached."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.adjoint import AdjointResult, solve_adjoint, with_nan
from gradcam_cli.neuralode.solver.discrete_adjoint import solve_discrete
from gradcam_cli.neuralode.solver.dynamics import Dynamics, floating, in_stateless_scope
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution, solve_forward
from gradcam_cli.neuralode.solver.solution import Solution
from gradcam_cli.neuralode.solver.solver_state import SolverState
from gradcam_cli.neuralode.solver.status import assert_success, raise_on_failure
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


class SolverKey(NamedTuple):
    """The settings that a trace depends on."""

    options: SolverOptions
    backward_options: SolverOptions
    gradient: str
    need_time_gradient: bool
    adjoint_seminorm: bool
    jit_compile: bool


class TracedSolver:
    """The traced forward and backward solves of an f."""

    def __init__(self, dynamics: Dynamics, key: SolverKey) -> None:
        self.dynamics, self.key = dynamics, key
        self.forward = tf.function(_as_function(self._forward), autograph=False, jit_compile=key.jit_compile)
        self.backward = tf.function(_as_function(self._backward), autograph=False, jit_compile=key.jit_compile)

    def _forward(self, z: Tensors, t: tf.Tensor, args: Tensors) -> ForwardSolution:
        store_steps = self.key.gradient == "discrete"
        return solve_forward(self.dynamics, self.key.options, z, t, args, store_steps)

    def _backward(
        self, solution: ForwardSolution, g: Tensors, t: tf.Tensor, args: Tensors, values: Tensors
    ) -> tuple[AdjointResult, tf.Tensor]:
        """Return the gradients, and whether the variables of f differ from their values in the forward solve."""
        result, changed = self._gradients(solution, g, t, args), _any_differs(self.dynamics.variables, values)
        return with_nan(self.key.options, result, changed), changed

    def _gradients(self, solution: ForwardSolution, g: Tensors, t: tf.Tensor, args: Tensors) -> AdjointResult:
        key = self.key
        if key.gradient == "discrete":
            return solve_discrete(self.dynamics, key.options, solution, g, t, args)
        return solve_adjoint(
            self.dynamics,
            key.backward_options,
            solution,
            g,
            t,
            args,
            need_time_gradient=key.need_time_gradient,
            adjoint_seminorm=key.adjoint_seminorm,
        )

    def solve(
        self,
        f: Any,
        z0: Any,
        z: Tensors,
        t: tf.Tensor,
        args: Tensors,
        backward_callback: Callable[[tf.Tensor], None] | None,
    ) -> Solution:
        """Solve, and register the gradient with TensorFlow.

        Args:
            f: the function or layer; the gradient holds a reference to it.
            z0: the state at t[0], in its structure.
            z: the same, flattened.
            t: (times,) float64.
            args: the arguments of f after t and z, flattened.
            backward_callback: as in `odeint`.

        Raises:
            SolverError: in eager mode, the forward or backward solve failed.
        """
        values, theta = self.dynamics.values()
        solutions: list[ForwardSolution] = []

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def states(*inputs: tf.Tensor) -> Any:
            z0, t = _stop_gradients(inputs[: len(z)]), tf.stop_gradient(inputs[-1])
            constants = _stop_gradients(args)
            solution = _call_without_recording(self.forward, z0, t, constants)
            solutions.append(solution)

            def gradient(*g: tf.Tensor, variables: Any = None) -> Any:
                gradients = self._differentiate(f, solution, list(g), t, constants, values, backward_callback)
                gradients = _forbid_second_derivative(gradients, [*inputs, *g])
                return (gradients, [None] * len(variables)) if variables else gradients

            return tuple(solution.z), gradient

        zs = states(*z, *theta, *floating(args), t)
        p = solutions[0].solver_state
        zs = _raise_if_failed(list(zs), p, "forward")
        return Solution(
            z=tf.nest.pack_sequence_as(z0, zs),
            nfe=p.nfe,
            num_accepted_steps=p.num_accepted_steps,
            num_rejected_steps=p.num_rejected_steps,
            status=p.status,
            t=p.t,
            dt=p.last_step,
        )

    def _differentiate(
        self,
        f: Any,
        solution: ForwardSolution,
        g: Tensors,
        t: tf.Tensor,
        args: Tensors,
        values: Tensors,
        backward_callback: Callable[[tf.Tensor], None] | None,
    ) -> Tensors:
        result, changed = _call_without_recording(self.backward, solution, _stop_gradients(g), t, args, values)
        if backward_callback:
            backward_callback(result.solver_state.nfe)
        gradients = [*result.z, *result.theta, result.t]
        return _raise_if_failed(_raise_if_changed(gradients, changed), result.solver_state, "backward")


def _as_function(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function, because TensorFlow warns about methods that are traced for many objects."""
    return lambda *arguments: method(*arguments)


def _call_without_recording(function: Any, *arguments: Any) -> Any:
    """Call a `tf.function`, while the active tapes do not record the variables that it reads.

    In eager mode, `tf.init_scope` only pauses the tapes; tracing happens before. In a graph, a recorded call costs
    nothing.
    """
    if not tf.executing_eagerly():
        return function(*arguments)
    traced = function.get_concrete_function(*arguments)
    with tf.init_scope():
        return traced(*arguments)


def _any_differs(variables: Sequence[Any], values: Tensors) -> tf.Tensor:
    """Return whether any variable differs from its value; NaN equals NaN."""
    differs = [tf.reduce_any((x != y) & ((x == x) | (y == y))) for x, y in zip(variables, values, strict=True)]
    return tf.reduce_any(tf.stack(differs)) if differs else tf.constant(False)


def _raise_if_changed(gradients: Tensors, changed: tf.Tensor) -> Tensors:
    """Return the gradients, after a check that no variable of f was assigned since the forward solve.

    Raises:
        UsageError: in eager mode, one was.
    """
    message = "the variables of f changed between the solve and its gradient"
    if not tf.executing_eagerly():
        with tf.control_dependencies([tf.debugging.Assert(tf.logical_not(changed), [message])]):
            return [tf.identity(x) for x in gradients]
    if changed:
        raise UsageError(message, "compute all gradients before the optimizer assigns the variables")
    return gradients


def _raise_if_failed(tensors: Tensors, p: SolverState, phase: str) -> Tensors:
    """Return the tensors, after a check of the solver status.

    Raises:
        SolverError: in eager mode, the solve failed.
    """
    steps = p.num_accepted_steps + p.num_rejected_steps
    if tf.executing_eagerly():
        raise_on_failure(p.status.numpy(), p.t.numpy(), p.last_step.numpy(), steps.numpy(), phase)
        return tensors
    with tf.control_dependencies(assert_success(p.status, p.t, p.last_step, steps, phase)):
        return [tf.identity(x) for x in tensors]


def _forbid_second_derivative(gradients: Tensors, inputs: Tensors) -> Tensors:
    """Return the gradients; differentiating them raises UsageError instead of treating them as constants."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def identity(*_: tf.Tensor) -> Any:
        def refuse(*_: tf.Tensor) -> Any:
            raise UsageError("odeint has no second derivative", "use finite differences of the gradient")

        return tuple(gradients), refuse

    return list(identity(*inputs))


def _stop_gradients(tensors: Sequence[tf.Tensor]) -> Tensors:
    return [tf.stop_gradient(x) for x in tensors]


_solver_cache: weakref.WeakKeyDictionary[Any, dict[Hashable, TracedSolver]] = weakref.WeakKeyDictionary()
"""The traced solvers of each f, while it is alive."""


def cached_solver(
    f: Callable[..., Any], z0: Any, z: Tensors, t: tf.Tensor, args: Tensors, args_structure: Any, key: SolverKey
) -> TracedSolver:
    """Return the solver of an f from the cache, or trace it.

    Args:
        f: the function or layer.
        z0: the state at t[0], in its structure.
        z: the same, flattened.
        t: (times,) float64.
        args: the arguments of f after t and z, flattened.
        args_structure: structure of these arguments.
        key: the settings of the solver.

    Raises:
        UsageError: f is not a valid right-hand side for z.
    """
    structure = tf.nest.map_structure(lambda _: 0, z0)
    owner, name = getattr(f, "__self__", f), getattr(f, "__func__", None)  # each access makes a new bound method
    signature = (repr(structure), repr(args_structure), *((x.dtype, x.shape.rank) for x in (*z, *args)))
    try:
        solvers = _solver_cache.setdefault(owner, {})
    except TypeError:  # f does not support weak references
        solvers = {}
    solver = solvers.get((name, signature, key, _variables_key(f)))
    if solver is None or in_stateless_scope():  # which may replace the values of Keras variables
        step_mode = key.options.step_mode
        time = step_mode.broadcast(step_mode.batch_time(t[0], z), z[0])
        solver = TracedSolver(Dynamics(f, time, z, structure, args, args_structure), key)
        if not (solver.dynamics.has_graph_closure or in_stateless_scope()):
            solvers[name, signature, key, _variables_key(f)] = solver
    return solver


def _variables_key(f: Any) -> Hashable:
    """Return a key of the variables that a trace reads and differentiates: replica, and parameters that are trained."""
    replica = tf.distribute.get_replica_context()
    parameters = f.trainable_variables if isinstance(f, keras.Layer) else ()
    return None if replica is None else str(replica.replica_id_in_sync_group), *map(id, parameters)
