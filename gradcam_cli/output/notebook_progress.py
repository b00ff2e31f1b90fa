"""The progress of a long run in a notebook."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from gradcam_cli.console import ShowProgress

DELAY, INTERVAL = 1.0, 0.2
"""Seconds before the progress is shown, and between two changes."""


@contextlib.contextmanager
def notebook_progress(verb: str, total: int | None, *, enabled: bool = True) -> Iterator[Callable[[], None]]:
    """Show in a notebook how many images are done, if the run takes longer than `DELAY`; elsewhere, show nothing.

    Args:
        verb: what is done, such as `explained`.
        total: number of images, or None if unknown.
        enabled: whether to show it.

    Yields:
        A function that counts one image.
    """
    if not (enabled and in_notebook()):
        yield lambda: None
        return
    line = _Line(verb, total)
    try:
        yield line.advance
    finally:
        line.finish()


def show_in_notebook(enabled: bool) -> ShowProgress:
    """Return what shows the progress of a run in a notebook, if it is enabled."""

    @contextlib.contextmanager
    def show(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        with notebook_progress(description, total, enabled=enabled) as advance:
            yield lambda steps: advance()

    return show


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _Line:
    """A line of text in the output of a cell, which changes in its place."""

    def __init__(self, verb: str, total: int | None) -> None:
        self._verb, self._total, self._count = verb, total, 0
        self._start = time.monotonic()
        self._next = self._start + DELAY
        self._display: Any = None

    def advance(self) -> None:
        """Count one image."""
        self._count += 1
        if time.monotonic() >= self._next:
            self._show()
            self._next = time.monotonic() + INTERVAL

    def finish(self) -> None:
        """Show the last count, if the line is shown."""
        if self._display is not None:
            self._show()

    def _show(self) -> None:
        from IPython.display import display

        of_total = f" of {self._total}" if self._total is not None else ""
        text = f"{self._verb} {self._count}{of_total} images in {time.monotonic() - self._start:.0f} s"
        if self._display is None:
            self._display = display({"text/plain": text}, raw=True, display_id=True)
        else:
            self._display.update({"text/plain": text}, raw=True)
