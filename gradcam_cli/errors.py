"""The exceptions of gradcam, each with a message, a hint and an exit status."""

from __future__ import annotations


class GradcamError(Exception):
    """Base class of all exceptions that gradcam raises on purpose.

    Attributes:
        message: one line; for a wrong value it contains "expected X, got Y".
        hint: how to resolve it, or None.
        exit_status: exit status of the command if no result was produced.
    """

    exit_status = 3

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GradcamError):
    """An invalid argument: an unknown layer, class or option value."""

    exit_status = 2


class InputError(GradcamError):
    """An input that cannot be read; the remaining inputs are still processed."""


class ModelError(GradcamError):
    """A model that cannot be loaded or explained."""


class WeightsError(GradcamError):
    """Weights that are missing, cannot be downloaded, or do not fit the model."""


class OutputError(GradcamError):
    """An output file that cannot be written."""
