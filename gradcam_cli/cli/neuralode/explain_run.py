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
from gradcam_cli.console import log, one_line, say_error
from gradcam_cli.errors import OutputError
from gradcam_cli.images.load import Unexplained, read_photo
from gradcam_cli.images.source import Source
from gradcam_cli.neuralode.explain.depth import prepare_depths, read_depths, sensitivity
from gradcam_cli.neuralode.explain.plots import animation_frames, draw_strip, enlarged_overlay
from gradcam_cli.neuralode.layers.ode_block import find_block
from gradcam_cli.output.figures import encode_animation, encode_figure
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.config import Request
from gradcam_cli.pipeline.json_lines import map_numbers, to_json
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import Run
from gradcam_cli.storage.files import write
from gradcam_cli.storage.paths import name_of

if TYPE_CHECKING:
    from gradcam_cli.report.writer import Recorder

BATCH = 32
Job = tuple[Source, dict[str, Path]]
"""A source, and the files to write, by kind."""
Along = tuple[Job, list[Explanation] | Unexplained, np.ndarray]
"""A job, its maps, one a depth, and the sensitivity at each depth."""


def prepare(options: dict[str, Any]) -> tuple[Run, list[float]]:
    """Load the model and make the run along its depth ready."""
    classifier = load_classifier({"weights": None, "input_size": None, "offline": True, **options})
    block = find_block(classifier.model, options["block"])
    depths = read_depths(block, options["at"], options["frames"])
    request = Request(classes=(options["asked"],), methods=(options["method"],), fit=options["fit"], batch_size=BATCH)
    return prepare_depths(classifier, request, depths, block, options["solver"], options["tolerance"]), depths


def explained(run: Run, jobs: Sequence[Job], max_pixels: int) -> Iterator[Along]:
    """Explain the photos of all jobs, in order."""
    seen = (stages.see(run, read_photo(source, max_pixels)) for source, _ in jobs)
    for job, scored in zip(jobs, stages.score(run, seen), strict=True):
        curve = sensitivity(scored.result)[0, scored.i] if isinstance(scored, stages.Scored) else np.zeros(0)
        yield job, stages.explain(run, scored), curve


@dataclass(frozen=True)
class Writer:
    """Write the files of each photo, its line, and what the report shows of it."""

    options: dict[str, Any]
    depths: list[float]
    stdout: TextIO
    recorder: Recorder | None = None

    def finish(self, along: Along) -> str:
        """Write all of a photo; return `ok` or `failed`."""
        (source, files), result, curve = along
        if isinstance(result, Unexplained):
            return self._fail(result)
        try:
            for kind, path in files.items():
                write(path, self._encode(kind, result, curve))
            record, report = self._record(result, curve, {kind: str(path) for kind, path in files.items()})
        except OutputError as error:
            return self._fail(Unexplained(source.name, error.message, error.hint))
        for one in result:
            if one.zero:
                log.warning("%s: the map at %s is zero everywhere: %s", one_line(source.name), one.layer, one.zero)
        self._tell(record, report)
        return "ok"

    def _fail(self, failure: Unexplained) -> str:
        say_error(f"{failure.source}: {failure.error}", failure.hint)
        record = to_json(failure)
        if self.options["as_json"]:
            self.stdout.write(json.dumps(record, allow_nan=False) + "\n")
        if self.recorder:
            self.recorder.write(record)
        return "failed"

    def _record(
        self, result: list[Explanation], curve: np.ndarray, paths: dict[str, str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the line of a photo, and what the report shows of it, whose pictures are drawn."""
        first, report = result[0], {}
        along = [
            {"t": t, "sensitivity": float(length), **map_numbers(one)}
            for t, length, one in zip(self.depths, curve, result, strict=True)
        ]
        own = {"layer": first.layer.split("@")[0], "map": None, "depths": along, "tolerance": self.options["tolerance"]}
        if self.recorder:
            drawn = self.recorder.album.draw(result)
            files = self.recorder.album.files(paths)
            report = {**drawn[0], "pictures": [one["picture"] for one in drawn], "files": files}
        return {**to_json(first, paths), **own}, report

    def _tell(self, record: dict[str, Any], report: dict[str, Any]) -> None:
        if self.recorder:
            self.recorder.write({**record, "report": report})
        if self.options["as_json"]:
            line = json.dumps(record, allow_nan=False)
        else:
            index, name = record["class_index"], record["class_name"]
            chosen = f"{index} {name}" if name not in (None, str(index)) else str(index)
            paths = ", ".join(record["outputs"].values())
            line = one_line(f"{record['input']}: {chosen} ({record['probability']:.3f}) -> {paths}")
        self.stdout.write(line + "\n")
        self.stdout.flush()

    def _encode(self, kind: str, result: list[Explanation], curve: np.ndarray) -> bytes:
        """Return the bytes of a strip, an animation or arrays."""
        if kind == "npz":
            return _arrays(result, self.depths, curve)
        look = (self.options["cmap"], self.options["alpha"])
        overlays = [enlarged_overlay(one.photo, one.map, one.view, *look) for one in result]
        if kind != "strip":
            return encode_animation(animation_frames(overlays, self.depths), kind)
        first = result[0]
        chosen = f"{first.prediction} · p = {first.prediction.probability:.3f}"
        title = f"{name_of(first.source)}: {chosen} · {first.method} along {first.layer.split('@')[0]}"
        return encode_figure(draw_strip(first.photo, overlays, self.depths, curve, title))


def _arrays(result: list[Explanation], depths: list[float], curve: np.ndarray) -> bytes:
    first, buffer = result[0], io.BytesIO()
    weights = [one.alpha for one in result if one.alpha is not None]
    arrays = {name: np.stack([getattr(one, name) for one in result]) for name in ("map", "raw", "signed")}
    arrays |= {"alpha": np.stack(weights)} if weights else {}
    record = np.array(json.dumps(first.identity()))
    np.savez(buffer, allow_pickle=False, t=np.array(depths), sensitivity=curve, record=record, **arrays)
    return buffer.getvalue()
