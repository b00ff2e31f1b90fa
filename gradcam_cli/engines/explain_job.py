"""The work that `gradcam INPUT...` gives to an engine: read an input, load the model, write the maps of an input."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_cli.console import escape_control_chars
from gradcam_cli.engines.existing_files import RunOrigins, replacement
from gradcam_cli.engines.job import ExplainTask, JobResult
from gradcam_cli.errors import OutputError, UsageError
from gradcam_cli.images.load import Failure, LoadedImage, Skipped, Unexplained, load_image
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.output.destination import DIFFERENCE, GRID, Destination, format_for_suffix, require_kind
from gradcam_cli.output.naming import OutputFile, paths_by_map
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.pipeline.grids import encode_grid, grid_rows
from gradcam_cli.pipeline.json_lines import Record, json_line, to_json
from gradcam_cli.pipeline.origin import Origin, truth_in
from gradcam_cli.pipeline.reading import read_options_of
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.truth import LeftOut
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.protected import ProtectedInputs, current_inputs, protected_inputs

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import PreparedRun

DrawForReport = Callable[[Sequence[Explanation], Sequence[dict[str, str]]], list[Record]]
"""Writes the images of a report; returns, for each explanation and its files, what the report adds to its record."""


@dataclass(frozen=True)
class ExplainJob:
    """A `JobHandler` that writes maps; it can be pickled.

    Attributes:
        model: the model to load.
        config: the maps to compute.
        destination: of the files.
        render: how overlays and figures are drawn.
        max_pixels: size limit of the inputs.
        rank: number of spatial axes of the model input.
        as_json: whether results are JSON lines.
        list_predictions: whether text results list the predictions.
        skip_existing: whether inputs are skipped whose files exist and have the origin of this run.
        weights_hash: SHA-256 of the weights that existing files are compared with, or None if it is not known.
        rerun_args: the options of the command that recompute a map.
        single_grid: whether all inputs share one grid figure.
        draw_for_report: draws the images of the run's report, or None.
        protected: the inputs of the run, which no process of an engine replaces.
    """

    model: ModelConfig
    config: ExplainConfig
    destination: Destination
    render: RenderOptions = RenderOptions()  # noqa: RUF009
    max_pixels: int = MAX_PIXELS
    rank: int = 2
    as_json: bool = False
    list_predictions: bool = False
    skip_existing: bool = False
    weights_hash: str | None = None
    rerun_args: tuple[str, ...] | None = None
    single_grid: bool = False
    draw_for_report: DrawForReport | None = None
    protected: ProtectedInputs = field(default_factory=current_inputs)

    def load(self) -> PreparedRun:
        """Load the model and prepare the run; imports TensorFlow."""
        from gradcam_cli.pipeline.run import load, prepare_run

        classifier = load(self.model)
        if classifier.weights_hash:
            classifier.weights_hash.start()  # files and records name it
        return prepare_run(classifier, self.config)

    def read(self, task: ExplainTask) -> LoadedImage | Unexplained:
        """Read the input of a task, unless its files exist and are to be kept."""
        if self.skip_existing and not (task.force or self.single_grid) and (kept := self.origins.current_record(task)):
            return Skipped(task.source.name, truth=truth_in(kept) if self.config.truth else None)
        return load_image(task.source, read_options_of(self.config, self.rank, self.max_pixels))

    def finish(self, task: ExplainTask, result: list[Explanation] | Unexplained) -> JobResult:
        """Write the files of one input; a file that cannot be written makes the input fail."""
        source, outputs, _ = task
        if isinstance(result, Unexplained):
            return self._unexplained_result(result, outputs)
        try:
            for output in outputs:
                require_kind(output.kind, result[0].space.kind)
        except UsageError as error:
            return self._unexplained_result(Failure(source.name, error.message, error.hint), outputs)
        if self.destination.stdout:
            return self._bytes_result(result, outputs[0].kind)
        if self.single_grid:
            written = [{GRID: str(self.destination.file)}] * len(result)
            lines = self._lines(result, written, self._records(result, written))
            rows = grid_rows(result, with_name=True, **self.render.values())
            return JobResult(
                "ok", lines, _log_messages(result), grid_rows=rows, num_maps=len(result), truth=_truth_of(result)
            )
        try:
            with protected_inputs(self.protected):
                stale = self._stale_files(result, outputs) if self.skip_existing else []
                written = self._write_files(result, outputs)
                records = self._records(result, written)
                reported = self._report_records(result, written, records)
        except OutputError as error:
            return self._unexplained_result(Failure(source.name, error.message, error.hint), outputs)
        except MemoryError:
            return self._unexplained_result(Failure(source.name, "out of memory while drawing"), outputs)
        messages = [*_log_messages(result), *((logging.INFO, message) for message in stale)]
        lines = self._lines(result, written, records)
        return JobResult(
            "ok",
            lines,
            messages,
            report_records=reported,
            num_maps=len(result),
            num_replaced=len(stale),
            truth=_truth_of(result),
        )

    @cached_property
    def origins(self) -> RunOrigins:
        """The origins of the files of the run."""
        return RunOrigins(self.model, self.config, self.render, self.weights_hash)

    @property
    def _needs_records(self) -> bool:
        return self.as_json or self.draw_for_report is not None

    def _bytes_result(self, result: list[Explanation], kind: str) -> JobResult:
        shown = [each for each in result if kind != DIFFERENCE or each.difference is not None]
        if not shown:
            return self._unexplained_result(Failure(result[0].source, "its true class is unknown"), [])
        make = partial(encode_grid, result) if kind == GRID else partial(shown[0].encode, kind)
        data = make(self.destination.image_format, **self.render.values())
        return JobResult("ok", [], _log_messages(result), data=data, num_maps=len(result), truth=_truth_of(result))

    def _records(self, result: Sequence[Explanation], written: Sequence[dict[str, str]]) -> list[Record]:
        if not self._needs_records:
            return []
        pairs = zip(result, written, strict=True)
        return [to_json(explanation, paths, self.rerun_args) for explanation, paths in pairs]

    def _report_records(
        self, result: list[Explanation], written: Sequence[dict[str, str]], records: Sequence[Record]
    ) -> list[Record]:
        if self.draw_for_report is None:
            return []
        drawn = self.draw_for_report(result, written)
        return [{**record, "report": report} for record, report in zip(records, drawn, strict=True)]

    def _write_files(self, result: list[Explanation], outputs: Sequence[OutputFile]) -> list[dict[str, str]]:
        """Write the files of one input; return for each map its paths by kind."""
        for path in {output.path for output in outputs if output.kind == GRID}:
            origin = self._origin(result, outputs, path)
            options = self.render.values()
            self._write(path, encode_grid(result, self.destination.image_format, **options, origin=origin))
        return [self._save(explanation, outputs) for explanation in result]

    def _origin(self, result: Sequence[Explanation], outputs: Sequence[OutputFile], path: Path) -> Origin:
        first = result[0]
        return self.origins.origin(first.source, outputs, path, first.sha256, first.model.weights_sha256)

    def _stale_files(self, result: Sequence[Explanation], outputs: Sequence[OutputFile]) -> list[str]:
        """Return a message for each existing file that has another origin than the one that replaces it."""
        paths = dict.fromkeys(output.path for output in outputs)
        messages = (replacement(path, self._origin(result, outputs, path)) for path in paths)
        return [escape_control_chars(message) for message in messages if message]

    def _write(self, path: Path, data: bytes) -> None:
        write_output(path, data, self.destination.root_of(path))

    def _save(self, explanation: Explanation, outputs: Sequence[OutputFile]) -> dict[str, str]:
        """Write the files of one map and return their paths by kind."""
        start = time.perf_counter()
        written: dict[str, str] = {}
        for output in outputs:
            if output.request_key == explanation.request_key:
                if output.kind != GRID:
                    image_format, options = format_for_suffix(output.path), self.render.values()
                    origin = self._origin([explanation], outputs, output.path)
                    data = explanation.encode(
                        output.kind, image_format, **options, origin=origin, rerun_args=self.rerun_args
                    )
                    self._write(output.path, data)
                written[output.kind] = str(output.path)
        explanation.timings["write"] = time.perf_counter() - start
        return written

    def _lines(
        self, result: Sequence[Explanation], written: Sequence[dict[str, str]], records: Sequence[Record]
    ) -> list[str]:
        if self.as_json:
            expected = self.config.truth is not None and self.config.truth.expected is not None
            return [json_line(record) for record in records if record["difference"] or not expected]
        parts = (
            " -> ".join(filter(None, (explanation.prediction.summary, ", ".join(paths.values()))))
            for explanation, paths in zip(result, written, strict=True)
        )
        maps = "; ".join(dict.fromkeys(parts))  # the maps of a class on one grid are listed once
        first = result[0]
        ranked = first.predictions if self.list_predictions else ()
        predictions = "".join(f" | {prediction.summary}" for prediction in ranked)
        explained = {explanation.prediction.index for explanation in result}
        truth = f" | {first.truth.summary(explained)}" if first.truth else ""
        return [escape_control_chars(f"{first.source}: {maps}{truth}{predictions}")]

    def _unexplained_result(self, result: Unexplained, outputs: Sequence[OutputFile]) -> JobResult:
        existing = [{}] if isinstance(result, Failure | LeftOut) else paths_by_map(outputs)
        records = [to_json(result, paths) for paths in existing]
        lines = [json_line(record) for record in records] if self.as_json else []
        if isinstance(result, Failure):
            error = (f"{result.source}: {result.error}", result.hint, result.source)
            return JobResult("failed", lines, error=error, report_records=records)
        if isinstance(result, LeftOut):
            return JobResult("skipped", lines, report_records=records, truth=result.truth, left_out=True)
        message = f"{escape_control_chars(result.source)}: skipped, its output files exist"
        return JobResult("skipped", lines, [(logging.INFO, message)], report_records=records[:1], truth=result.truth)


def _truth_of(result: Sequence[Explanation]) -> Record | None:
    return result[0].truth.to_json() if result[0].truth else None


def _log_messages(result: Sequence[Explanation]) -> list[tuple[int, str]]:
    messages = []
    for explanation in result:
        name = escape_control_chars(explanation.source)
        if explanation.zero_reason:
            messages.append((logging.WARNING, f"{name}: the map is zero everywhere: {explanation.zero_reason}"))
        timings = ", ".join(f"{stage} {seconds:.3f} s" for stage, seconds in explanation.timings.items())
        messages.append((logging.DEBUG, f"{name}: layer {explanation.layer}, {timings}"))
    return messages
