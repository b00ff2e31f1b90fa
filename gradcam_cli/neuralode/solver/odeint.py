"""`odeint`: solve an ordinary differential equation and differentiate the solution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.arguments import (
    require_implicit_size,
    solver_key,
    validate_args,
    validate_state,
    validate_times,
)
from gradcam_cli.neuralode.solver.solution import Solution
from gradcam_cli.neuralode.solver.solver_cache import cached_solver


def odeint(
    f: Callable[..., Any],
    z0: Any,
    t: Any,
    *,
    args: tuple[Any, ...] = (),
    solver: str = "dopri5",
    rtol: Any = 1e-6,
    atol: Any = 1e-8,
    gradient: str = "adjoint",
    step_size: float | None = None,
    first_step: float | None = None,
    max_step: float | None = None,
    max_steps: int = 10_000,
    jump_t: Sequence[float] = (),
    per_sample_steps: bool = False,
    return_steps: bool = False,
    dense: bool = False,
    adjoint_solver: str | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    adjoint_seminorm: bool = True,
    jit_compile: bool = False,
    backward_callback: Callable[[tf.Tensor], None] | None = None,
) -> Solution:
    """Solve dz/dt = f(t, z, *args), z(t[0]) = z0, and return the states at all times t.

    The states are differentiable once, with respect to z0, t, args, and all that f reads: the trainable variables of a
    layer, the trainable variables that a function reads, and the tensors in its closure. f is traced, never run
    eagerly; its traces are cached while f is alive.

    Args:
        f: a function of t (), z and args, a Keras layer, or a functional Keras model of [t, z, *args]. An f with a
            single required argument is autonomous: f(z), as a Dense layer. It returns dz/dt in the structure, shapes
            and dtype of z. With per_sample_steps=True, t has shape (n, 1, ...), with as many axes as z.
        z0: the state at t[0]: a float32 or float64 tensor, or a (nested) tuple of them.
        t: (times,), increasing or decreasing. Its gradient is computed if t is a tensor or a variable. With
            per_sample_steps=True also (times, n), different times for each sample.
        args: further arguments of f: a tuple of tensors, or of (nested) structures of tensors. Numbers become constants
            in the dtype of z.
        solver: a name in `SOLVERS`. Adaptive steps end at the last time only. The states at the times before are
            interpolated with the order `dense_order` of the solver, without function evaluations. kvaerno3 and kvaerno5
            are for stiff equations with a state of at most 1,000 elements, or 1,000 for each sample with
            per_sample_steps=True. They evaluate the Jacobian of f.
        rtol: relative tolerance of an adaptive or implicit solver: a number, an array that broadcasts with z0, or for a
            tuple z0 a tuple of them.
        atol: absolute tolerance, in units of z; likewise.
        gradient: `adjoint` solves the adjoint equation backward in time, in constant memory. `discrete` is the exact
            gradient of the steps taken, in memory that grows with the square root of their number.
        step_size: maximum size of fixed steps. None: adaptive steps; for a solver without error estimate, a single
            step from each time to the next.
        first_step: size of the first step. None: Hairer's rule, at the cost of an extra function evaluation.
        max_step: maximum size of adaptive steps.
        max_steps: maximum number of accepted and rejected steps together. Under XLA, `discrete` allocates memory for
            twice the square root of that many states.
        jump_t: times at which f is discontinuous in t. Adaptive steps end there, and f is evaluated on the side of the
            step only.
        per_sample_steps: choose the steps of each sample (first axis of z0) separately.
        return_steps: return the states at the initial time and after each step, with their times in
            `Solution.times`. t is then the first and the last time, as numbers.
        dense: keep the solution inside the steps, for `Solution.interpolate`.
        adjoint_solver: solver of the backward solve; None: `solver`.
        adjoint_rtol: relative tolerance of the backward solve; None: `rtol`.
        adjoint_atol: absolute tolerance of the backward solve, relative to the norm of dL/dz; None: `atol`.
        adjoint_seminorm: exclude the parameter gradients from the error norm of the backward solve.
        jit_compile: compile the solve with XLA, which is faster for a small f.
        backward_callback: called with the number of function evaluations of each backward pass.

    Returns:
        The solution. Outside XLA it is the solution of a successful solve.

    Raises:
        UsageError: an argument is invalid, or a variable of f changed between the solve and its gradient.
        SolverError: in eager mode, a forward or backward solve failed: NotFiniteError, StepUnderflowError or
            TooManyStepsError.
        tf.errors.InvalidArgumentError: the same in a `tf.function`; the message names the error class. XLA cannot
            raise: there z and the gradients are NaN, and `Solution.raise_if_failed` raises.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations. The seminorm: Kidger et al. 2021, "Hey, that's not
        an ODE": Faster ODE Adjoints via Seminorms.
    """
    key = solver_key(
        z0,
        need_time_gradient=tf.is_tensor(t) or isinstance(t, tf.Variable),
        solver=solver,
        rtol=rtol,
        atol=atol,
        gradient=gradient,
        step_size=step_size,
        first_step=first_step,
        max_step=max_step,
        max_steps=max_steps,
        jump_t=jump_t,
        per_sample_steps=per_sample_steps,
        return_steps=return_steps,
        dense=dense,
        adjoint_solver=adjoint_solver,
        adjoint_rtol=adjoint_rtol,
        adjoint_atol=adjoint_atol,
        adjoint_seminorm=adjoint_seminorm,
        jit_compile=jit_compile,
    )
    z, t = validate_state(z0, per_sample_steps), validate_times(t, per_sample_steps)
    require_implicit_size(key, z)
    if return_steps and (key.need_time_gradient or t.shape[0] != 2):
        raise UsageError(f"return_steps=True: expected t as two numbers, the first and the last time, got {t}")
    t = key.options.step_mode.batch_times(t, z)
    arguments, structure = validate_args(args, z[0].dtype), tf.nest.map_structure(lambda _: 0, args)
    return cached_solver(f, z0, z, t, arguments, structure, key).solve(f, z0, z, t, arguments, backward_callback)
