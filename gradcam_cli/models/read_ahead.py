"""Reading of the arrays of a file, and its check, in a thread, while the program does something else."""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from gradcam_cli.models.zip_member import StoredMember

Place = tuple[int, int]
"""Where an array is in a file: its offset, and its number of bytes."""
BLOCK_BYTES = 1 << 20
"""Size of the parts in which a member of an archive is read and checked; it fits into the cache of a core."""


class ReadAhead:
    """A thread that reads float32 arrays from known places of a file.

    It uses only NumPy and the file, so it runs while the main thread imports TensorFlow.

    Args:
        file: the file.
        find_places: called in the thread; returns the places to read.
        find_member: called in the thread; returns the member of an archive that contains the arrays, if it is stored
            without compression. Its checksum is compared in the same pass over the file.
    """

    def __init__(
        self,
        file: Path,
        find_places: Callable[[], Iterable[Place]],
        find_member: Callable[[], StoredMember | None] | None = None,
    ) -> None:
        self._file, self._find_places, self._find_member = file, find_places, find_member
        self._arrays: dict[Place, np.ndarray] = {}
        self._is_damaged = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def take(self, place: Place) -> np.ndarray | None:
        """Return an array, once, (count,) float32, or None if it was not read; wait for the thread."""
        self._thread.join()
        return self._arrays.pop(place, None)

    def is_damaged(self) -> bool:
        """Return whether the member ends too early, or has another checksum than the archive; wait for the thread."""
        self._thread.join()
        return self._is_damaged

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), open(self._file, "rb", buffering=0) as file:
            if self._find_member is None:
                self._read_arrays(file, self._find_places())
            elif member := self._find_member():
                self._is_damaged = True  # until it is read
                self._is_damaged = self._read_member(file, member, self._find_places()) != member.crc
                if self._is_damaged:
                    self._arrays.clear()

    def _read_arrays(self, file: IO[bytes], places: Iterable[Place]) -> None:
        for offset, num_bytes in places:
            array = page_aligned((num_bytes // 4,))
            file.seek(offset)
            if not _read_fully(file, array.view(np.uint8).data):
                return
            self._arrays[offset, num_bytes] = array

    def _read_member(self, file: IO[bytes], member: StoredMember, places: Iterable[Place]) -> int | None:
        """Read a member from its start to its end, arrays to their places; return its CRC-32, None if it is cut off."""
        position, end, checksum = member.start, member.start + member.size, 0
        scratch = memoryview(bytearray(BLOCK_BYTES))
        file.seek(position)
        for offset, num_bytes in [*sorted(places), (end, 0)]:
            if offset < position or offset + num_bytes > end:
                continue  # it overlaps with another one
            array = page_aligned((num_bytes // 4,))
            gap = (scratch[: min(BLOCK_BYTES, offset - at)] for at in range(position, offset, BLOCK_BYTES))
            for part in (*gap, *_blocks(array.view(np.uint8).data)):
                if not _read_fully(file, part):
                    return None
                checksum = zlib.crc32(part, checksum)
            self._arrays[offset, num_bytes] = array
            position = offset + num_bytes
        return checksum


def _blocks(buffer: memoryview) -> Iterable[memoryview]:
    return (buffer[at : at + BLOCK_BYTES] for at in range(0, len(buffer), BLOCK_BYTES))


def _read_fully(file: IO[bytes], buffer: memoryview) -> bool:
    """Fill a buffer; return False if the file ends before."""
    while buffer:
        count = file.readinto(buffer)  # type: ignore[attr-defined]
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
