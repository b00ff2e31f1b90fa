"""Reading of the arrays of a file in a thread, while the program does something else."""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

Place = tuple[int, int]
"""Where an array is in a file: its offset, and its number of bytes."""


class ReadAhead:
    """A thread that reads float32 arrays from known places of a file.

    It uses only NumPy and the file, so it runs while the main thread imports TensorFlow.

    Args:
        file: the file.
        find_places: called in the thread; returns the places to read.
    """

    def __init__(self, file: Path, find_places: Callable[[], Iterable[Place]]) -> None:
        self._file, self._find_places = file, find_places
        self._arrays: dict[Place, np.ndarray] = {}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def take(self, place: Place) -> np.ndarray | None:
        """Return an array, once, (count,) float32, or None if it was not read; wait for the thread."""
        self._thread.join()
        return self._arrays.pop(place, None)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), open(self._file, "rb", buffering=0) as file:
            for offset, num_bytes in self._find_places():
                array = page_aligned((num_bytes // 4,))
                file.seek(offset)
                if not _read_fully(file.readinto, array.view(np.uint8).data):
                    return
                self._arrays[offset, num_bytes] = array


def _read_fully(readinto: Callable[[memoryview], int | None], buffer: memoryview) -> bool:
    """Fill a buffer; return False if the file ends before."""
    while buffer:
        count = readinto(buffer)
        if not count:
            return False
        buffer = buffer[count:]
    return True


def page_aligned(shape: Sequence[int]) -> np.ndarray:
    """Return an uninitialized float32 array that begins with a page of memory.

    Its pages have the usual size: to find large ones takes up to half a second when memory is fragmented.
    """
    private: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, max(4 * math.prod(shape), 4), **private)
    return np.frombuffer(memory, np.float32, math.prod(shape)).reshape(shape)
