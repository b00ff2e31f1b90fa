"""How a solve ends, and the named errors for those that end badly."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError


class Status(IntEnum):
    """How a solve ended; the worst has the largest number."""

    SUCCESS = 0
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


def raise_on_failure(status: Any, t: Any, dt: Any, steps: Any, phase: str) -> None:
    """Raise the named error of an eager status, of the first sample that has the worst; return if all is done.

    Args:
        status: int, () or (n,).
        t: float, likewise.
        dt: float, likewise.
        steps: int, likewise.
        phase: of the solves, `forward` or `backward`.

    Raises:
        SolverError: the status is not DONE.
    """
    statuses = np.atleast_1d(status)
    worst = int(statuses.argmax())
    if statuses[worst] == Status.SUCCESS:
        return
    at, by, tried = (np.broadcast_to(value, statuses.shape)[worst].item() for value in (t, dt, steps))
    error, what, hint = ERRORS[Status(int(statuses[worst]))]
    of = SAMPLE_TEMPLATE.format(worst) if len(statuses) > 1 else ""
    told = MESSAGE_TEMPLATE.format(phase, of, what, f"{at:.9g}", f"{by:.3g}", DIRECTIONS[by < 0], tried)
    raise error(told, hint, at, by, tried)


SAMPLE_TEMPLATE = " of sample {}"
MESSAGE_TEMPLATE = "{} solve{}: {}: t = {}, dt = {} ({}), step {}"
"""Which solve, of which sample, what happened, t, dt, direction, step."""

DIRECTIONS = ("time increasing", "time decreasing")


def graph_assert_success(
    status: tf.Tensor, t: tf.Tensor, dt: tf.Tensor, steps: tf.Tensor, phase: str
) -> list[tf.Tensor]:
    """Return what fails, where a graph runs, with the sentence of the named error; XLA compiles it to nothing.

    XLA knows no operations on strings, and whoever traces a graph cannot know whether it will be compiled. So the
    graph gets an assertion of numbers, which XLA leaves out, and in its library the one that tells a sentence: where
    TensorFlow runs the graph itself, its optimizer takes the second for the first, as both bear one name.

    Args:
        status: int32, () or (n,).
        t: float64, likewise.
        dt: float64, likewise.
        steps: int32, likewise.
        phase: of the solves, `forward` or `backward`.
    """
    numbers, *sentences = _assertions(phase, status.shape.rank)
    graph = tf.compat.v1.get_default_graph()
    for sentence in sentences:
        sentence.get_concrete_function().add_to_graph(graph)
    return [numbers(status, t, dt, steps)]


@cache
def _assertions(phase: str, rank: int) -> list[Any]:
    """Return the assertion of numbers, and that of the sentence for each device that may run it."""
    specs = [tf.TensorSpec([None] * rank, dtype) for dtype in (tf.int32, tf.float64, tf.float64, tf.int32)]

    def made(tell: Callable[..., Any], device: str) -> Any:
        def check(status: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
            done = tf.reduce_all(status == int(Status.SUCCESS))
            return tf.cond(done, lambda: True, lambda: _fail(tell(phase, status, *rest)))

        attributes = {"api_implements": f"gradcam_{phase}_{rank}", "api_preferred_device": device}
        return tf.function(check, input_signature=specs, autograph=False, experimental_attributes=attributes)

    return [made(_status_numbers, "none"), made(_message, "CPU"), made(_message, "GPU")]


def _fail(data: list[Any]) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(tf.constant(False), data, summarize=4)]):
        return tf.constant(False)


def _status_numbers(phase: str, status: tf.Tensor, t: tf.Tensor, dt: tf.Tensor, steps: tf.Tensor) -> list[Any]:
    names = ", ".join(f"{status:d} {error.__name__}" for status, (error, *_) in ERRORS.items())
    return [f"{phase} solve: status ({names}), t, dt, step:", status, t, dt, steps]


def _message(phase: str, status: tf.Tensor, t: tf.Tensor, dt: tf.Tensor, steps: tf.Tensor) -> list[Any]:
    """Return what `raise_on_failure` says, as one string of an error's name, message and hint."""
    statuses = tf.reshape(status, [-1])
    worst = tf.argmax(statuses)
    at, by, tried = (tf.broadcast_to(x, tf.shape(statuses))[worst] for x in (t, dt, steps))
    names, what, hints = (
        tf.gather(["", *texts], statuses[worst])
        for texts in zip(*((error.__name__, *texts) for error, *texts in ERRORS.values()), strict=True)
    )
    direction = tf.gather(DIRECTIONS, tf.cast(by < 0, tf.int32))
    of = _format_template(SAMPLE_TEMPLATE, worst) if status.shape.rank else ""
    of = tf.where(tf.size(statuses) > 1, of, "")
    told = _format_template(
        MESSAGE_TEMPLATE, phase, of, what, _format_general(at, 9), _format_general(by, 3), direction, tried
    )
    return [tf.strings.join([names, ": ", told, "; hint: ", hints])]


def _format_general(x: tf.Tensor, digits: int) -> tf.Tensor:
    """Return a number as Python's format `.{digits}g` does."""
    return tf.strings.as_string(x, precision=digits, shortest=True)


def _format_template(template: str, *values: Any) -> tf.Tensor:
    """Return a template with values in its places, as `str.format` does."""
    parts, texts = template.split("{}"), []
    for part, value in zip(parts, [*values, ""], strict=True):
        texts += [part, tf.as_string(value) if tf.is_tensor(value) and value.dtype != tf.string else value]
    return tf.strings.join(texts)


def failure_message(error: Exception) -> str:
    """Return, of what TensorFlow raised in a graph, the sentence that says what happened."""
    for line in str(error).splitlines():
        for kind, *_ in ERRORS.values():
            if (start := line.find(f"{kind.__name__}: ")) >= 0:
                return line[start:].rstrip("] ").split("; hint: ")[0].removeprefix(f"{kind.__name__}: ")
    return next(iter(str(error).splitlines()), type(error).__name__)
