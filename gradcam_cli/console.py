"""Log messages, error messages and progress bars on standard error; results go to standard output.

The library logs to `log`, and the command line sets the level. Progress bars are drawn only if the
command line has enabled them and standard error is a terminal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, NamedTuple

from gradcam_cli.github_actions import annotation, escape_commands, is_enabled

if TYPE_CHECKING:
    from rich.progress import Progress


log = logging.getLogger("gradcam_cli")
log.addHandler(logging.NullHandler())
ANNOUNCE = logging.INFO + 5
"""Level of messages that are always printed, except with --quiet."""


class Announcement(NamedTuple):
    """A line that a run prints about what it chose, with its level: a warning if the choice is a guess."""

    level: int
    text: str


ShowProgress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Shows the progress of what is described, in steps of a number that may be unknown: `progress`, or `no_progress`."""

_bars_enabled = False
_bar: Progress | None = None


class _Handler(logging.Handler):
    """Print warnings as `note: ...`, and records of lower levels without a prefix; control characters are escaped."""

    def emit(self, record: logging.LogRecord) -> None:
        clear_progress_line()
        prefix = "note: " if record.levelno >= logging.WARNING else ""
        message = escape_control_chars(record.getMessage())
        print(prefix + message, file=sys.stderr)
        if prefix:
            _annotate("warning", message)
        sys.stderr.flush()


def stderr_is_terminal() -> bool:
    """Return whether standard error is a terminal with cursor control."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def configure_logging(*, quiet: bool = False, verbose: bool = False) -> None:
    """Print log messages on standard error, and enable progress bars on a terminal.

    Args:
        quiet: print errors only.
        verbose: print debug messages too; without it a terminal shows INFO and a file ANNOUNCE.
    """
    global _bars_enabled
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata; errors become InputError
    _bars_enabled = stderr_is_terminal() and not quiet and not verbose
    level = logging.INFO if stderr_is_terminal() else ANNOUNCE
    log.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else level)
    for handler in list(log.handlers):
        log.removeHandler(handler)
    log.addHandler(_Handler())


def print_error(message: str, hint: str | None = None, file: str | None = None) -> None:
    """Print `error: ...` and `hint: ...`, one line each; control characters are escaped.

    Args:
        message: what happened.
        hint: how to resolve it, or None.
        file: the input that failed, for an annotation of GitHub Actions.
    """
    clear_progress_line()
    lines = [escape_control_chars(message), *(["hint: " + escape_control_chars(hint)] if hint else [])]
    print("error: " + "\n".join(lines), file=sys.stderr)
    _annotate("error", "\n".join(lines), file)
    sys.stderr.flush()


def print_failed_threshold(message: str) -> None:
    """Print `FAILED: ...`, also with --quiet; control characters are escaped."""
    text = "FAILED: " + escape_control_chars(message)
    print(text, file=sys.stderr)
    _annotate("error", text)
    sys.stderr.flush()


def _annotate(level: Literal["error", "warning"], text: str, file: str | None = None) -> None:
    """Print an annotation, if this is a job of GitHub Actions, which reads both streams."""
    if is_enabled():
        print(annotation(level, text, escape_control_chars(file) if file else None), file=sys.stderr)


_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction of text
    r"\ud800-\udfff]"  # bytes of file names that are not text
)


def escape_control_chars(text: str) -> str:
    r"""Return a text with control characters, marks of text direction and surrogates escaped (`\n`, `\x1b`).

    In a job of GitHub Actions, a text is also no workflow command.
    """
    escaped = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
    return escape_commands(escaped) if is_enabled() else escaped


@contextlib.contextmanager
def progress(description: str, total: int | None, *, in_bytes: bool = False) -> Iterator[Callable[[int], None]]:
    """Draw a progress bar if bars are enabled and there is more than one step.

    Args:
        description: label of the bar.
        total: number of steps, or None if unknown.
        in_bytes: whether the steps are bytes.

    Yields:
        A function that advances the bar by a number of steps.
    """
    global _bar
    if not _bars_enabled or total == 1:
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,  # redrawn only between complete lines of text
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bars:
        task = bars.add_task(escape_control_chars(description), total=total)
        outer, _bar = _bar, bars
        try:
            yield lambda steps: bars.update(task, advance=steps, refresh=True)
        finally:
            _bar = outer


def no_progress(description: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    """Show no progress."""
    return nullcontext(lambda steps: None)


def clear_progress_line() -> None:
    """Erase the progress bar, if there is one, before a line of text is printed."""
    if _bar:
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()
