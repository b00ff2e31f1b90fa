"""The run log: a file of JSON lines that grows during a run; in object storage, a sequence of objects.

The log also decides which inputs a resumed run may skip, see `completed_inputs`.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from gradcam_cli.errors import InputError
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.reporting.run_records import input_name, merge_runs, read_records, truncate_partial_line
from gradcam_cli.storage import remote
from gradcam_cli.storage.files import open_append, write_bytes
from gradcam_cli.storage.paths import is_inside, is_url
from gradcam_cli.storage.protected import require_no_input
from gradcam_cli.storage.targets import require_inside, require_replaceable

REPORT_FOLDER, RUN_LOG_NAME = "report", "run.jsonl"
COMPLETED_STATUSES = ("ok", "skipped")
MAX_PENDING_LINES, MAX_PENDING_SECONDS = 1000, 30.0
"""In object storage, pending lines are written after this number of lines, or after this time."""
_PART = re.compile(r"run-\d{5,}\.jsonl")


class RunLog:
    """Writes the log: `run.jsonl`, or, because objects cannot be appended to, `run-00000.jsonl` and so on.

    Args:
        directory: directory of the report.
        resume: whether the lines of earlier runs are kept.

    Attributes:
        started: whether a line was written; until then, no file is changed.
    """

    def __init__(self, directory: Path, *, resume: bool = False) -> None:
        self.started = False
        self._directory, self._resume = directory, resume
        self._file: IO[bytes] | None = None
        self._pending: list[bytes] = []

    def _open(self) -> None:
        path = self._directory / REPORT_FOLDER / RUN_LOG_NAME
        if not is_url(path):
            require_inside(path, self._directory)
        earlier = list(_log_files(self._directory))
        if not self._resume:
            for earlier_path in earlier:
                _remove(earlier_path)
        if is_url(self._directory):
            parts = [path.name for path in earlier if self._resume and _PART.fullmatch(path.name)]
            self._next_part = _part_number(parts[-1]) + 1 if parts else 0
        else:
            self._file = open_append(path, self._directory)
            truncate_partial_line(self._file)
        self.started = True

    def write(self, *lines: bytes) -> None:
        """Append lines in one system call, so that a killed run leaves either all of them or none.

        Raises:
            OSError: the lines cannot be written.
        """
        if not self.started:
            self._open()
        terminated = [line + b"\n" for line in lines]
        if self._file:
            self._file.write(b"".join(terminated))
            self._file.flush()
            return
        if not self._pending:
            self._pending_since = time.monotonic()
        self._pending += terminated
        if len(self._pending) >= MAX_PENDING_LINES or time.monotonic() - self._pending_since >= MAX_PENDING_SECONDS:
            self._write_part()

    def close(self) -> None:
        """Write pending lines and close the log.

        Raises:
            OSError: the lines cannot be written.
        """
        if self._file:
            self._file.close()
        elif self._pending:
            self._write_part()

    def _write_part(self) -> None:
        name = f"run-{self._next_part:05}.jsonl"
        write_bytes(self._directory / REPORT_FOLDER / name, b"".join(self._pending))
        self._next_part += 1
        self._pending = []


def load_run_log(directory: Path) -> Iterator[Record] | None:
    """Return the records of a directory's run log, or None if there is no log.

    Raises:
        InputError: the log cannot be read, or is a link out of the directory.
    """
    try:
        files = list(_log_files(directory))
    except OSError as error:
        raise InputError(f"{directory / REPORT_FOLDER} cannot be read: {error.strerror or error}") from error
    for path in files:
        if not is_inside(path, directory):
            raise InputError(f"{path} is not read: it is a link out of the directory")
    return (record for path in files for record in read_records(path)) if files else None


def completed_inputs(directory: Path) -> set[str] | None:
    """Return the inputs that a resumed run may skip, or None if the directory has no run log.

    An input is completed if the log lists its result, or lists it as skipped. Files without a log entry do not count: a
    run that was killed between writing files and logging them leaves such files.

    Raises:
        InputError: the log cannot be read.
    """
    records = load_run_log(directory)
    if records is None:
        return None
    return {input_name(record) for record in merge_runs(records) if record["status"] in COMPLETED_STATUSES}


def _log_files(directory: Path) -> Iterator[Path]:
    """Yield the files of a log in order; a log that was downloaded from object storage consists of parts."""
    folder = directory / REPORT_FOLDER
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = remote.list_files(str(folder)) if is_url(folder) else [path.name for path in folder.iterdir()]
        parts = sorted(filter(_PART.fullmatch, names), key=_part_number)
        yield from (folder / name for name in [*parts, *({RUN_LOG_NAME} & set(names))])


def _part_number(name: str) -> int:
    return int(name.removeprefix("run-").removesuffix(".jsonl"))


def _remove(path: Path) -> None:
    require_no_input(path)
    if is_url(path):
        remote.remove(str(path))
        return
    require_replaceable(path)
    path.unlink()
