"""How a solve ends, and the named errors for those that end badly."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError


class Status(IntEnum):
    """How a solve ended; the worst has the largest number."""

    DONE = 0
    TOO_MANY_STEPS = 1
    STEP_UNDERFLOW = 2
    NOT_FINITE = 3


class SolverError(GradcamError):
    """A solve that did not reach its last time.

    Attributes:
        t: the time it reached.
        dt: the step it tried there, signed.
        steps: how many it had tried, accepted or not.
    """

    def __init__(self, message: str, hint: str | None, t: float, dt: float, steps: int) -> None:
        super().__init__(message, hint)
        self.t, self.dt, self.steps = t, dt, steps


class NotFiniteError(SolverError):
    """f answered with NaN or infinity, also for the smallest steps."""


class StepUnderflowError(SolverError):
    """The error estimate asks for steps too small for t to change."""


class TooManyStepsError(SolverError):
    """The step limit was reached."""


ERRORS: dict[Status, tuple[type[SolverError], str, str]] = {
    Status.TOO_MANY_STEPS: (
        TooManyStepsError,
        "the limit of steps is reached",
        "raise max_steps, loosen rtol and atol, or make f less stiff",
    ),
    Status.STEP_UNDERFLOW: (
        StepUnderflowError,
        "the step size underflows: z may have a pole near there, or f a jump",
        "end before it, loosen rtol and atol, or bound f",
    ),
    Status.NOT_FINITE: (
        NotFiniteError,
        "f is not finite, or z is not",
        "check f and its weights there; a lower learning rate or a smaller first step may help",
    ),
}
"""For each status that is not DONE: the error, what happened, and what to do about it."""


def raise_for(status: Any, t: Any, dt: Any, steps: Any, which: str) -> None:
    """Raise the named error of an eager status, of the first sample that has the worst; return if all is done.

    Args:
        status: int, () or (n,).
        t: float, likewise.
        dt: float, likewise.
        steps: int, likewise.
        which: of the solves, `forward` or `backward`.

    Raises:
        SolverError: the status is not DONE.
    """
    statuses = np.atleast_1d(status)
    worst = int(statuses.argmax())
    if statuses[worst] == Status.DONE:
        return
    at, by, tried = (np.broadcast_to(value, statuses.shape)[worst].item() for value in (t, dt, steps))
    error, what, hint = ERRORS[Status(int(statuses[worst]))]
    of = f" of sample {worst}" if len(statuses) > 1 else ""
    raise error(
        f"{which} solve{of}: {what}: t = {at:.9g}, dt = {by:.3g} ({direction(by)}), step {tried}", hint, at, by, tried
    )


def direction(dt: float) -> str:
    """Return the words for the sign of a step."""
    return "time increasing" if dt >= 0 else "time decreasing"


def assert_done(status: tf.Tensor, t: tf.Tensor, dt: tf.Tensor, steps: tf.Tensor, which: str) -> list[tf.Operation]:
    """Return operations that fail with the text of the named error; XLA compiles them to nothing.

    Args:
        status: int32, () or (n,).
        t: float64, likewise.
        dt: float64, likewise.
        steps: int32, likewise.
        which: of the solves, `forward` or `backward`.
    """
    return [
        tf.debugging.Assert(
            tf.reduce_all(status != each),
            [
                f"{error.__name__}: {which} solve: {what}",
                "t, dt (negative: time decreasing), step:",
                t,
                dt,
                steps,
                hint,
            ],
            summarize=4,
        )
        for each, (error, what, hint) in ERRORS.items()
    ]
