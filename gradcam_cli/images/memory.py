"""A limit on the bytes of decoded images and of the arrays derived from them, for all threads of the process.

Two budgets bound the memory of a run, whatever the number and the size of its images. `ACTIVE` counts the images that
threads decode or draw; a thread waits until its image fits. `WAITING` counts the decoded images that wait for the
network or for a thread; an image that does not fit is dropped and decoded again when it is needed.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

MIN_BUDGET = 1 << 30
"""Bytes of the active images on a small machine; larger machines use a 16th of their memory."""
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with the memory limit of a container, of cgroup version 2 and 1."""

BAND_PIXELS = 1 << 18
"""Pixels of a band of rows; the temporary arrays of a band fit into the processor's cache."""


def bands(shape: Sequence[int]) -> Iterator[slice]:
    """Yield slices of rows that divide an array of (H, W, ...) into bands of about `BAND_PIXELS` pixels."""
    height = max(1, BAND_PIXELS // max(1, shape[1]))
    yield from (slice(top, min(top + height, shape[0])) for top in range(0, shape[0], height))


def bytes_to_draw(shape: Sequence[int], num_maps: int) -> int:
    """Return the memory to draw the maps of an image of (H, W) pixels, or of any other spatial shape.

    A pixel takes 3 bytes in the image, 3 in the overlay, 4 in each map, and up to 6 in copies for a figure or a file.
    """
    return math.prod(shape) * (12 + 4 * num_maps)


class ByteBudget:
    """A number of bytes that threads share.

    Attributes:
        limit: in bytes.
        used: bytes in use. It exceeds the limit only if one item is larger than the limit, and then by this item alone,
            or if a task corrects its estimate.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._changed = threading.Condition()
        self._task = threading.local()

    @contextlib.contextmanager
    def task(self) -> Iterator[None]:
        """Release all that the thread has reserved when the block ends."""
        self._task.reserved = 0
        try:
            yield
        finally:
            self.release(self._task.reserved)
            del self._task.reserved

    def reserve(self, num_bytes: int) -> None:
        """Count bytes for the thread's task, at most one wait per task; without a task, nothing is counted.

        The first reservation waits until the bytes fit, or nothing else is in use. Later ones never wait, since two
        tasks that wait for each other's bytes would never end; they only correct the estimate of the first one.
        """
        reserved = getattr(self._task, "reserved", None)
        if reserved is None or num_bytes <= reserved:
            return
        with self._changed:
            if not reserved:
                self._changed.wait_for(lambda: not self.used or self.used + num_bytes <= self.limit)
            self.used += num_bytes - reserved
        self._task.reserved = num_bytes

    def try_acquire(self, num_bytes: int) -> bool:
        """Count bytes if they fit, and return whether they do."""
        with self._changed:
            if self.used + num_bytes > self.limit:
                return False
            self.used += num_bytes
            return True

    def release(self, num_bytes: int) -> None:
        """Stop counting bytes."""
        with self._changed:
            self.used -= num_bytes
            self._changed.notify_all()


def memory_limit() -> int:
    """Return the memory of the machine, or the limit of the container if that is less, in bytes."""
    limits = [psutil.virtual_memory().total]
    for name in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such file, or `max`
            limits.append(int(Path(name).read_text()))
    return min(limits)


ACTIVE = ByteBudget(max(MIN_BUDGET, memory_limit() // 16))
WAITING = ByteBudget(ACTIVE.limit // 2)
