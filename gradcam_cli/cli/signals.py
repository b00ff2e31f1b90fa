"""Ctrl-C and SIGTERM, heeded also where a library swallows the exception that they raise."""

from __future__ import annotations

import signal
from types import FrameType

_raised: BaseException | None = None


def heed_interrupts() -> None:
    """From now on, raise KeyboardInterrupt for SIGINT and SystemExit(143) for SIGTERM, and remember it."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _raised
    _raised = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(143)
    raise _raised


def check_interrupts() -> None:
    """Raise again what was raised before: called between two inputs.

    An exception that a signal raises while C code asks a Python object something (as TensorFlow
    does all the time) is dropped there, and the run would go on.
    """
    if _raised is not None:
        raise _raised
