"""SIGINT and SIGTERM as exceptions, even if a library discards the exception."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from gradcam_cli.console import progress

_raised: BaseException | None = None


def install_signal_handlers() -> None:
    """Raise KeyboardInterrupt for SIGINT and SystemExit(143) for SIGTERM, and store the exception."""
    signal.signal(signal.SIGINT, _raise_for_signal)
    signal.signal(signal.SIGTERM, _raise_for_signal)


def _raise_for_signal(number: int, frame: FrameType | None) -> None:
    global _raised
    _raised = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(143)
    raise _raised


def raise_if_interrupted() -> None:
    """Raise the stored exception of a signal; called between two inputs.

    C code such as TensorFlow's can discard an exception that is raised while it calls a Python object. Without this
    check, the run would continue.
    """
    if _raised is not None:
        raise _raised


@contextlib.contextmanager
def interruptible_progress(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Draw a progress bar; its function also raises the stored exception of a signal."""
    with progress(description, total) as advance:

        def step(steps: int) -> None:
            advance(steps)
            raise_if_interrupted()

        yield step
