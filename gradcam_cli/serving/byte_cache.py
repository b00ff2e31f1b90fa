"""A cache that is bounded in bytes; the value that was used least recently is dropped first."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class ByteCache(Generic[T]):
    """Values by key, for several threads.

    Attributes:
        nbytes: size of all values.

    Args:
        max_bytes: limit of the size of all values; a single value may exceed it, and is then alone.
    """

    def __init__(self, max_bytes: int) -> None:
        self.nbytes, self._max_bytes = 0, max_bytes
        self._values: dict[Hashable, tuple[T, int]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> T | None:
        """Return a value, which is now the last to be dropped, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values[key] = self._values.pop(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: T, nbytes: int) -> T:
        """Store and return a value of this size; the same value may be stored again with another size."""
        with self._lock:
            self._drop(key)
            self._values[key] = value, nbytes
            self.nbytes += nbytes
            while len(self._values) > 1 and self.nbytes > self._max_bytes:
                self._drop(next(iter(self._values)))
            return value

    def _drop(self, key: Hashable) -> None:
        if key in self._values:
            self.nbytes -= self._values.pop(key)[1]
