"""Reading and writing of whole files, on disk or at a URL; writes are atomic."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from gradcam_cli.errors import OutputError
from gradcam_cli.storage import remote
from gradcam_cli.storage.paths import is_url
from gradcam_cli.storage.regular_files import MAX_BYTES, open_regular, read_regular

LOCKS_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks."""


def make_folders(folder: Path) -> None:
    """Create a folder and those above it; `Path.mkdir` exceeds the recursion limit in deep folders.

    Raises:
        OSError: a folder cannot be created.
    """
    missing = []
    while folder != folder.parent and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces the target when the block ends without an exception.

    Missing folders are created. If the block raises, the temporary file is deleted and the target is unchanged.
    """
    make_folders(target.parent)
    partial = target.parent / f".gradcam-{secrets.token_hex(6)}.part"
    try:
        with open(partial, "xb") as file:
            yield file
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise


def write_bytes(target: Path, data: bytes) -> None:
    """Replace a file atomically; a URL gets all bytes in one request.

    An object store shows an object only when its upload is complete.

    Raises:
        OSError: the file cannot be written.
    """
    if is_url(target):
        remote.write(str(target), data)
        return
    with atomic_write(target) as file:
        file.write(data)


def read_bytes(path: Path, max_bytes: int = MAX_BYTES, *, allow_pipe: bool = False) -> bytes:
    """Return the bytes of a regular file or of a URL.

    Args:
        path: path or URL.
        max_bytes: limit of the file's size.
        allow_pipe: also read a pipe that the shell opened, such as `/dev/fd/63` of `<(command)`.

    Raises:
        OSError: the file cannot be read, is not a regular file, or is too large.
    """
    return remote.read(str(path), max_bytes) if is_url(path) else read_regular(path, max_bytes, allow_pipe=allow_pipe)


def open_readable(path: Path, max_bytes: int = MAX_BYTES, *, allow_pipe: bool = False) -> BinaryIO:
    """Open a regular file for random access; a URL is downloaded into memory.

    Args:
        path: path or URL.
        max_bytes: limit of the file's size.
        allow_pipe: also open a pipe that the shell opened, which has no random access.

    Raises:
        OSError: the file cannot be read, is not a regular file, or is too large.
    """
    if is_url(path):
        return io.BytesIO(remote.read(str(path), max_bytes))
    return open_regular(path, max_bytes, allow_pipe=allow_pipe)


def exists(path: Path) -> bool:
    """Return whether a file exists; False if the store cannot be reached."""
    if not is_url(path):
        return path.exists()
    try:
        return remote.exists(str(path))
    except OSError:
        return False


def write_output(target: Path, data: bytes) -> Path:
    """Replace an output file atomically and return its path.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        write_bytes(target, data)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


@contextlib.contextmanager
def file_lock(target: Path) -> Iterator[None]:
    """Hold the lock of a file that this process is about to create; other processes wait.

    On a file system without locks, the block runs unlocked. The lock file is deleted while the lock
    is held: a waiting process then finds its open file without a name and opens a new one.

    Raises:
        OSError: the folder or the lock file cannot be created.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lock_path = target.with_name(f".{target.name}.lock")
    lock = FileLock(lock_path)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in LOCKS_UNSUPPORTED:
            raise
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows keeps open files
            lock_path.unlink()
        lock.release()
