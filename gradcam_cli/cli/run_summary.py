"""The line that ends a run, on standard error: what was done, where, how long it took, and what failed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from gradcam_cli.console import ANNOUNCE, escape_control_chars, log


class RunClock:
    """Measures a run from its creation, and logs its last line."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def log(
        self, done: Mapping[str, int], places: Iterable[object] = (), rest: Mapping[str, int] | None = None
    ) -> None:
        """Log a line such as `3 images, 6 maps in gradcam_out/ (12.3 s); 1 failed`; --quiet silences it.

        Args:
            done: numbers of what was done, by the singular of their noun.
            places: files and directories that were written.
            rest: numbers of inputs that were not processed, by their status; zeros are left out.
        """
        counts = ", ".join(f"{number:,} {noun}{'' if number == 1 else 's'}" for noun, number in done.items())
        listed = ", ".join(escape_control_chars(str(place)) for place in places)
        others = ", ".join(f"{number:,} {status}" for status, number in (rest or {}).items() if number)
        seconds = time.perf_counter() - self._start
        text = f"{counts}{' in ' + listed if listed else ''} ({seconds:.1f} s){'; ' + others if others else ''}"
        log.log(ANNOUNCE, "%s", text)
