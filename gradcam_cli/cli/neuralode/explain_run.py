"""One run of `gradcam neuralode explain`: photos in, maps along t out. Importing it imports TensorFlow."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from gradcam_cli.cli.model_options import load_classifier
from gradcam_cli.console import escape_control_chars, log, print_error
from gradcam_cli.errors import OutputError
from gradcam_cli.images.load import Failure, Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.neuralode.explain.depth import adjoint_norms, parse_depths, prepare_depth_run
from gradcam_cli.neuralode.explain.plots import animation_frames, depth_figure, upscaled_overlay
from gradcam_cli.neuralode.layers.ode_block import find_block
from gradcam_cli.output.figures import encode_animation, encode_figure
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.json_lines import map_summary, to_json
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import basename

if TYPE_CHECKING:
    from gradcam_cli.report.writer import ReportWriter

BATCH_SIZE = 32
DepthTask = tuple[Source, dict[str, Path]]
"""A source, and the files to write, by kind."""
DepthResult = tuple[DepthTask, list[Explanation] | Unexplained, np.ndarray]
"""A job, its maps, one a depth, and the sensitivity at each depth."""


def prepare(options: dict[str, Any]) -> tuple[PreparedRun, list[float]]:
    """Load the model and make the run along its depth ready."""
    classifier = load_classifier({"weights": None, "input_size": None, "offline": True, **options})
    block = find_block(classifier.model, options["block"])
    depths = parse_depths(block, options["at"], options["frames"])
    request = ExplainConfig(
        classes=(options["asked"],), methods=(options["method"],), fit=options["fit"], batch_size=BATCH_SIZE
    )
    return prepare_depth_run(classifier, request, depths, block, options["solver"], options["tolerance"]), depths


def explain_tasks(run: PreparedRun, tasks: Sequence[DepthTask], max_pixels: int) -> Iterator[DepthResult]:
    """Explain the photos of all jobs, in order."""
    seen = (stages.to_model_input(run, load_image(source, max_pixels)) for source, _ in tasks)
    for job, scored in zip(tasks, stages.run_batches(run, seen), strict=True):
        curve = (
            adjoint_norms(scored.batch_result)[0, scored.batch_index]
            if isinstance(scored, stages.ForwardResult)
            else np.zeros(0)
        )
        yield job, stages.make_explanations(run, scored), curve


@dataclass(frozen=True)
class DepthResultWriter:
    """Write the files of each photo, its line, and what the report shows of it."""

    options: dict[str, Any]
    depths: list[float]
    stdout: TextIO
    report_writer: ReportWriter | None = None

    def finish(self, depth_result: DepthResult) -> str:
        """Write all of a photo; return `ok` or `failed`."""
        (source, files), result, curve = depth_result
        if isinstance(result, Unexplained):
            return self._fail(result)
        try:
            for kind, path in files.items():
                write_output(path, self._encode(kind, result, curve))
            record, report = self._record(result, curve, {kind: str(path) for kind, path in files.items()})
        except OutputError as error:
            return self._fail(Failure(source.name, error.message, error.hint))
        for one in result:
            if one.zero_reason:
                log.warning(
                    "%s: the map at %s is zero everywhere: %s",
                    escape_control_chars(source.name),
                    one.layer,
                    one.zero_reason,
                )
        self._write(record, report)
        return "ok"

    def _fail(self, failure: Unexplained) -> str:
        print_error(f"{failure.source}: {failure.error}", failure.hint)
        record = to_json(failure)
        if self.options["as_json"]:
            self.stdout.write(json.dumps(record, allow_nan=False) + "\n")
        if self.report_writer:
            self.report_writer.write(record)
        return "failed"

    def _record(
        self, result: list[Explanation], norms: np.ndarray, paths: dict[str, str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the line of a photo, and what the report shows of it, whose pictures are drawn."""
        first, report = result[0], {}
        along = [
            {"t": t, "adjoint_norm": float(length), **map_summary(one)}
            for t, length, one in zip(self.depths, norms, result, strict=True)
        ]
        own = {"layer": first.layer.split("@")[0], "map": None, "depths": along, "tolerance": self.options["tolerance"]}
        if self.report_writer:
            drawn = self.report_writer.images.draw(result)
            files = self.report_writer.images.relative_paths(paths)
            report = {**drawn[0], "map_images": [one["map_image"] for one in drawn], "files": files}
        return {**to_json(first, paths), **own}, report

    def _write(self, record: dict[str, Any], report: dict[str, Any]) -> None:
        if self.report_writer:
            self.report_writer.write({**record, "report": report})
        if self.options["as_json"]:
            line = json.dumps(record, allow_nan=False)
        else:
            index, name = record["class_index"], record["class_name"]
            chosen = f"{index} {name}" if name not in (None, str(index)) else str(index)
            paths = ", ".join(record["outputs"].values())
            line = escape_control_chars(f"{record['input']}: {chosen} ({record['probability']:.3f}) -> {paths}")
        self.stdout.write(line + "\n")
        self.stdout.flush()

    def _encode(self, kind: str, result: list[Explanation], norms: np.ndarray) -> bytes:
        """Return the bytes of a strip, an animation or arrays."""
        if kind == "npz":
            return _encode_npz(result, self.depths, norms)
        look = (self.options["cmap"], self.options["alpha"])
        overlays = [upscaled_overlay(one.image, one.heatmap, one.crop_box, *look) for one in result]
        if kind != "strip":
            return encode_animation(animation_frames(overlays, self.depths), kind)
        first = result[0]
        chosen = f"{first.prediction} · p = {first.prediction.probability:.3f}"
        title = f"{basename(first.source)}: {chosen} · {first.method} along {first.layer.split('@')[0]}"
        return encode_figure(depth_figure(first.image, overlays, self.depths, norms, title))


def _encode_npz(result: list[Explanation], depths: list[float], norms: np.ndarray) -> bytes:
    first, buffer = result[0], io.BytesIO()
    weights = [one.alpha for one in result if one.alpha is not None]
    arrays = {name: np.stack([getattr(one, name) for one in result]) for name in ("map", "raw", "signed")}
    arrays |= {"alpha": np.stack(weights)} if weights else {}
    record = np.array(json.dumps(first.metadata()))
    np.savez(buffer, allow_pickle=False, t=np.array(depths), sensitivity=norms, record=record, **arrays)
    return buffer.getvalue()
