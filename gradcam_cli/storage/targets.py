"""What an output may do to what has its name: links, directories, devices and pipes."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from gradcam_cli.storage.paths import is_url

STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a device or pipe, also through links: it is written into, never replaced."""
    if is_url(path):
        return False
    try:
        return _descriptor(path) is not None or _is_special_mode(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def open_special(path: Path) -> BinaryIO | None:
    """Open a device, a pipe or an open file (`/dev/fd/3`) for writing; return None for all other paths.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_special(path):
        return None
    number = _descriptor(path)
    if number is None:
        return os.fdopen(os.open(path, os.O_WRONLY), "wb")
    if number == 1:
        sys.stdout.flush()
    return os.fdopen(os.dup(number), "wb")  # the same position in the file as all other writers


def resolve_target(path: str | os.PathLike[str]) -> str:
    """Return the path or URL of the file that is replaced if the user names this output: its links are followed."""
    return str(path) if is_url(path) else os.path.realpath(path)


def require_replaceable(path: Path) -> None:
    """Check that a path can be replaced by a file: it is free, a file or a link.

    Raises:
        OSError: it is a directory, a device or a pipe.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", path)
    if _is_special_mode(mode):
        raise OSError(errno.EEXIST, "it is a device or a pipe", path)


def require_inside(path: Path, directory: Path) -> None:
    """Check that the links in the folders of a path do not lead out of a directory.

    Raises:
        OSError: they do.
    """
    folder, root = os.path.realpath(path.parent), os.path.realpath(directory)
    if folder != root and not folder.startswith(os.path.join(root, "")):
        raise OSError(errno.EXDEV, f"a link leads out of {directory}", path)


def _is_special_mode(mode: int) -> bool:
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _descriptor(path: str | os.PathLike[str]) -> int | None:
    """Return the file descriptor that a path such as `/dev/stdout` names, or None."""
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else _STREAMS.get(str(path))
