"""Files are written here and nowhere else: whole, or not at all; on this machine or behind a URL."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gradcam_cli import remote
from gradcam_cli.places import is_url


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
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
        remote.put(str(target), data)
        return
    with replacing(target) as file:
        file.write(data)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    return remote.read(str(path)) if is_url(path) else path.read_bytes()


def open_bytes(path: Path) -> BinaryIO:
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
