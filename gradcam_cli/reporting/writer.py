"""Writing a report during a run: the run log line by line, and the page when the run ends.

The directory of the results contains `index.html` and `report/` with the images and the run log. The log starts with a
`run_start` record, contains the records of `--json`, and ends with a `run_end` record.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from gradcam_cli.console import log
from gradcam_cli.errors import GradcamError, OutputError
from gradcam_cli.pipeline.json_lines import SCHEMA_VERSION, Record, versions
from gradcam_cli.reporting.build import build_report, check_not_foreign_page
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.run_log import REPORT_FOLDER, RUN_LOG_NAME, RunLog, completed_inputs


class ReportWriter:
    """A context manager that logs a run and writes its report at the end. A run without results changes no file.

    Args:
        directory: directory of the report.
        start_record: fields of the `run_start` record: `command`, `command_line`, `rerun_args`, `inputs`, `thresholds`.
        report_images: writes the images.
        resume: whether the log of an earlier run is kept, for the inputs that this run skips.

    Attributes:
        end_record: further fields of the `run_end` record.

    Raises:
        OutputError: `index.html` was not written by gradcam, or the directory is not writable.
    """

    def __init__(
        self, directory: Path, start_record: Record, report_images: ReportImages, *, resume: bool = False
    ) -> None:
        check_not_foreign_page(directory)
        self.directory, self.images = directory, report_images
        self.end_record: Record = {}
        self._start_record, self._resume = start_record, resume
        self._run_log = RunLog(directory, resume=resume)

    def __enter__(self) -> ReportWriter:
        self._start_seconds = time.perf_counter()
        self._start = datetime.now(UTC).isoformat(timespec="seconds")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run_log.started:
            seconds = round(time.perf_counter() - self._start_seconds, 3)
            self._append({"status": "run_end", **self.end_record, "seconds": seconds, "stop_reason": _reason(error)})
            with self._as_output_error():
                self._run_log.close()
            log.info("report: %s", build_report(self.directory).path)

    def completed_inputs(self) -> set[str] | None:
        """Return the inputs that this run may skip, or None if it resumes no report.

        Raises:
            InputError: the run log cannot be read.
        """
        return completed_inputs(self.directory) if self._resume else None

    def write(self, *records: Record) -> None:
        """Log all records of one input; a killed run leaves either all of them or none.

        Raises:
            OutputError: the log cannot be written.
        """
        if not records:
            return
        if not self._run_log.started:
            self._append({"status": "run_start", **self._start_record, "start": self._start, "versions": versions()})
        self._append(*records)

    def _append(self, *records: Record) -> None:
        lines = [json.dumps({"schema_version": SCHEMA_VERSION, **record}, allow_nan=False) for record in records]
        with self._as_output_error():
            self._run_log.write(*(line.encode() for line in lines))

    @contextlib.contextmanager
    def _as_output_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path = self.directory / REPORT_FOLDER / RUN_LOG_NAME
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _reason(error: BaseException | None) -> str | None:
    """Return why a run stopped early, or None if it was completed."""
    if error is None:
        return None
    return error.message if isinstance(error, GradcamError) else "interrupted"
