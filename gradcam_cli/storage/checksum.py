"""SHA-256 checksums of files."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class LazySha256:
    """The SHA-256 of a file, read when it is first asked for, or from `start` on beside other work.

    Half a gigabyte takes a core a second, which nobody should wait for who does not ask.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._future: Future[str] | None = None

    def __getstate__(self) -> dict[str, str]:
        """Travel to another process, which may not have the file, as the hash itself."""
        return {"digest": self.result()}

    def __setstate__(self, state: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._future = Future()
        self._future.set_result(state["digest"])

    def start(self) -> Future[str]:
        """Begin to read, unless that is done already."""
        with self._lock:
            if self._future is None:
                pool = ThreadPoolExecutor(1)
                self._future = pool.submit(sha256, self._path)
                pool.shutdown(wait=False)
            return self._future

    def result(self) -> str:
        """Return the hash, in hexadecimal; wait for it if need be."""
        return self.start().result()


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
