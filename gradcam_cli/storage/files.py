"""Files are written here and nowhere else: whole, or not at all; on this machine or behind a URL."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gradcam_cli.errors import OutputError
from gradcam_cli.storage import remote
from gradcam_cli.storage.paths import is_url

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the target's place, at once, when the block ends well.

    Missing folders are made. If the block raises, the target is as it was and nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
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
    """Write a file that takes the target's place at once; a URL gets all bytes in one request.

    An object store shows an object only when it is complete, so that there, too, nobody meets half a file.

    Raises:
        OSError: it cannot be written.
    """
    if is_url(target):
        remote.write(str(target), data)
        return
    with atomic_write(target) as file:
        file.write(data)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    return remote.read(str(path)) if is_url(path) else path.read_bytes()


def open_readable(path: Path) -> BinaryIO:
    """Open a file to read it in any order; what is behind a URL is fetched whole.

    Raises:
        OSError: it cannot be read.
    """
    return io.BytesIO(remote.read(str(path))) if is_url(path) else open(path, "rb")


def exists(path: Path) -> bool:
    """Return whether there is a file; one that a store does not tell of is taken for missing."""
    if not is_url(path):
        return path.exists()
    try:
        return remote.exists(str(path))
    except OSError:
        return False


def write_output(target: Path, data: bytes) -> Path:
    """Write a file, replacing an older one at once.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        write_bytes(target, data)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def file_lock(target: Path) -> Iterator[None]:
    """Let one process at a time make a file; where the system knows no such locks, all may.

    A lock whose file is gone when it is got belongs to another that is done, and is asked for again.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    path = target.with_name(f".{target.name}.lock")
    while True:
        with open(path, "a") as file:
            with contextlib.suppress(OSError):  # a network's file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return
