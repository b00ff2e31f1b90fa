"""Printing the results of `gradcam INPUT...` in the order of the inputs, and the exit status of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.truth_summary import TruthSummary
from gradcam_cli.console import ANNOUNCE, clear_progress_line, log, print_error
from gradcam_cli.engines.job import JobResult
from gradcam_cli.output.grids import GridRow

if TYPE_CHECKING:
    from gradcam_cli.reporting.writer import ReportWriter


class ConsoleWriter:
    """Print the lines of each result, count results by status, and pass them to the report.

    Args:
        stdout: where lines go.
        report_writer: of the report, or None.
        truth: counts right and wrong predictions, or None without true classes.

    Attributes:
        grid_rows: the rows of the grid figure that all inputs share.
    """

    def __init__(
        self, stdout: TextIO, report_writer: ReportWriter | None = None, truth: TruthSummary | None = None
    ) -> None:
        self.stdout, self.report_writer, self.truth = stdout, report_writer, truth
        self.counts: Counter[str] = Counter()
        self.grid_rows: list[GridRow] = []
        self.num_maps = self.num_replaced = 0

    def write(self, result: JobResult) -> None:
        """Print the result of one input, and count it."""
        self.counts["not selected" if result.left_out else result.status] += 1
        self.num_maps += result.num_maps
        self.num_replaced += result.num_replaced
        if self.truth:
            self.truth.add(result)
        if self.report_writer:
            self.report_writer.write(*result.report_records)
        if result.data:
            self.stdout.buffer.write(result.data)
        self.grid_rows += result.grid_rows
        for line in result.lines:
            self._write_line(line)
        self.stdout.flush()
        if result.error:
            print_error(*result.error)
        for level, message in result.log_messages:
            log.log(level, "%s", message)

    def _write_line(self, text: str) -> None:
        if self.stdout.isatty():
            clear_progress_line()
        self.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")

    def _count_summary(self) -> str:
        return ", ".join(f"{count} {status}" for status, count in self.counts.items()) or "no input"

    def log_interrupted(self) -> None:
        """Log how many inputs an interrupted run has processed."""
        log.warning("interrupted after %s; rerun with --skip-existing to resume", self._count_summary())

    def write_truth(self, *, to_stderr: bool) -> None:
        """Print how many predictions are right, and log why true classes are unknown.

        Args:
            to_stderr: print on standard error, because standard output has JSON or the bytes of a file.
        """
        if self.truth is None:
            return
        if to_stderr:
            log.log(ANNOUNCE, "%s", self.truth.text)
        else:
            self._write_line(self.truth.text)
        self.truth.log_unknown()

    def log_end(self, clock: RunClock, places: Iterable[str]) -> None:
        """Log how many files were replaced, and the last line of the run, with the places of its files."""
        if self.num_replaced:
            files = "1 existing file was" if self.num_replaced == 1 else f"{self.num_replaced:,} existing files were"
            log.log(ANNOUNCE, "%s replaced: made from another image, model or class, or with other settings", files)
        rest = {status: number for status, number in self.counts.items() if status != "ok"}
        clock.log({"image": self.counts["ok"], "map": self.num_maps}, places, rest)

    def exit_status(self) -> int:
        """Return 0 if no input failed, 1 if some failed, 3 if all failed."""
        if not self.counts["failed"]:
            return 0
        return 3 if set(self.counts) == {"failed"} else 1
