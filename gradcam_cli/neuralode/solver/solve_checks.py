"""Checks of the results of a solve, in eager mode and in graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.solver_state import SolverState
from gradcam_cli.neuralode.solver.status import assert_success, raise_on_failure
from gradcam_cli.neuralode.solver.typing import Tensors

SECOND_DERIVATIVE_ERROR = ("odeint has no second derivative", "use finite differences of the gradient")
INTERPOLATION_ERROR = ("Solution.interpolate has no gradient", "request the times in t")


def any_differs(variables: Sequence[Any], values: Tensors) -> tf.Tensor:
    """Return whether any variable differs from its value; NaN equals NaN."""
    differs = [tf.reduce_any((x != y) & ((x == x) | (y == y))) for x, y in zip(variables, values, strict=True)]
    return tf.reduce_any(tf.stack(differs)) if differs else tf.constant(False)


def raise_if_changed(gradients: Tensors, changed: tf.Tensor) -> Tensors:
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


def raise_if_failed(tensors: Tensors, p: SolverState, phase: str) -> Tensors:
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


def forbid_gradient(outputs: Tensors, inputs: Tensors, error: tuple[str, str]) -> Tensors:
    """Return the outputs; differentiating them raises UsageError instead of treating them as constants.

    Args:
        outputs: tensors that depend on the inputs.
        inputs: the inputs, as far as a tape may watch them.
        error: message and hint.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def identity(*_: tf.Tensor) -> Any:
        def refuse(*_: tf.Tensor) -> Any:
            raise UsageError(*error)

        return tuple(map(tf.identity, outputs)), refuse

    return list(identity(*inputs))
