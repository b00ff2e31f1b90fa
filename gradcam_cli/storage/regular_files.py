"""Opening of local files by name: regular files only, within a size limit, without waiting for a pipe."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader

SPECIAL_FILES = (
    *((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")),
    *((stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device")),
)
MAX_BYTES = 1 << 32
"""Default limit of a file's size."""
BLOCK_SIZE = 1 << 22
_INHERITED = re.compile(r"/dev/(stdin|fd/\d+)|/proc/self/fd/\d+")
"""Files that a shell opened for this process, as in `--files-from <(find images)`."""


class SpecialFileError(OSError):
    """The file is a pipe, a socket or a device; `kind` names it."""

    def __init__(self, kind: str, path: str) -> None:
        super().__init__(errno.EINVAL, f"expected a regular file, got {kind}", path)
        self.kind = kind


class FileTooLargeError(OSError):
    """The file is larger than the limit; `size` is None if the size is unknown."""

    def __init__(self, max_bytes: int, size: int | None, path: str) -> None:
        got = "more" if size is None else f"{size:,}"
        super().__init__(errno.EFBIG, f"too large: expected at most {max_bytes:,} bytes, got {got}", path)
        self.size = size


def open_regular(
    path: str | os.PathLike[str], max_bytes: int = MAX_BYTES, *, allow_pipe: bool = False
) -> BufferedReader:
    """Open a regular file for reading.

    Args:
        path: a local path; the file may be a link to a regular file.
        max_bytes: limit of the file's size.
        allow_pipe: also open a pipe that the shell opened, such as `/dev/fd/63` of `<(command)`.

    Raises:
        SpecialFileError: the file is a pipe, a socket or a device; a device is not opened.
        FileTooLargeError: the file is too large.
        OSError: the file is missing, a directory, or cannot be opened.
    """
    name = os.fspath(path)
    try:
        status = os.stat(name)
        if allow_pipe and _INHERITED.fullmatch(name) and stat.S_ISFIFO(status.st_mode):
            return open(name, "rb")  # the caller closes it
        _check(status, max_bytes, name)  # before opening, which may act on a device
        file = open(name, "rb", opener=_open_nonblocking)  # noqa: SIM115  # the caller closes it
    except ValueError as error:  # a NUL byte, or a character that names of files cannot contain
        raise OSError(errno.EINVAL, f"invalid file name: {error}", name) from error
    try:
        _check(os.fstat(file.fileno()), max_bytes, name)
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES, *, allow_pipe: bool = False) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: a local path.
        max_bytes: limit of the file's size.
        allow_pipe: as for `open_regular`.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path, max_bytes, allow_pipe=allow_pipe) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) or b""
        while size < len(data) <= max_bytes and (block := file.read(BLOCK_SIZE)):  # a pipe, or a file that grows
            data += block
    if len(data) > max_bytes:
        raise FileTooLargeError(max_bytes, None, os.fspath(path))
    return data


def walk_files(directory: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the paths of all entries below a directory that are no directories; links to directories are not entered.

    Folders of any depth are entered, as far as the system's limit of path lengths allows; folders that cannot be
    listed are left out.

    Raises:
        OSError: the directory itself cannot be listed.
    """
    pending = [os.fspath(directory)]
    for folder in pending:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            if folder == pending[0]:
                raise
            continue
        pending += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        yield from (entry.path for entry in entries if not entry.is_dir(follow_symlinks=False))


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without blocking, in case the file was replaced by a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check(status: os.stat_result, max_bytes: int, path: str) -> None:
    for is_kind, kind in SPECIAL_FILES:
        if is_kind(status.st_mode):
            raise SpecialFileError(kind, path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if status.st_size > max_bytes:
        raise FileTooLargeError(max_bytes, status.st_size, path)
