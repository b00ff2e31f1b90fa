"""What a run leaves for its report as it goes, and the page at its end, however it ends.

The folder DIR of the results holds `index.html` and `report/`: in it `run.jsonl` (behind a URL in parts), with a line
that says how the run began, the lines of `--json` and one that says how it ended; and the pictures.
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
from gradcam_cli.pipeline.json_lines import SCHEMA_VERSION, versions
from gradcam_cli.report.build import build_report, check_not_foreign_page
from gradcam_cli.report.image_store import ReportImages
from gradcam_cli.report.run_log import RunLog, load_run_log
from gradcam_cli.report.run_records import REPORT_FOLDER, RUN_LOG_NAME, Record, input_name, merge_runs


class ReportWriter:
    """Take down a run; its report is written when the block ends. A run without a result leaves all as it was.

    Args:
        directory: of the report.
        start_record: what the first line says of the run: `command`, `line`, `again`, `inputs`, `bounds`.
        report_images: for the pictures.
        resume: whether the lines of an earlier run stay, for the inputs that this one skips.

    Attributes:
        end_record: what the last line says besides.

    Raises:
        OutputError: the directory holds a page that is no report, or cannot be written to.
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
        self._start = time.perf_counter()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run_log.started:
            seconds = round(time.perf_counter() - self._start, 3)
            why = None if error is None else error.message if isinstance(error, GradcamError) else "interrupted"
            self._append({"status": "end", **self.end_record, "seconds": seconds, "interrupted": why})
            with self._as_output_error():
                self._run_log.close()
            log.info("report: %s", build_report(self.directory))

    def completed_inputs(self) -> set[str] | None:
        """Return the inputs that the report knows as done or skipped by earlier runs; None where none is resumed.

        Raises:
            InputError: its lines cannot be read.
        """
        lines = load_run_log(self.directory) if self._resume else None
        if lines is None:
            return None
        return {input_name(record) for record in merge_runs(lines) if record["status"] in ("ok", "skipped")}

    def write(self, *records: Record) -> None:
        """Append the lines of an input: all, or where the run is killed none.

        Raises:
            OutputError: they cannot be written.
        """
        if not records:
            return
        if not self._run_log.started:
            self._append({"status": "run", **self._start_record, "started": self._started, "versions": versions()})
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
