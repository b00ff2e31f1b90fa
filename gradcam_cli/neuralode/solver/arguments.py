"""Validation of the arguments of `odeint`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


def adjoint_options(
    options: SolverOptions, solver: str | None, rtol: float | None, atol: float | None
) -> SolverOptions:
    """Return the options of the backward solve: those of the forward solve, with the arguments that are not None."""
    return replace(
        options,
        solver=options.solver if solver is None else solver,
        rtol=options.rtol if rtol is None else rtol,
        atol=options.atol if atol is None else atol,
    )


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


def validate_times(t: Any) -> tf.Tensor:
    """Return the requested times as float64, (times,).

    Raises:
        UsageError: t is not a sequence of static length, or its static values are not finite and strictly monotonic.
    """
    t = tf.cast(tf.convert_to_tensor(t) if tf.is_tensor(t) else np.asarray(t, np.float64), tf.float64)
    if t.shape.rank != 1 or not t.shape[0]:
        raise UsageError(f"t: expected a sequence of times of static length, got the shape {t.shape}")
    values = tf.get_static_value(t)
    if values is None:
        return t
    steps = np.diff(values)
    if not np.isfinite(values).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise UsageError(
            f"t: expected finite times that increase or decrease, got {np.array2string(values, threshold=6)}"
        )
    return t
