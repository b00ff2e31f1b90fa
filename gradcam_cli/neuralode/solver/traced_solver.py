"""The traced forward and backward solves of an f, joined by a custom gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.adjoint import AdjointResult, solve_adjoint, with_nan
from gradcam_cli.neuralode.solver.discrete_adjoint import solve_discrete
from gradcam_cli.neuralode.solver.dynamics import Dynamics, floating
from gradcam_cli.neuralode.solver.event_location import EventFunction, locate_event
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution, ForwardSystem, solve_forward
from gradcam_cli.neuralode.solver.solution import Solution
from gradcam_cli.neuralode.solver.solve_checks import (
    INTERPOLATION_ERROR,
    SECOND_DERIVATIVE_ERROR,
    any_differs,
    forbid_gradient,
    raise_if_changed,
    raise_if_failed,
)
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
        result, changed = self._gradients(solution, g, args), any_differs(self.dynamics.variables, values)
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
                gradients = forbid_gradient(gradients, [*inputs, *g], SECOND_DERIVATIVE_ERROR)
                return (gradients, [None] * len(variables)) if variables else gradients

            return tuple(solution.z), gradient

        zs = states(*z, *theta, *floating(args), t)
        p = solutions[0].solver_state
        zs = raise_if_failed(list(zs), p, "forward")
        return Solution(
            z=tf.nest.pack_sequence_as(z0, zs),
            nfe=p.nfe,
            njev=p.njev,
            num_accepted_steps=p.num_accepted_steps,
            num_rejected_steps=p.num_rejected_steps,
            status=p.status,
            t=p.t,
            dt=p.last_step,
            times=solutions[0].t,
            steps=_polynomials(solutions[0], [*z, *theta, *floating(args), t]) if self.key.options.dense else [],
        )

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
        time, occurred = raise_if_failed([time, occurred], p, "forward")
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
        return raise_if_failed(raise_if_changed(gradients, changed), result.solver_state, "backward")


def _polynomials(solution: ForwardSolution, inputs: Tensors) -> Tensors:
    """Return the initial time, the ends of the steps, and their polynomials, which have no gradient."""
    ends = solution.ends[: solution.solver_state.num_stored]
    return forbid_gradient([solution.t[0], ends, *solution.polynomials], inputs, INTERPOLATION_ERROR)


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


def _stop_gradients(tensors: Sequence[tf.Tensor]) -> Tensors:
    return [tf.stop_gradient(x) for x in tensors]
