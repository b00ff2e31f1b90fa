"""Standard streams that are closed, full, or limited to ASCII."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Any, TextIO

from gradcam_cli.errors import OutputError


class _ResultFile(io.FileIO):
    """Standard output; a failed write is an OutputError, except to a pipe that its reader has closed."""

    def write(self, data: Any) -> int:
        """Write bytes and return their number."""
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            raise
        except OSError as error:
            discard_stdout()
            raise OutputError(f"standard output cannot be written: {error.strerror or error}") from error


class _MessageFile(io.FileIO):
    """Standard error; a message that cannot be written is lost, and the results are not."""

    def write(self, data: Any) -> int:
        """Write bytes and return their number."""
        with contextlib.suppress(OSError):
            super().write(data)
        return len(data)


class _ClosedInput(io.RawIOBase):
    """Standard input that is closed."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raise an OSError."""
        raise OSError(errno.EBADF, "standard input is closed")


def prepare_streams() -> None:
    """Set up the standard streams of the process.

    Raises:
        OutputError: standard output is closed.
    """
    _reserve_descriptors()
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BufferedReader(_ClosedInput()))
    sys.stderr = open_messages(2)
    if sys.stdout is None:
        raise OutputError("standard output is closed", "discard the results with: > /dev/null")
    with contextlib.suppress(OSError, ValueError):  # what the program that calls `main` has printed before
        sys.stdout.flush()
    encoding, is_terminal = sys.stdout.encoding, sys.stdout.isatty()
    buffer = io.BufferedWriter(_ResultFile(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=is_terminal)


def open_messages(descriptor: int) -> TextIO:
    """Return a text stream for messages, which ignores failed writes."""
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    buffer = io.BufferedWriter(_MessageFile(descriptor, "w", closefd=False))
    return io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=True)


def discard_stdout() -> None:
    """Discard everything that is still written to standard output, also when Python flushes it at the end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _reserve_descriptors() -> None:
    """Open the null device in place of closed standard streams, or the next file would get a stream's number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
