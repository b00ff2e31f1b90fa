"""Reading and writing of whole files, on disk or at a URL; writes are atomic."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from filelock import FileLock

from gradcam_cli.errors import OutputError
from gradcam_cli.storage import remote
from gradcam_cli.storage.paths import is_url
from gradcam_cli.storage.protected import require_no_input
from gradcam_cli.storage.regular_files import MAX_BYTES, open_regular, read_regular
from gradcam_cli.storage.targets import open_special, require_inside, require_replaceable, resolve_target

LOCKS_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks."""


def make_folders(folder: Path) -> None:
    """Create a folder and those above it; `Path.mkdir` exceeds the recursion limit in deep folders.

    Raises:
        OSError: a folder cannot be created.
    """
    missing = []
    while folder != folder.parent and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces the target when the block ends without an exception.

    Missing folders are created. If the block raises, the temporary file is deleted and the target is unchanged. A link
    at the target is replaced, not followed.

    Raises:
        OutputError: the target is an input of the run.
        OSError: the file cannot be written, or the target is a directory, a device or a pipe.
    """
    require_no_input(target)
    require_replaceable(target)
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
        OutputError: the target is an input of the run.
        OSError: the file cannot be written.
    """
    if is_url(target):
        require_no_input(target)
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


def read_head(path: Path, num_bytes: int) -> bytes:
    """Return the first bytes of a regular file or of a file in an object store.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
    """
    if is_url(path):
        return remote.read_head(str(path), num_bytes)
    with open_regular(path) as file:
        return file.read(num_bytes)


def exists(path: Path) -> bool:
    """Return whether a file exists; False if the store cannot be reached."""
    if not is_url(path):
        return path.exists()
    try:
        return remote.exists(str(path))
    except OSError:
        return False


def write_output(target: Path, data: bytes, within: Path | None = None) -> Path:
    """Replace an output file atomically and return its path; a device or pipe is written into.

    Args:
        target: path or URL.
        data: content of the file.
        within: directory of the results that the file belongs to: no link is followed out of it, and a device or pipe
            in it is an error. None for a file that the user named: its links are followed.

    Raises:
        OutputError: the file cannot be written, or is an input of the run.
    """
    try:
        if is_url(target):
            write_bytes(target, data)
        elif within is not None:
            require_inside(target, within)
            write_bytes(target, data)
        elif special := open_special(target):
            with special:
                special.write(data)
        else:
            write_bytes(Path(resolve_target(target)), data)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def open_append(target: Path, within: Path) -> BinaryIO:
    """Open a file of a results directory for reading and appending; links are not followed.

    Raises:
        OutputError: the file is an input of the run.
        OSError: the file cannot be opened, or is a link, a directory, a device or a pipe.
    """
    require_no_input(target)
    require_inside(target, within)
    require_replaceable(target)
    make_folders(target.parent)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        return cast(BinaryIO, open(target, "a+b", opener=lambda path, _: os.open(path, flags, 0o666)))
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise OSError(error.errno, reason, error.filename) from error


@contextlib.contextmanager
def file_lock(target: Path) -> Iterator[None]:
    """Hold the lock of a file that this process is about to create; other processes wait.

    On a file system without locks, the block runs unlocked. The lock file is deleted while the lock
    is held: a waiting process then finds its open file without a name and opens a new one.

    Raises:
        OSError: the folder or the lock file cannot be created.
    """
    make_folders(target.parent)
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
