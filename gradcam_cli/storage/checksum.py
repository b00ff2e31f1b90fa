"""SHA-256 checksums of files."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any


class LazySha256:
    """The SHA-256 of a file, computed in a background thread on first use.

    Hashing half a gigabyte takes one core about a second, so a run without JSON output skips it.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._future: Future[str] | None = None

    @classmethod
    def of(cls, path: Path) -> LazySha256:
        """Return the checksum of a file that `start_sha256` has started, if the file is the same, or a new one."""
        return _started.pop(_identity(path), None) or cls(path)

    def __getstate__(self) -> dict[str, str]:
        """Pickle the digest, since the receiving process may not have the file."""
        return {"digest": self.result()}

    def __setstate__(self, state: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._future = Future()
        self._future.set_result(state["digest"])

    def start(self) -> Future[str]:
        """Start hashing, once, and return the future of the digest."""
        with self._lock:
            if self._future is None:
                pool = ThreadPoolExecutor(1)
                self._future = pool.submit(sha256, self._path)
                pool.shutdown(wait=False)
            return self._future

    def result(self) -> str:
        """Return the digest in hexadecimal; wait until it is computed."""
        return self.start().result()


_started: dict[tuple[Any, ...], LazySha256] = {}


def start_sha256(path: Path) -> None:
    """Start to hash a file that is loaded later."""
    checksum = _started.setdefault(_identity(path), LazySha256(path))
    checksum.start()


def _identity(path: Path) -> tuple[Any, ...]:
    status = path.stat()
    return str(path.absolute()), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
