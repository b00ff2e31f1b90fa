"""Filtering the log messages that native libraries write to standard error."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import IO

from gradcam_cli.cli.streams import open_messages

_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|([IW]\d{4}|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d\S* +(?!E |F )"  # absl; TensorFlow before 2.21
    rb"|(E\d{4}|\d{4}-\d\d-\d\d) \d\d:\d\d:.*(cuda|cuInit|cuDNN|cuBLAS|cuFFT|computation_placer)"  # no GPU
    rb"|To enable the following instructions:"
    rb"|\[\d{4}-\d\d-\d\d \S+ \w \d+ \d+\] core_worker\.cc:\d+: Actor with class name"  # Ray, restarted actors
)


def _copy_filtered(pipe: IO[bytes], target: int) -> None:
    """Copy lines from a pipe to a file descriptor, without log messages of native libraries."""
    for line in pipe:
        if not _NOISE.match(line):
            with contextlib.suppress(OSError):
                os.write(target, line)


@contextlib.contextmanager
def filtered_native_stderr() -> Iterator[None]:
    """Drop the log messages that native code of TensorFlow writes to file descriptor 2.

    Other lines pass. On POSIX a child process filters, so that the messages of a crash (a failed check, an abort) are
    printed even after this process has ended.
    """
    sys.stderr.flush()
    saved_stderr = os.dup(2)
    read_end, write_end = os.pipe()
    child = os.fork() if hasattr(os, "fork") else None
    if child == 0:
        _filter_and_exit(read_end, write_end, saved_stderr)
    if child is None:
        threading.Thread(target=_copy_filtered, args=(os.fdopen(read_end, "rb"), saved_stderr), daemon=True).start()
    else:
        os.close(read_end)
    original_stderr = sys.stderr
    sys.stderr = open_messages(saved_stderr)
    os.dup2(write_end, 2)
    os.close(write_end)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = original_stderr
        os.dup2(saved_stderr, 2)  # closes the last write end of the pipe, which ends the filter
        if child:
            os.waitpid(child, 0)


def _filter_and_exit(read_end: int, write_end: int, target: int) -> None:
    """Filter in the child process until the parent ends; signals to the process group are ignored."""
    import signal

    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(write_end)
        _copy_filtered(os.fdopen(read_end, "rb"), target)
    finally:
        os._exit(0)
