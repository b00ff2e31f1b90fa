"""`odeint_event`: solve until an event, and differentiate its time and state.

The event is the first time t* at which g(t, z(t)) changes its sign. By the implicit function theorem, a change of z(t*)
by dz at constant time changes the time of the event by

    dt* = -dg/dz . dz / (dg/dt + dg/dz . f)

One Newton step from the t* that was located, with this slope as a constant, has this derivative. It also removes the
error of the interpolation.

Source:
    Chen, Amos and Nickel 2021, Learning Neural Event Functions for Ordinary Differential Equations, section 3.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.arguments import (
    require_implicit_size,
    solver_key,
    validate_args,
    validate_state,
    validate_times,
)
from gradcam_cli.neuralode.solver.event_location import EventFunction
from gradcam_cli.neuralode.solver.forward_solve import ForwardSystem
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.solver_cache import cached_solver
from gradcam_cli.neuralode.solver.typing import Tensors


class EventSolution(NamedTuple):
    """The result of `odeint_event`. Shapes are those of shared steps; with per-sample steps, t and occurred are (n,).

    Attributes:
        t: float64 (), the time of the event; without one, the last time.
        z: the state at this time, in the structure and shapes of z0.
        occurred: bool (), whether g changed its sign.
        nfe: int32 (), number of function evaluations of both solves.
    """

    t: tf.Tensor
    z: Any
    occurred: tf.Tensor
    nfe: tf.Tensor


def odeint_event(f: Callable[..., Any], z0: Any, t: Any, event_fn: Callable[..., Any], **options: Any) -> EventSolution:
    """Solve dz/dt = f(t, z, *args) from t[0] until g = event_fn(t, z) changes its sign, but not beyond t[1].

    A first solve without gradient locates the event on the continuous extension of the solver. A second one to the
    located time has the gradient. A zero of g at t[0] is no event, so that a solve can start from the last event.

    Args:
        f: as in `odeint`.
        z0: the state at t[0], as in `odeint`.
        t: the initial and the latest time.
        event_fn: a function of t and z that returns g, in the dtype of z and of shape (), or (n,) with
            per_sample_steps=True, where each sample has its own event.
        **options: keyword arguments of `odeint` except return_steps, dense, jit_compile.

    Returns:
        Time and state of the event. Both are differentiable like the states of `odeint`, and with respect to the
        tensors and variables in event_fn.

    Raises:
        UsageError: an argument is invalid, or event_fn returns another shape or dtype.
        SolverError: as in `odeint`.
    """
    excluded = options.keys() & {"return_steps", "dense", "jit_compile"}
    if excluded:
        raise UsageError(f"odeint_event has no argument {sorted(excluded)[0]}")
    parameters = inspect.signature(odeint).parameters.values()
    arguments = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY} | options
    callback, args = arguments.pop("backward_callback"), arguments.pop("args")
    key = solver_key(z0, tf.is_tensor(t) or isinstance(t, tf.Variable), **arguments)
    z, times = validate_state(z0, key.options.per_sample_steps), validate_times(t, key.options.per_sample_steps)
    require_implicit_size(key, z)
    if times.shape[0] != 2:
        raise UsageError(f"t: expected the initial and the latest time, got {times.shape[0]} times")
    times = key.options.step_mode.batch_times(times, z)
    args, structure = validate_args(args, z[0].dtype), tf.nest.map_structure(lambda _: 0, args)
    solver = cached_solver(f, z0, z, times, args, structure, key)
    event = EventFunction(event_fn, z0, key.options)
    located, occurred, nfe = solver.locate_event(event, z, times, args)
    solution = solver.solve(f, z0, z, tf.stack([times[0], located]), args, callback)
    z1 = [x[-1] for x in tf.nest.flatten(solution.z)]
    dt, slope = _newton_step(ForwardSystem(solver.dynamics, key.options, args), event, located, z1)
    dt = tf.where(occurred, dt, tf.zeros_like(dt))
    states = [x + key.options.step_mode.broadcast(dt, x) * dz for x, dz in zip(z1, slope, strict=True)]
    return EventSolution(located + dt, tf.nest.pack_sequence_as(z0, states), occurred, nfe + solution.nfe)


def _newton_step(system: ForwardSystem, event: EventFunction, t: tf.Tensor, z: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Return -g / (dg/dt + dg/dz . f), float64 per step mode, whose denominator is a constant, and f."""
    constants = [tf.stop_gradient(x) for x in z]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([t, *constants])
        value = event(t, constants)
    of_t, *of_z = tape.gradient(value, [t, *constants], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    f = [tf.stop_gradient(x) for x in system.rhs(t, constants, False)[0]]
    slope = tf.stop_gradient(of_t + event.options.step_mode.dot(of_z, f))
    return -tf.cast(event(t, z), tf.float64) / slope, f
