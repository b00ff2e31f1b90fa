"""One image source (a file, a URL or standard input) and its bytes."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from gradcam_cli.errors import InputError
from gradcam_cli.storage import remote
from gradcam_cli.storage.paths import is_url

SUFFIXES = frozenset(
    [".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"]
)
SPECIAL_FILES = (
    *((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")),
    *((stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device")),
)
MAX_BYTES = 1 << 31
"""Default limit of a file's size, larger than any supported image."""


@dataclass(frozen=True)
class Source:
    """One image to explain.

    Attributes:
        name: path or URL; `-` for standard input.
        relative_path: path relative to the input directory; None for an input file.
        hosts: hosts to which the server of a web address may redirect, besides its own.
    """

    name: str
    relative_path: Path | None = None
    hosts: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def read(self, max_bytes: int = MAX_BYTES) -> bytes:
        """Return the file's bytes; arguments and errors are those of `open`."""
        with self.open(max_bytes) as file:
            return file.read()

    @contextlib.contextmanager
    def open(self, max_bytes: int = MAX_BYTES) -> Iterator[BinaryIO]:
        """Open the file for random access; a URL or standard input is first read into memory.

        Args:
            max_bytes: limit of the file's size.

        Raises:
            InputError: the file is missing, not a regular file, too large, or cannot be read.
        """
        try:
            if self.name == "-":
                yield io.BytesIO(sys.stdin.buffer.read())
                return
            if is_url(self.name):
                yield io.BytesIO(remote.read(self.name, max_bytes, self.hosts))
                return
            _check_regular_file(os.stat(self.name), max_bytes)  # before opening a device
            with open(self.name, "rb", opener=_open_nonblocking) as file:
                _check_regular_file(os.fstat(file.fileno()), max_bytes)
                yield file
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}") from error
        except ValueError as error:  # a NUL byte in the name
            raise InputError(f"cannot be read: {error}") from error


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without blocking, in case the file was replaced by a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular_file(status: os.stat_result, max_bytes: int) -> None:
    """Raise InputError for special files, and for files larger than any image of the allowed size."""
    for is_kind, kind in SPECIAL_FILES:
        if is_kind(status.st_mode):
            hint = "- reads standard input" if kind == "a pipe" else None
            raise InputError(f"expected an image file, got {kind}", hint)
    if status.st_size > max_bytes:
        raise InputError(
            f"too large: expected at most {max_bytes:,} bytes, got {status.st_size:,}",
            "raise --max-pixels if you trust the file",
        )
