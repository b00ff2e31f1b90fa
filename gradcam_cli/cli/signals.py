"""Ctrl-C and SIGTERM, heeded also where a library swallows the exception that they raise."""

from __future__ import annotations

import signal
from types import FrameType

_raised: BaseException | None = None


def install_signal_handlers() -> None:
    """From now on, raise KeyboardInterrupt for SIGINT and SystemExit(143) for SIGTERM, and remember it."""
    signal.signal(signal.SIGINT, _raise_for_signal)
    signal.signal(signal.SIGTERM, _raise_for_signal)


def _raise_for_signal(number: int, frame: FrameType | None) -> None:
    global _raised
    _raised = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(143)
    raise _raised


def raise_if_interrupted() -> None:
    """Raise again what was raised before: called between two inputs.

    An exception that a signal raises while C code asks a Python object something (as TensorFlow
    does all the time) is dropped there, and the run would go on.
    """
    if _raised is not None:
        raise _raised
