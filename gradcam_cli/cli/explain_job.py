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

from gradcam_cli.cli.model_options import config_from_options, load_classifier
from gradcam_cli.console import escape_control_chars
from gradcam_cli.engines.job import ExplainTask, JobResult
from gradcam_cli.errors import OutputError
from gradcam_cli.images.load import Failure, LoadedImage, Skipped, Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import GRID, Destination
from gradcam_cli.output.naming import OutputFile, paths_by_map
from gradcam_cli.pipeline.json_lines import to_json
from gradcam_cli.pipeline.results import Explanation, encode_grid, grid_row
from gradcam_cli.report.run_records import MAX_REPORT_INPUTS, Record
from gradcam_cli.storage.files import exists, write_output

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import PreparedRun
    from gradcam_cli.report.image_store import ReportImages

RENDER_OPTIONS = ("cmap", "alpha", "dpi")


@dataclass(frozen=True)
class ExplainJob:
    """What an engine does with each input of the command: an `engines.work.Work`.

    Attributes:
        options: of the command, without its inputs.
        destination: of the files.
        single_grid: whether all inputs share one sheet.
        report_images: for the pictures of the report, or None.
    """

    options: dict[str, Any]
    destination: Destination
    single_grid: bool = False
    report_images: ReportImages | None = None

    def load(self) -> PreparedRun:
        """Load the model and make the run ready."""
        from gradcam_cli.pipeline.run import prepare_run

        classifier = load_classifier(self.options)
        if (self.options["as_json"] or self.report_images) and classifier.weights_hash:
            classifier.weights_hash.start()  # every line names it
        return prepare_run(classifier, config_from_options(self.options))

    def read(self, task: ExplainTask) -> LoadedImage | Unexplained:
        """Read the photo of a job, unless its files are there and may stay."""
        if self.options["skip_existing"] and not task.force and all(exists(output.path) for output in task.outputs):
            return Skipped(task.source.name)
        return load_image(task.source, self.options["max_pixels"])

    @cached_property
    def _render_options(self) -> dict[str, Any]:
        return {name: self.options[name] for name in RENDER_OPTIONS}

    def finish(self, task: ExplainTask, result: list[Explanation] | Unexplained) -> JobResult:
        """Write one input's files; what cannot be written becomes a failure of this input."""
        source, outputs, _ = task
        if isinstance(result, Unexplained):
            return self._unexplained_result(result, outputs)
        if self.destination.stdout:
            sheet = outputs[0].kind == GRID
            make = partial(encode_grid, result) if sheet else partial(result[0].encode, outputs[0].kind)
            return JobResult(
                "ok", [], _log_messages(result), data=make(self.destination.image_format, **self._render_options)
            )
        if self.single_grid:
            written = [{GRID: str(self.destination.file)}] * len(result)
            lines = self._lines(result, written, self._records(result, written))
            return JobResult("ok", lines, _log_messages(result), grid_row=grid_row(result, **self._render_options))
        try:
            for path in {output.path for output in outputs if output.kind == GRID}:
                write_output(path, encode_grid(result, self.destination.image_format, **self._render_options))
            written = [self._save(explanation, outputs) for explanation in result]
            records = self._records(result, written)
            reported = self._report_records(result, written, records)
        except OutputError as error:
            return self._unexplained_result(Failure(source.name, error.message, error.hint), outputs)
        except MemoryError:
            return self._unexplained_result(Failure(source.name, "out of memory while drawing"), outputs)
        return JobResult("ok", self._lines(result, written, records), _log_messages(result), report_records=reported)

    def _records(self, result: Sequence[Explanation], written: Sequence[dict[str, str]]) -> list[Record]:
        """Return what `--json` and the report tell of each map, where one of them is wanted."""
        wanted = self.options["as_json"] or self.report_images
        return [to_json(*one) for one in zip(result, written, strict=True)] if wanted else []

    def _report_records(
        self, result: list[Explanation], written: Sequence[dict[str, str]], records: Sequence[Record]
    ) -> list[Record]:
        """Draw the pictures of the report, and return its lines."""
        if not self.report_images:
            return []
        return [
            {**record, "report": {**pictures, "files": self.report_images.relative_paths(paths)}}
            for record, paths, pictures in zip(records, written, self.report_images.draw(result), strict=True)
        ]

    def _save(self, explanation: Explanation, outputs: Sequence[OutputFile]) -> dict[str, str]:
        """Write the files of one map and return their paths by kind."""
        start = time.perf_counter()
        written: dict[str, str] = {}
        for output in outputs:
            if output.request_key == explanation.request_key:
                if output.kind != GRID:
                    explanation.save(output.path, output.kind, **self._render_options)
                written[output.kind] = str(output.path)
        explanation.timings["write"] = time.perf_counter() - start
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
        top = (
            "".join(f" | {other} ({other.probability:.3f})" for other in first.predictions)
            if self.options["top"]
            else ""
        )
        return [f"{escape_control_chars(first.source)}: {escape_control_chars(maps)}{escape_control_chars(top)}"]

    def _unexplained_result(self, result: Unexplained, outputs: Sequence[OutputFile]) -> JobResult:
        there = [{}] if result.error else paths_by_map(outputs)
        records = [to_json(result, paths) for paths in there]
        lines = [json.dumps(record, allow_nan=False) for record in records] if self.options["as_json"] else []
        if result.error:
            error = (f"{result.source}: {result.error}", result.hint)
            return JobResult("failed", lines, error=error, report_records=records)
        remark = f"{escape_control_chars(result.source)}: skipped, its files are there already"
        return JobResult("skipped", lines, [(logging.INFO, remark)], report_records=records[:1])


def iter_tasks(
    planned: Iterable[tuple[Source, list[OutputFile]]], completed: Collection[str] | None
) -> Iterator[ExplainTask]:
    """Yield the jobs of a run. What a report that goes on knows nothing of is done again, whatever files are there.

    A run that is killed after it has written files, and before it has told of them, leaves such.

    Args:
        planned: of `outputs.plan_outputs`.
        completed: the inputs that the report knows; None where no report goes on.
    """
    for number, (source, outputs) in enumerate(planned):
        yield ExplainTask(
            source, outputs, force=completed is not None and number < MAX_REPORT_INPUTS and source.name not in completed
        )


def _log_messages(result: Sequence[Explanation]) -> list[tuple[int, str]]:
    remarks = []
    for explanation in result:
        name = escape_control_chars(explanation.source)
        if explanation.zero_reason:
            remarks.append((logging.WARNING, f"{name}: the map is zero everywhere: {explanation.zero_reason}"))
        spent = ", ".join(f"{stage} {seconds:.3f} s" for stage, seconds in explanation.timings.items())
        remarks.append((logging.DEBUG, f"{name}: layer {explanation.layer}, {spent}"))
    return remarks
