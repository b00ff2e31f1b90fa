"""Filtering the messages that native libraries write to stderr."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    pass


_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|([IW]\d{4}|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d\S* +(?!E |F )"  # absl; TensorFlow before 2.21
    rb"|(E\d{4}|\d{4}-\d\d-\d\d) \d\d:\d\d:.*(cuda|cuInit|cuDNN|cuBLAS|cuFFT|computation_placer)"  # no GPU here
    rb"|To enable the following instructions:"
    rb"|\[\d{4}-\d\d-\d\d \S+ \w \d+ \d+\] core_worker\.cc:\d+: Actor with class name"  # Ray, of restarts
)


def _copy_filtered(pipe: IO[bytes], target: int) -> None:
    """Copy lines from the pipe to a file descriptor, leaving TensorFlow's chatter out."""
    for line in pipe:
        if not _NOISE.match(line):
            with contextlib.suppress(OSError):
                os.write(target, line)


@contextlib.contextmanager
def filtered_native_stderr() -> Iterator[None]:
    """Keep what TensorFlow's native code writes to file descriptor 2 from the person.

    Only lines of its log's form are dropped. On POSIX a child process does the filtering, so that
    the last words of a crash (a failed check, an abort) still come through when this process is gone.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    reading, writing = os.pipe()
    child = os.fork() if hasattr(os, "fork") else None
    if child == 0:
        _filter_and_exit(reading, writing, kept)
    if child is None:
        threading.Thread(target=_copy_filtered, args=(os.fdopen(reading, "rb"), kept), daemon=True).start()
    else:
        os.close(reading)
    own_stderr, sys.stderr = sys.stderr, os.fdopen(os.dup(kept), "w", buffering=1, errors="backslashreplace")
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = own_stderr
        os.dup2(kept, 2)  # closes the pipe's last writing end, so the filter ends
        if child:
            os.waitpid(child, 0)


def _filter_and_exit(reading: int, writing: int, target: int) -> None:
    """Run in the child: filter until the parent is gone, deaf to the signals meant for it."""
    import signal

    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(writing)
        _copy_filtered(os.fdopen(reading, "rb"), target)
    finally:
        os._exit(0)
