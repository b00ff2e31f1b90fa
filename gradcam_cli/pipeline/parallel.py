"""A parallel map over threads with ordered results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def available_cpus() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(pool: Executor, function: Callable[[T], R], items: Iterable[T], max_pending: int) -> Iterator[R]:
    """Apply a function to each item in a pool and yield the results in the order of the items.

    At most `max_pending` items are in progress or wait to be yielded, so memory does not grow with the number of
    items. Items are drawn in the calling thread, while the pool works on earlier ones.

    Args:
        pool: runs the function.
        function: called once per item; its exceptions are raised at the item's position.
        items: may be infinite.
        max_pending: at least 1.
    """
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= max_pending:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
