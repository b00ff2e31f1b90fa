"""Validation of the arguments of `odeint`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.newton import MAX_IMPLICIT_SIZE
from gradcam_cli.neuralode.solver.step_size import SolverOptions, Tolerance
from gradcam_cli.neuralode.solver.traced_solver import GRADIENTS, SolverKey
from gradcam_cli.neuralode.solver.typing import Tensors


def solver_key(
    z0: Any = None,
    need_time_gradient: bool = False,
    return_steps: bool = False,
    dense: bool = False,
    **arguments: Any,
) -> SolverKey:
    """Return the settings of a solve from the keyword arguments of `odeint`, except args and backward_callback.

    Args:
        z0: the state at t[0]; None: a single tensor of any shape.
        need_time_gradient: whether to compute the gradient of the times.
        return_steps: as in `odeint`.
        dense: as in `odeint`.
        **arguments: the other keyword arguments, all of them.

    Raises:
        UsageError: an argument is invalid, or two arguments exclude each other.
    """
    rtol, atol = (validate_tolerance(name, arguments[name], z0) for name in ("rtol", "atol"))
    backward = [
        None if arguments[name] is None else validate_tolerance(name, arguments[name], z0)
        for name in ("adjoint_rtol", "adjoint_atol")
    ]
    names = ("solver", "step_size", "first_step", "max_step", "max_steps", "per_sample_steps")
    options = SolverOptions(
        rtol=rtol,
        atol=atol,
        jump_t=tuple(sorted(map(float, arguments["jump_t"]))),
        dense=dense,
        **{name: arguments[name] for name in names},
    )
    backward_options = adjoint_options(options, arguments["adjoint_solver"], *backward)
    seminorm, compiled = arguments["adjoint_seminorm"], arguments["jit_compile"]
    if arguments["gradient"] not in GRADIENTS:
        raise UsageError(f"gradient: expected one of {', '.join(GRADIENTS)}, got {arguments['gradient']}")
    if options.per_sample_steps and not seminorm:
        raise UsageError("adjoint_seminorm=False requires per_sample_steps=False: all samples share the parameters")
    if not seminorm and any(isinstance(x, tuple) for x in (backward_options.rtol, backward_options.atol)):
        raise UsageError("adjoint_seminorm=False requires scalar tolerances: the parameters have other shapes than z")
    if return_steps and options.per_sample_steps:
        raise UsageError("return_steps=True requires per_sample_steps=False: samples differ in their number of steps")
    if compiled and (return_steps or dense):
        raise UsageError("return_steps and dense require jit_compile=False: XLA needs a constant number of steps")
    return SolverKey(
        options, backward_options, arguments["gradient"], need_time_gradient, seminorm, return_steps, compiled
    )


def require_implicit_size(key: SolverKey, z: Tensors) -> None:
    """Check the size of a state for an implicit solver, as far as its shape is static; the solve checks the rest.

    Raises:
        UsageError: the state has more than `MAX_IMPLICIT_SIZE` elements.
    """
    for name, options in (("solver", key.options), ("adjoint_solver", key.backward_options)):
        first_axis = 1 if options.per_sample_steps else 0
        size = sum(math.prod(n or 1 for n in x.shape[first_axis:]) for x in z)
        if options.tableau.implicit and size > MAX_IMPLICIT_SIZE:
            unit = "elements for each sample" if options.per_sample_steps else "elements, all samples together"
            others = "" if options.per_sample_steps else ", or per_sample_steps=True if each sample is small"
            raise UsageError(
                f"{name}={options.solver}: expected a state of at most {MAX_IMPLICIT_SIZE} {unit}, got {size}",
                f"use an explicit solver such as dopri5{others}",
            )


def adjoint_options(
    options: SolverOptions, solver: str | None, rtol: Tolerance | None, atol: Tolerance | None
) -> SolverOptions:
    """Return the options of the backward solve: those of the forward solve, with the arguments that are not None.

    Raises:
        UsageError: the forward steps are adaptive, and the backward solver has no error estimate.
    """
    backward = replace(
        options,
        solver=options.solver if solver is None else solver,
        rtol=options.rtol if rtol is None else rtol,
        atol=options.atol if atol is None else atol,
        max_step=None,
        jump_t=(),
        dense=False,
    )
    if options.adaptive and not backward.adaptive:
        raise UsageError(
            f"adjoint_solver={backward.solver} has no error estimate, but the forward steps are adaptive",
            "choose an adaptive adjoint_solver, or set step_size for fixed steps in both solves",
        )
    return replace(backward, max_step=options.max_step, jump_t=options.jump_t) if options.adaptive else backward


def validate_tolerance(name: str, value: Any, z0: Any) -> Tolerance:
    """Return a tolerance as `SolverOptions` takes it.

    Args:
        name: `rtol` or `atol`.
        value: a number, an array that broadcasts with z0, or a structure of them like that of z0.
        z0: the state; None: a single tensor of any shape.

    Raises:
        UsageError: the value does not broadcast with z0.
    """
    if np.ndim(value) == 0 and not tf.nest.is_nested(value):
        return float(value)
    if z0 is None:
        return (_to_tuple(np.asarray(value, np.float64).tolist()),)
    z = tf.nest.flatten(z0)
    try:
        if tf.nest.is_nested(z0):
            tf.nest.assert_same_structure(z0, value, check_types=False, expand_composites=False)
        arrays = [np.asarray(x, np.float64) for x in (tf.nest.flatten(value) if tf.nest.is_nested(z0) else [value])]
        shapes = [tf.convert_to_tensor(x).shape for x in z]
        matches = all(
            tf.broadcast_static_shape(shape, tf.TensorShape(x.shape)).is_compatible_with(shape)
            for shape, x in zip(shapes, arrays, strict=True)
        )
    except (TypeError, ValueError):
        matches = False
    if not matches:
        sizes = ", ".join(str(tf.convert_to_tensor(x).shape) for x in z)
        raise UsageError(f"{name}: expected a number, or arrays that broadcast with z0 {sizes}, got {value}")
    return tuple(_to_tuple(x.tolist()) for x in arrays)


def _to_tuple(x: Any) -> Any:
    return tuple(map(_to_tuple, x)) if isinstance(x, list) else x


def validate_state(z0: Any, per_sample_steps: bool) -> Tensors:
    """Return the tensors of a state, flattened.

    Raises:
        UsageError: z0 is empty, its tensors differ in dtype, or are not floating point, or per-sample steps are
            requested for a scalar.
    """
    z = [tf.convert_to_tensor(x) for x in tf.nest.flatten(z0)]
    dtypes = {x.dtype for x in z}
    if len(dtypes) != 1 or not dtypes <= {tf.float32, tf.float64}:
        names = ", ".join(sorted(x.name for x in dtypes)) or "nothing"
        raise UsageError(f"z0: expected float32 or float64, got {names}", "cast z0")
    if per_sample_steps and any(x.shape.rank in (None, 0) for x in z):
        raise UsageError("per_sample_steps=True requires samples along the first axis of z0, got a scalar")
    return z


def validate_args(args: Any, dtype: tf.DType) -> Tensors:
    """Return the tensors of the arguments of f after t and z, flattened; Python and NumPy floats in a dtype.

    Raises:
        UsageError: args is not a tuple, or one of its leaves is not numeric.
    """
    if not isinstance(args, tuple):
        raise UsageError(f"args: expected a tuple, got {type(args).__name__}", "write args=(c,) for f(t, z, c)")
    return [_as_tensor(x, dtype) for x in tf.nest.flatten(args)]


def _as_tensor(x: Any, dtype: tf.DType) -> tf.Tensor:
    if not tf.is_tensor(x) and not hasattr(x, "assign") and np.asarray(x).dtype.kind == "f":
        return tf.convert_to_tensor(x, dtype)
    try:
        tensor = tf.convert_to_tensor(x)
    except (TypeError, ValueError) as error:
        raise UsageError(f"args: expected tensors, got {type(x).__name__}") from error
    if tensor.dtype == tf.string:
        raise UsageError("args: expected numeric tensors, got a string")
    return tensor


def validate_times(t: Any, per_sample_steps: bool = False) -> tf.Tensor:
    """Return the requested times as float64, (times,) or, with per-sample steps, (times, n).

    Raises:
        UsageError: t is not a sequence of static length, or its static values are not finite and strictly monotonic.
    """
    t = tf.cast(tf.convert_to_tensor(t) if tf.is_tensor(t) else np.asarray(t, np.float64), tf.float64)
    if t.shape.rank not in ((1, 2) if per_sample_steps else (1,)) or not t.shape[0]:
        raise UsageError(f"t: expected a sequence of times of static length, got the shape {t.shape}")
    values = tf.get_static_value(t)
    if values is None:
        return t
    steps = np.diff(values, axis=0)
    if not np.isfinite(values).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise UsageError(
            f"t: expected finite times that increase or decrease, got {np.array2string(values, threshold=6)}"
        )
    return t
