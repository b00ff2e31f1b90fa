"""The traced forward and backward solves of each f, joined by a custom gradient and cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.adjoint import AdjointResult, solve_adjoint, with_nan
from gradcam_cli.neuralode.solver.discrete_adjoint import solve_discrete
from gradcam_cli.neuralode.solver.dynamics import Dynamics, floating
from gradcam_cli.neuralode.solver.event_location import EventFunction, locate_event
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution, ForwardSystem, solve_forward
from gradcam_cli.neuralode.solver.solution import Solution
from gradcam_cli.neuralode.solver.solver_state import SolverState
from gradcam_cli.neuralode.solver.status import assert_success, raise_on_failure
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

GRADIENTS = ("adjoint", "discrete")
"""Gradient methods: the values of `odeint`'s `gradient`."""


class SolverKey(NamedTuple):
    """The settings that a trace depends on."""

    options: SolverOptions
    backward_options: SolverOptions
    gradient: str
    need_time_gradient: bool
    adjoint_seminorm: bool
    return_steps: bool
    jit_compile: bool


class TracedSolver:
    """The traced forward and backward solves of an f."""

    def __init__(self, dynamics: Dynamics, key: SolverKey) -> None:
        self.dynamics, self.key = dynamics, key
        self.forward = tf.function(_as_function(self._forward), autograph=False, jit_compile=key.jit_compile)
        self.backward = tf.function(_as_function(self._backward), autograph=False, jit_compile=key.jit_compile)

    def _forward(self, z: Tensors, t: tf.Tensor, args: Tensors) -> ForwardSolution:
        key, store_ends = self.key, self.key.gradient == "discrete"
        return solve_forward(self.dynamics, key.options, z, t, args, store_ends, store_states=key.return_steps)

    def _backward(
        self, solution: ForwardSolution, g: Tensors, args: Tensors, values: Tensors
    ) -> tuple[AdjointResult, tf.Tensor]:
        """Return the gradients, and whether the variables of f differ from their values in the forward solve."""
        result, changed = self._gradients(solution, g, args), _any_differs(self.dynamics.variables, values)
        return with_nan(self.key.options, result, changed), changed

    def _gradients(self, solution: ForwardSolution, g: Tensors, args: Tensors) -> AdjointResult:
        key = self.key
        if key.gradient == "discrete":
            return solve_discrete(self.dynamics, key.options, solution, g, args)
        return solve_adjoint(
            self.dynamics,
            key.backward_options,
            key.options,
            solution,
            g,
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
            t: float64 (times, ...), per step mode.
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
                gradients = self._differentiate(f, solution, list(g), constants, values, backward_callback)
                gradients = _forbid_gradient(gradients, [*inputs, *g], SECOND_DERIVATIVE_ERROR)
                return (gradients, [None] * len(variables)) if variables else gradients

            return tuple(solution.z), gradient

        zs = states(*z, *theta, *floating(args), t)
        p = solutions[0].solver_state
        zs = _raise_if_failed(list(zs), p, "forward")
        interpolated = [*z, *theta, *floating(args), t]
        dense = [solutions[0].t[0], solutions[0].ends[: p.num_stored], *solutions[0].polynomials]
        return Solution(
            z=tf.nest.pack_sequence_as(z0, zs),
            nfe=p.nfe,
            num_accepted_steps=p.num_accepted_steps,
            num_rejected_steps=p.num_rejected_steps,
            status=p.status,
            t=p.t,
            dt=p.last_step,
            times=solutions[0].t,
            steps=_forbid_gradient(dense, interpolated, INTERPOLATION_ERROR) if self.key.options.dense else [],
        )

    def rhs(self, t: tf.Tensor, z: Tensors, args: Tensors) -> Tensors:
        """Return f at a time, per step mode."""
        return ForwardSystem(self.dynamics, self.key.options, args).rhs(t, z, False)[0]

    def locate_event(
        self, event: EventFunction, z: Tensors, t: tf.Tensor, args: Tensors
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the time of an event, whether it occurred, and the number of function evaluations; no gradients.

        Args:
            event: the event function.
            z: the state at t[0], flattened.
            t: float64 (2, ...), per step mode, the initial and the latest time.
            args: the arguments of f after t and z, flattened.

        Raises:
            SolverError: in eager mode, the solve failed.
        """
        options = replace(self.key.options, dense=True)  # with all stages that the continuous extension needs

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def locate(z: Tensors, t: tf.Tensor, args: Tensors) -> Any:
            return locate_event(options, ForwardSystem(self.dynamics, options, args), event, z, t)

        constants = _stop_gradients(z), tf.stop_gradient(t), _stop_gradients(args)
        time, occurred, p = _call_without_recording(locate, *constants)
        time, occurred = _raise_if_failed([time, occurred], p, "forward")
        return tf.stop_gradient(time), occurred, p.nfe

    def _differentiate(
        self,
        f: Any,
        solution: ForwardSolution,
        g: Tensors,
        args: Tensors,
        values: Tensors,
        backward_callback: Callable[[tf.Tensor], None] | None,
    ) -> Tensors:
        result, changed = _call_without_recording(self.backward, solution, _stop_gradients(g), args, values)
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


SECOND_DERIVATIVE_ERROR = ("odeint has no second derivative", "use finite differences of the gradient")
INTERPOLATION_ERROR = ("Solution.interpolate has no gradient", "request the times in t")


def _forbid_gradient(outputs: Tensors, inputs: Tensors, error: tuple[str, str]) -> Tensors:
    """Return the outputs; differentiating them raises UsageError instead of treating them as constants."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def identity(*_: tf.Tensor) -> Any:
        def refuse(*_: tf.Tensor) -> Any:
            raise UsageError(*error)

        return tuple(map(tf.identity, outputs)), refuse

    return list(identity(*inputs))


def _stop_gradients(tensors: Sequence[tf.Tensor]) -> Tensors:
    return [tf.stop_gradient(x) for x in tensors]
