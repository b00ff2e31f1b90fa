"""The one thread that runs the networks: requests wait for each other, and background work for all requests."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
STOP, REQUEST, BACKGROUND = range(3)  # the order in which they are taken
MAX_WAITING = 64
"""Computations that may wait; further requests are refused."""


class Busy(Exception):  # noqa: N818  # not an error of the program
    """Too many computations are waiting."""


class Worker:
    """A daemon thread that runs functions one at a time, those of requests before those of the background.

    Attributes:
        running: whether a function runs now.
    """

    def __init__(self) -> None:
        self.running = False
        self._tasks: queue.PriorityQueue[tuple[int, int, Future[Any] | None, Callable[[], Any]]]
        self._tasks = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="gradcam-network", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[], T], *, background: bool = False) -> Future[T]:
        """Run a function after those that wait; a future that is cancelled before is not run.

        Raises:
            Busy: too many functions wait.
        """
        if not background and self._tasks.qsize() >= MAX_WAITING:
            raise Busy
        future: Future[T] = Future()
        self._tasks.put((BACKGROUND if background else REQUEST, next(self._numbers), future, function))
        return future

    def stop(self, timeout: float) -> bool:
        """Run nothing more, and return whether the running function has ended before the timeout in seconds."""
        self._tasks.put((STOP, next(self._numbers), None, lambda: None))
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            _, _, future, function = self._tasks.get()
            if future is None:
                return
            if not future.set_running_or_notify_cancel():
                continue
            self.running = True
            try:
                future.set_result(function())
            except BaseException as error:  # the caller's
                future.set_exception(error)
            finally:
                self.running = False
