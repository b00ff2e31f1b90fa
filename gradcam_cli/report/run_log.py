"""Where the lines of a run are kept as it goes: a file that grows, or behind a URL one object after another."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from gradcam_cli.errors import InputError
from gradcam_cli.report.run_records import REPORT_FOLDER, RUN_LOG_NAME, Record, read_records, truncate_partial_line
from gradcam_cli.storage import remote
from gradcam_cli.storage.files import write_bytes
from gradcam_cli.storage.paths import is_url

MAX_PENDING_LINES, MAX_PENDING_SECONDS = 1000, 30.0
"""An object of lines is written when so many wait, or the first of them so long."""
_PART = re.compile(r"run-\d{5,}\.jsonl")


class RunLog:
    """The lines in a report's folder: `run.jsonl`, or behind a URL, where nothing can be appended, `run-00000.jsonl`...

    Args:
        directory: of the report.
        resume: whether the lines of an earlier run stay.

    Attributes:
        started: whether a line was written; before the first, all is left as it was.
    """

    def __init__(self, directory: Path, *, resume: bool = False) -> None:
        self.started = False
        self._directory, self._resume = directory, resume
        self._file: IO[bytes] | None = None
        self._pending: list[bytes] = []

    def _open(self) -> None:
        earlier = list(_log_files(self._directory))
        if not self._resume:
            for path in earlier:
                _remove(path)
        if is_url(self._directory):
            parts = [path.name for path in earlier if self._resume and _PART.fullmatch(path.name)]
            self._next = int(parts[-1][4:-6]) + 1 if parts else 0
        else:
            path = self._directory / REPORT_FOLDER / RUN_LOG_NAME
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._resume:
                truncate_partial_line(path)
            self._file = path.open("ab")
        self.started = True

    def write(self, *lines: bytes) -> None:
        """Add lines that belong together: one call of the system, so that a killed run leaves all or none.

        Raises:
            OSError: they cannot be written.
        """
        if not self.started:
            self._open()
        ended = [line + b"\n" for line in lines]
        if self._file:
            self._file.write(b"".join(ended))
            self._file.flush()
            return
        if not self._pending:
            self._pending_since = time.monotonic()
        self._pending += ended
        if len(self._pending) >= MAX_PENDING_LINES or time.monotonic() - self._pending_since >= MAX_PENDING_SECONDS:
            self._write_part()

    def close(self) -> None:
        """Write what waits.

        Raises:
            OSError: it cannot be written.
        """
        if self._file:
            self._file.close()
        elif self._pending:
            self._write_part()

    def _write_part(self) -> None:
        write_bytes(self._directory / REPORT_FOLDER / f"run-{self._next:05}.jsonl", b"".join(self._pending))
        self._next += 1
        self._pending = []


def load_run_log(directory: Path) -> Iterator[Record] | None:
    """Return the lines that a run left in a directory; None where there are none.

    Raises:
        InputError: they cannot be read.
    """
    try:
        files = list(_log_files(directory))
    except OSError as error:
        raise InputError(f"{directory / REPORT_FOLDER} cannot be read: {error.strerror or error}") from error
    return (record for path in files for record in read_records(path)) if files else None


def _log_files(directory: Path) -> Iterator[Path]:
    """Yield the files of lines in their order; those of a report that was fetched from a store are its objects."""
    folder = directory / REPORT_FOLDER
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = remote.list_files(str(folder)) if is_url(folder) else [path.name for path in folder.iterdir()]
        parts = sorted((name for name in names if _PART.fullmatch(name)), key=lambda name: int(name[4:-6]))
        yield from (folder / name for name in [*parts, *({RUN_LOG_NAME} & set(names))])


def _remove(path: Path) -> None:
    remote.remove(str(path)) if is_url(path) else path.unlink()
