"""What the main command says of its inputs, in their order, and of the whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from gradcam_cli.console import log, make_room, say_error
from gradcam_cli.engines.job import Finished
from gradcam_cli.output import figures
from gradcam_cli.output.destination import Destination
from gradcam_cli.output.figures import Cell
from gradcam_cli.storage.files import write

if TYPE_CHECKING:
    from gradcam_cli.report.writer import Recorder


class Teller:
    """Print each result's lines, count it, and tell the report of it, in the order of the inputs.

    Args:
        stdout: where lines go.
        options: of the command.
        destination: of the files.
        recorder: of the report, or None.
    """

    def __init__(
        self, stdout: TextIO, options: dict[str, Any], destination: Destination, recorder: Recorder | None = None
    ) -> None:
        self.stdout, self.destination, self.recorder = stdout, destination, recorder
        self.dpi = options["dpi"]
        self.counts: Counter[str] = Counter()
        self.rows: list[Sequence[Cell]] = []

    def close(self) -> None:
        """Write the sheet that shows all inputs, if one is asked for.

        Raises:
            OutputError: it cannot be written.
        """
        if self.rows and self.destination.file:
            drawing = figures.sheet(self.rows, self.dpi)
            write(self.destination.file, figures.encode_figure(drawing, self.destination.format))

    def tell(self, finished: Finished) -> None:
        """Print what is to be said of an input, and count it."""
        self.counts[finished.status] += 1
        if self.recorder:
            self.recorder.write(*finished.reported)
        if finished.data:
            self.stdout.buffer.write(finished.data)
        if finished.row:
            self.rows.append(finished.row)
        for line in finished.lines:
            self._line(line)
        self.stdout.flush()
        if finished.error:
            say_error(*finished.error)
        for level, remark in finished.remarks:
            log.log(level, "%s", remark)

    def _line(self, text: str) -> None:
        if self.stdout.isatty():
            make_room()
        self.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")

    def _counted(self) -> str:
        return ", ".join(f"{count} {status}" for status, count in self.counts.items()) or "no result"

    def tell_break(self) -> None:
        """Say how far a run came that is broken off."""
        log.warning("broken off after %s; --skip-existing goes on from here", self._counted())

    def exit_status(self) -> int:
        """Return 0 if all is well, 1 if something failed, 3 if nothing could be done."""
        done = self.counts["ok"] + self.counts["skipped"]
        if self.counts.total() > 1:
            log.info(self._counted())
        return 0 if not self.counts["failed"] else 1 if done else 3
