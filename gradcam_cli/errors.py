"""The errors a person may meet, each with what to do about it."""

from __future__ import annotations


class GradcamError(Exception):
    """Something gradcam cannot do, said in one sentence.

    Attributes:
        message: what happened, with what was expected and what was received.
        hint: what to do about it, or None.
        exit_status: the status with which the command ends if nothing else could be done.
    """

    exit_status = 3

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GradcamError):
    """An argument that cannot be meant: an unknown layer, class or option value."""

    exit_status = 2


class InputError(GradcamError):
    """One input that cannot be read; the others are unharmed."""


class ModelError(GradcamError):
    """A model that cannot be loaded or has nothing to explain."""


class WeightsError(GradcamError):
    """Weights that cannot be found, fetched or put into the model."""


class OutputError(GradcamError):
    """A result that cannot be written."""
