"""The status of a solve, and the named error of each failure."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError


class Status(IntEnum):
    """Result of a solve; the most severe failure has the largest number."""

    SUCCESS = 0
    TOO_MANY_STEPS = 1
    STEP_UNDERFLOW = 2
    NOT_FINITE = 3
    NOT_REVERSIBLE = 4
    NOT_CONVERGED = 5


class SolverError(GradcamError):
    """A solve did not reach its last time.

    Attributes:
        t: the last time reached.
        dt: the last step tried, signed.
        steps: number of steps, accepted and rejected.
    """

    def __init__(self, message: str, hint: str | None, t: float, dt: float, steps: int) -> None:
        super().__init__(message, hint)
        self.t, self.dt, self.steps = t, dt, steps


class NotFiniteError(SolverError):
    """f returned NaN or infinity, even for very small steps."""


class StepUnderflowError(SolverError):
    """The error estimate requires steps too small to change t."""


class TooManyStepsError(SolverError):
    """The solve reached `max_steps`."""


class NotReversibleError(SolverError):
    """A backward solve did not return to the states of the forward solve, so its gradient would be wrong."""


class NotConvergedError(SolverError):
    """Newton's method did not converge in a fixed step of an implicit solver."""


ERRORS: dict[Status, tuple[type[SolverError], str, str]] = {
    Status.TOO_MANY_STEPS: (
        TooManyStepsError,
        "max_steps reached",
        "raise max_steps, loosen rtol and atol, or make f less stiff",
    ),
    Status.STEP_UNDERFLOW: (
        StepUnderflowError,
        "the step size underflows: z may have a pole or f a discontinuity nearby",
        "stop before this time, loosen rtol and atol, or bound f",
    ),
    Status.NOT_FINITE: (
        NotFiniteError,
        "f or z is not finite",
        "check f and its weights at this time, or reduce the learning rate or first_step",
    ),
    Status.NOT_REVERSIBLE: (
        NotReversibleError,
        "z differs from the forward solve, so the gradient would be wrong",
        "tighten rtol and atol",
    ),
    Status.NOT_CONVERGED: (
        NotConvergedError,
        "Newton's method does not converge",
        "reduce step_size, or use adaptive steps",
    ),
}
"""For each failure: the error class, the cause, and the hint."""

BACKWARD_HINT = "use gradient='discrete', which solves nothing backward, or "
"""Start of the hint after a failed backward solve."""


def raise_on_failure(status: Any, t: Any, dt: Any, steps: Any, phase: str) -> None:
    """Raise the error of the first sample with the most severe status, if any sample failed.

    Args:
        status: int, () or (n,).
        t: float, of the same shape.
        dt: float, of the same shape.
        steps: int, of the same shape.
        phase: `forward` or `backward`.

    Raises:
        SolverError: a status is not SUCCESS.
    """
    statuses = np.atleast_1d(status)
    if not statuses.size:
        return
    worst = int(statuses.argmax())
    if statuses[worst] == Status.SUCCESS:
        return
    t_worst, dt_worst, steps_worst = (np.broadcast_to(x, statuses.shape)[worst].item() for x in (t, dt, steps))
    error, cause, hint = ERRORS[Status(int(statuses[worst]))]
    sample = f" of sample {worst}" if len(statuses) > 1 else ""
    direction = "decreasing" if dt_worst < 0 else "increasing"
    message = (
        f"{phase} solve{sample}: {cause}: t = {t_worst:.9g}, dt = {dt_worst:.3g} (time {direction}), step {steps_worst}"
    )
    hint = BACKWARD_HINT + hint if phase == "backward" and error is not NotConvergedError else hint
    raise error(message, hint, t_worst, dt_worst, steps_worst)


def assert_success(status: tf.Tensor, t: tf.Tensor, dt: tf.Tensor, steps: tf.Tensor, phase: str) -> list[tf.Operation]:
    """Return an assertion for each failure, for a graph; its message names the error class. XLA ignores assertions.

    Args:
        status: int32, () or (n,).
        t: float64, of the same shape.
        dt: float64, of the same shape.
        steps: int32, of the same shape.
        phase: `forward` or `backward`.
    """
    statuses = tf.reshape(status, [-1])
    worst = tf.argmax(statuses)
    numbers = [tf.reshape(x, [-1])[worst] for x in (t, dt, steps)]
    # Without quotes, which TensorFlow would escape.
    advice = " (use gradient=discrete)" if phase == "backward" else ""
    return [
        tf.debugging.Assert(
            statuses[worst] != int(failure),
            [f"{error.__name__}: {phase} solve: {cause}{advice}: t, dt, step, sample =", *numbers, worst],
        )
        for failure, (error, cause, _) in ERRORS.items()
    ]


def failure_message(error: Exception) -> str:
    """Return the message of a failed assertion of `assert_success`, or the first line of another error."""
    names = "|".join(error_class.__name__ for error_class, *_ in ERRORS.values())
    match = re.search(rf"(?:{names}): ([^\]\n]*)\]((?: \[[^\]\n]*\])*)", str(error))
    if match:
        return match[1] + match[2].replace("] [", ", ").replace("[", "").rstrip("]")
    return next(iter(str(error).splitlines()), type(error).__name__)
