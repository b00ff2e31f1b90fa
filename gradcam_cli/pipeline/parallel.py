"""Work done by several threads, its results handed over in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def available_cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(pool: Executor, function: Callable[[T], R], items: Iterable[T], max_pending: int) -> Iterator[R]:
    """Do work on each item in a pool and yield the results in the order of the items.

    An item is taken up only while fewer than `max_pending` are in work or wait to be yielded, so that
    memory does not grow with their number. Items are drawn in the thread that asks for results:
    what it costs to make the next ones overlaps with the work on those before.

    Args:
        pool: where the work is done.
        function: called once an item; what it raises is raised here at that item's turn.
        items: may be endless.
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
