"""What the main command does with each input.

Imported when the options are in order.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from gradcam_cli.cli.model_options import load_classifier, request_of
from gradcam_cli.console import one_line
from gradcam_cli.engines.job import Finished, Job
from gradcam_cli.errors import OutputError
from gradcam_cli.images.load import Photo, Unexplained, read_photo
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import SHEET, Destination
from gradcam_cli.output.naming import Output, paths_by_map
from gradcam_cli.pipeline.json_lines import to_json
from gradcam_cli.pipeline.results import Explanation, encode_sheet, sheet_row
from gradcam_cli.report.run_records import MOST, Record
from gradcam_cli.storage.files import exists, write

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import Run
    from gradcam_cli.report.image_store import Album

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
        from gradcam_cli.pipeline.run import prepare_run

        classifier = load_classifier(self.options)
        if (self.options["as_json"] or self.album) and classifier.weights_hash:
            classifier.weights_hash.start()  # every line names it
        return prepare_run(classifier, request_of(self.options))

    def read(self, job: Job) -> Photo | Unexplained:
        """Read the photo of a job, unless its files are there and may stay."""
        if self.options["skip_existing"] and not job.again and all(exists(output.path) for output in job.outputs):
            return Unexplained(job.source.name)
        return read_photo(job.source, self.options["max_pixels"])

    @cached_property
    def _look(self) -> dict[str, Any]:
        return {name: self.options[name] for name in LOOK}

    def finish(self, job: Job, result: list[Explanation] | Unexplained) -> Finished:
        """Write one input's files; what cannot be written becomes a failure of this input."""
        source, outputs, _ = job
        if isinstance(result, Unexplained):
            return self._unexplained(result, outputs)
        if self.destination.stdout:
            sheet = outputs[0].kind == SHEET
            make = partial(encode_sheet, result) if sheet else partial(result[0].encode, outputs[0].kind)
            return Finished("ok", [], _remarks(result), data=make(self.destination.format, **self._look))
        if self.joint:
            written = [{SHEET: str(self.destination.file)}] * len(result)
            lines = self._lines(result, written, self._records(result, written))
            return Finished("ok", lines, _remarks(result), row=sheet_row(result, **self._look))
        try:
            for path in {output.path for output in outputs if output.kind == SHEET}:
                write(path, encode_sheet(result, self.destination.format, **self._look))
            written = [self._save(explanation, outputs) for explanation in result]
            records = self._records(result, written)
            reported = self._report(result, written, records)
        except OutputError as error:
            return self._unexplained(Unexplained(source.name, error.message, error.hint), outputs)
        except MemoryError:
            return self._unexplained(Unexplained(source.name, "out of memory while drawing"), outputs)
        return Finished("ok", self._lines(result, written, records), _remarks(result), reported=reported)

    def _records(self, result: Sequence[Explanation], written: Sequence[dict[str, str]]) -> list[Record]:
        """Return what `--json` and the report tell of each map, where one of them is wanted."""
        wanted = self.options["as_json"] or self.album
        return [to_json(*one) for one in zip(result, written, strict=True)] if wanted else []

    def _report(
        self, result: list[Explanation], written: Sequence[dict[str, str]], records: Sequence[Record]
    ) -> list[Record]:
        """Draw the pictures of the report, and return its lines."""
        if not self.album:
            return []
        return [
            {**record, "report": {**pictures, "files": self.album.files(paths)}}
            for record, paths, pictures in zip(records, written, self.album.draw(result), strict=True)
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

    def _lines(
        self, result: Sequence[Explanation], written: Sequence[dict[str, str]], records: Sequence[Record]
    ) -> list[str]:
        if self.options["as_json"]:
            return [json.dumps(record, allow_nan=False) for record in records]
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


def jobs_of(planned: Iterable[tuple[Source, list[Output]]], told: Collection[str] | None) -> Iterator[Job]:
    """Yield the jobs of a run. What a report that goes on knows nothing of is done again, whatever files are there.

    A run that is killed after it has written files, and before it has told of them, leaves such.

    Args:
        planned: of `outputs.plan_outputs`.
        told: the inputs that the report knows; None where no report goes on.
    """
    for number, (source, outputs) in enumerate(planned):
        yield Job(source, outputs, again=told is not None and number < MOST and source.name not in told)


def _remarks(result: Sequence[Explanation]) -> list[tuple[int, str]]:
    remarks = []
    for explanation in result:
        name = one_line(explanation.source)
        if explanation.zero:
            remarks.append((logging.WARNING, f"{name}: the map is zero everywhere: {explanation.zero}"))
        spent = ", ".join(f"{stage} {seconds:.3f} s" for stage, seconds in explanation.seconds.items())
        remarks.append((logging.DEBUG, f"{name}: layer {explanation.layer}, {spent}"))
    return remarks
