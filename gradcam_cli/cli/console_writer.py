"""What the main command says of its inputs, in their order, and of the whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from gradcam_cli.console import clear_progress_line, log, print_error
from gradcam_cli.engines.job import JobResult
from gradcam_cli.output import figures
from gradcam_cli.output.destination import Destination
from gradcam_cli.output.figures import Cell
from gradcam_cli.storage.files import write_output

if TYPE_CHECKING:
    from gradcam_cli.report.writer import ReportWriter


class ConsoleWriter:
    """Print each result's lines, count it, and tell the report of it, in the order of the inputs.

    Args:
        stdout: where lines go.
        options: of the command.
        destination: of the files.
        report_writer: of the report, or None.
    """

    def __init__(
        self,
        stdout: TextIO,
        options: dict[str, Any],
        destination: Destination,
        report_writer: ReportWriter | None = None,
    ) -> None:
        self.stdout, self.destination, self.report_writer = stdout, destination, report_writer
        self.dpi = options["dpi"]
        self.counts: Counter[str] = Counter()
        self.grid_rows: list[Sequence[Cell]] = []

    def close(self) -> None:
        """Write the sheet that shows all inputs, if one is asked for.

        Raises:
            OutputError: it cannot be written.
        """
        if self.grid_rows and self.destination.file:
            drawing = figures.grid_figure(self.grid_rows, self.dpi)
            write_output(self.destination.file, figures.encode_figure(drawing, self.destination.image_format))

    def write(self, result: JobResult) -> None:
        """Print what is to be said of an input, and count it."""
        self.counts[result.status] += 1
        if self.report_writer:
            self.report_writer.write(*result.report_records)
        if result.data:
            self.stdout.buffer.write(result.data)
        if result.grid_row:
            self.grid_rows.append(result.grid_row)
        for line in result.lines:
            self._write_line(line)
        self.stdout.flush()
        if result.error:
            print_error(*result.error)
        for level, remark in result.log_messages:
            log.log(level, "%s", remark)

    def _write_line(self, text: str) -> None:
        if self.stdout.isatty():
            clear_progress_line()
        self.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")

    def _count_summary(self) -> str:
        return ", ".join(f"{count} {status}" for status, count in self.counts.items()) or "no result"

    def log_interrupted(self) -> None:
        """Say how far a run came that is broken off."""
        log.warning("broken off after %s; --skip-existing goes on from here", self._count_summary())

    def exit_status(self) -> int:
        """Return 0 if all is well, 1 if something failed, 3 if nothing could be done."""
        done = self.counts["ok"] + self.counts["skipped"]
        if self.counts.total() > 1:
            log.info(self._count_summary())
        return 0 if not self.counts["failed"] else 1 if done else 3
