"""A run of `gradcam neuralode explain`: from images to maps along t, their files and JSON records."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import OutputError
from gradcam_cli.images.load import Failure, Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.neuralode.explain.config import DepthConfig
from gradcam_cli.neuralode.explain.depth import adjoint_norms, parse_depths, prepare_depth_run
from gradcam_cli.neuralode.explain.plots import animation_frames, depth_figure, upscaled_overlay
from gradcam_cli.neuralode.layers.find_block import find_block
from gradcam_cli.output.figures import encode_animation, encode_figure
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.json_lines import map_summary, to_json
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun, load
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import basename

BATCH_SIZE = 32

DepthTask = tuple[Source, dict[str, Path]]
"""An image, and the files to write, by kind."""
RootOf = Callable[[Path], Path | None]
Draw = Callable[[Sequence[Explanation]], list[dict[str, Any]]]
"""Renders the maps of an image for a report; returns what the report stores of each map."""


class DepthResult(NamedTuple):
    """The outcome of an image.

    Attributes:
        record: the JSON record.
        explanations: a map for each depth; empty if the image failed.
        drawn: what `draw` returned.
    """

    record: dict[str, Any]
    explanations: Sequence[Explanation] = ()
    drawn: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class DepthRun:
    """A prepared run; see `prepare`.

    Attributes:
        config: configuration of the run.
        run: the prepared run, with depths as layers.
        depths: the depths, in the order of the block's time.
        root_of: returns the directory of the results that a file belongs to, or None for a file that the user named.
    """

    config: DepthConfig
    run: PreparedRun = field(repr=False)
    depths: list[float]
    root_of: RootOf = lambda path: None

    def explain(self, tasks: Sequence[DepthTask], draw: Draw | None = None) -> Iterator[DepthResult]:
        """Explain the images of all tasks, in order, and write their files.

        Args:
            tasks: the images and their files.
            draw: renders the maps of an image for a report, or None.
        """
        images = (load_image(source, self.config.max_pixels, self.config.max_value) for source, _ in tasks)
        inputs = (stages.to_model_input(self.run, image) for image in images)
        for (_, files), forward_result in zip(tasks, stages.run_batches(self.run, inputs), strict=True):
            yield self._result(forward_result, files, draw)

    def _result(
        self, forward_result: stages.ForwardResult | Unexplained, files: dict[str, Path], draw: Draw | None
    ) -> DepthResult:
        if not isinstance(forward_result, stages.ForwardResult):
            return DepthResult(to_json(forward_result))
        explanations = stages.make_explanations(self.run, forward_result)
        if not isinstance(explanations, list):
            return DepthResult(to_json(explanations))
        norms = adjoint_norms(forward_result.batch_result)[0, forward_result.batch_index]
        return self._write(explanations, norms, files, draw)

    def _write(
        self, explanations: list[Explanation], norms: np.ndarray, files: dict[str, Path], draw: Draw | None
    ) -> DepthResult:
        """Write the files of an image; an `OutputError` becomes a failure of this image."""
        try:
            for kind, path in files.items():
                write_output(path, self._encode(kind, explanations, norms), self.root_of(path))
            drawn = draw(explanations) if draw else []
        except OutputError as error:
            return DepthResult(to_json(Failure(explanations[0].source, error.message, error.hint)))
        record = self._record(explanations, norms, {kind: str(path) for kind, path in files.items()})
        return DepthResult(record, explanations, drawn)

    def _record(self, explanations: list[Explanation], norms: np.ndarray, outputs: dict[str, str]) -> dict[str, Any]:
        first = explanations[0]
        depths = [
            {"t": t, "adjoint_norm": float(norm), **map_summary(explanation)}
            for t, norm, explanation in zip(self.depths, norms, explanations, strict=True)
        ]
        return {
            **to_json(first, outputs),
            "layer": _block_name(first),
            "map": None,
            "depths": depths,
            "tol": self.config.tol,
        }

    def _encode(self, kind: str, explanations: list[Explanation], norms: np.ndarray) -> bytes:
        """Return the bytes of a file: `figure`, `gif`, `apng` or `npz`."""
        if kind == "npz":
            return _encode_npz(explanations, self.depths, norms)
        overlays = [
            upscaled_overlay(e.image, e.heatmap, e.crop_box, self.config.render.cmap, self.config.render.opacity)
            for e in explanations
        ]
        if kind != "figure":
            return encode_animation(animation_frames(overlays, self.depths), kind)
        first = explanations[0]
        title = f"{basename(first.source)}: {first.prediction.label} · {first.method} along {_block_name(first)}"
        return encode_figure(depth_figure(first.image, overlays, self.depths, norms, title))


def prepare(config: DepthConfig, root_of: RootOf = lambda path: None) -> DepthRun:
    """Load the model and compile the gradients at all depths; `root_of` is that of `DepthRun`.

    Raises:
        UsageError: the block, a depth or the class does not exist.
        ModelError: the model cannot be loaded or has no ODEBlock.
    """
    classifier = load(config.model)
    block = find_block(classifier.model, config.block)
    depths = parse_depths(block, config.times, config.num_times)
    explain_config = ExplainConfig(
        classes=(config.target_class,),
        methods=(config.method,),
        fit=config.fit,
        max_value=config.max_value,
        batch_size=BATCH_SIZE,
    )
    run = prepare_depth_run(classifier, explain_config, depths, block, config.solver, config.tol)
    return DepthRun(config, run, depths, root_of)


def _block_name(explanation: Explanation) -> str:
    return explanation.layer.split("@")[0]


def _encode_npz(explanations: list[Explanation], depths: list[float], norms: np.ndarray) -> bytes:
    first, buffer = explanations[0], io.BytesIO()
    weights = [explanation.alpha for explanation in explanations if explanation.alpha is not None]
    maps = {
        name: np.stack([getattr(explanation, name) for explanation in explanations])
        for name in ("heatmap", "cam", "cam_pre_relu")
    }
    alpha = {"alpha": np.stack(weights)} if weights else {}
    metadata = np.array(json.dumps(first.metadata()))
    np.savez(buffer, allow_pickle=False, t=np.array(depths), adjoint_norm=norms, metadata=metadata, **maps, **alpha)
    return buffer.getvalue()
