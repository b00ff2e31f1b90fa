"""One run of the main command: what is done with each input, and what is told of it.

Imported when the options are in order.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TextIO

from gradcam_cli import render
from gradcam_cli.commands.loading import load_classifier, request_of
from gradcam_cli.engines.work import Finished, Job
from gradcam_cli.errors import OutputError
from gradcam_cli.files import exists
from gradcam_cli.messages import log, make_room, one_line, say_error
from gradcam_cli.outputs import SHEET, Destination, Output, paths_by_map
from gradcam_cli.photos import Photo, read_photo
from gradcam_cli.records import to_json
from gradcam_cli.render import Cell
from gradcam_cli.results import Explanation, Unexplained, encode_sheet, sheet_row, write

if TYPE_CHECKING:
    from gradcam_cli.report.album import Album
    from gradcam_cli.report.recorder import Recorder
    from gradcam_cli.runs import Run

LOOK = ("cmap", "alpha", "dpi")


@dataclass(frozen=True)
class Explaining:
    """What an engine does with each input of the command: an `engines.work.Work`.

    Attributes:
        options: of the command, without its inputs.
        destination: of the files.
        joint: whether all inputs share one sheet.
        album: for the pictures of the report, or None.
    """

    options: dict[str, Any]
    destination: Destination
    joint: bool = False
    album: Album | None = None

    def load(self) -> Run:
        """Load the model and make the run ready."""
        from gradcam_cli.runs import prepare_run

        classifier = load_classifier(self.options)
        if (self.options["as_json"] or self.album) and classifier.weights_hash:
            classifier.weights_hash.start()  # every line names it
        return prepare_run(classifier, request_of(self.options))

    def read(self, job: Job) -> Photo | Unexplained:
        """Read the photo of a job, unless its files are there and may stay."""
        source, outputs = job
        if self.options["skip_existing"] and all(exists(output.path) for output in outputs):
            return Unexplained(source.name)
        return read_photo(source, self.options["max_pixels"])

    @cached_property
    def _look(self) -> dict[str, Any]:
        return {name: self.options[name] for name in LOOK}

    def finish(self, job: Job, result: list[Explanation] | Unexplained) -> Finished:
        """Write one input's files; what cannot be written becomes a failure of this input."""
        source, outputs = job
        if isinstance(result, Unexplained):
            return self._unexplained(result, outputs)
        if self.destination.stdout:
            sheet = outputs[0].kind == SHEET
            make = partial(encode_sheet, result) if sheet else partial(result[0].encode, outputs[0].kind)
            return Finished("ok", [], _remarks(result), data=make(self.destination.format, **self._look))
        if self.joint:
            written = [{SHEET: str(self.destination.file)}] * len(result)
            return Finished("ok", self._lines(result, written), _remarks(result), row=sheet_row(result, **self._look))
        try:
            for path in {output.path for output in outputs if output.kind == SHEET}:
                write(path, encode_sheet(result, self.destination.format, **self._look))
            written = [self._save(explanation, outputs) for explanation in result]
            reported = self._report(result, written)
        except OutputError as error:
            return self._unexplained(Unexplained(source.name, error.message, error.hint), outputs)
        except MemoryError:
            return self._unexplained(Unexplained(source.name, "out of memory while drawing"), outputs)
        return Finished("ok", self._lines(result, written), _remarks(result), reported=reported)

    def _report(self, result: list[Explanation], written: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
        """Draw the pictures of the report, and return its lines."""
        if not self.album:
            return []
        drawn = self.album.draw(result)
        return [
            {**to_json(one, paths), "report": {**pictures, "files": self.album.files(paths)}}
            for one, paths, pictures in zip(result, written, drawn, strict=True)
        ]

    def _save(self, explanation: Explanation, outputs: Sequence[Output]) -> dict[str, str]:
        """Write the files of one map and return their paths by kind."""
        start = time.perf_counter()
        written: dict[str, str] = {}
        for output in outputs:
            if output.requested == explanation.requested:
                if output.kind != SHEET:
                    explanation.save(output.path, output.kind, **self._look)
                written[output.kind] = str(output.path)
        explanation.seconds["write"] = time.perf_counter() - start
        return written

    def _lines(self, result: Sequence[Explanation], written: Sequence[dict[str, str]]) -> list[str]:
        if self.options["as_json"]:
            return [json.dumps(to_json(*one), allow_nan=False) for one in zip(result, written, strict=True)]
        parts = (
            f"{explanation.prediction} ({explanation.prediction.probability:.3f}) -> {', '.join(paths.values())}"
            for explanation, paths in zip(result, written, strict=True)
        )
        maps = "; ".join(dict.fromkeys(parts))  # the maps of a class on one sheet are said once
        first = result[0]
        top = "".join(f" | {other} ({other.probability:.3f})" for other in first.top) if self.options["top"] else ""
        return [f"{one_line(first.source)}: {one_line(maps)}{one_line(top)}"]

    def _unexplained(self, result: Unexplained, outputs: Sequence[Output]) -> Finished:
        there = [{}] if result.error else paths_by_map(outputs)
        records = [to_json(result, paths) for paths in there]
        lines = [json.dumps(record, allow_nan=False) for record in records] if self.options["as_json"] else []
        if result.error:
            error = (f"{result.source}: {result.error}", result.hint)
            return Finished("failed", lines, error=error, reported=records)
        remark = f"{one_line(result.source)}: skipped, its files are there already"
        return Finished("skipped", lines, [(logging.INFO, remark)], reported=records[:1])


def _remarks(result: Sequence[Explanation]) -> list[tuple[int, str]]:
    remarks = []
    for explanation in result:
        name = one_line(explanation.source)
        if explanation.zero:
            remarks.append((logging.WARNING, f"{name}: the map is zero everywhere: {explanation.zero}"))
        spent = ", ".join(f"{stage} {seconds:.3f} s" for stage, seconds in explanation.seconds.items())
        remarks.append((logging.DEBUG, f"{name}: layer {explanation.layer}, {spent}"))
    return remarks


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
            drawing = render.sheet(self.rows, self.dpi)
            write(self.destination.file, render.encode_figure(drawing, self.destination.format))

    def tell(self, finished: Finished) -> None:
        """Print what is to be said of an input, and count it."""
        self.counts[finished.status] += 1
        if self.recorder:
            for record in finished.reported:
                self.recorder.write(record)
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
