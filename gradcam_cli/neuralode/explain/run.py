"""A run of `gradcam neuralode explain`: from images to maps along t, their files and JSON records."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import OutputError
from gradcam_cli.images.load import Failure, Unexplained, load_image
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.neuralode.explain.config import DepthConfig
from gradcam_cli.neuralode.explain.depth import adjoint_norms, parse_depths, prepare_depth_run
from gradcam_cli.neuralode.explain.head import Head, compile_head
from gradcam_cli.neuralode.explain.plots import (
    ColorScale,
    Curves,
    animation_frames,
    depth_figure,
    enlarged_map,
    make_frames,
)
from gradcam_cli.neuralode.layers.find_block import find_block
from gradcam_cli.output.animations import encode_animation
from gradcam_cli.output.destination import format_for_suffix
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.json_lines import map_summary, to_json
from gradcam_cli.pipeline.model_input import to_model_input
from gradcam_cli.pipeline.prediction import json_number
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
        head: the layers after the block.
        root_of: returns the directory of the results that a file belongs to, or None for a file that the user named.
    """

    config: DepthConfig
    run: PreparedRun = field(repr=False)
    depths: list[float]
    head: Head = field(repr=False)
    root_of: RootOf = lambda path: None

    def explain(self, tasks: Sequence[DepthTask], draw: Draw | None = None) -> Iterator[DepthResult]:
        """Explain the images of all tasks, in order, and write their files.

        Args:
            tasks: the images and their files.
            draw: renders the maps of an image for a report, or None.
        """
        options = ReadOptions(self.config.max_pixels, self.config.max_value)
        images = (load_image(source, options) for source, _ in tasks)
        inputs = (to_model_input(self.run, image) for image in images)
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
        return self._write(explanations, self._curves(forward_result), files, draw)

    def _curves(self, forward_result: stages.ForwardResult) -> Curves:
        result, i = forward_result.batch_result, forward_result.batch_index
        probabilities = self.head(np.stack([z[i] for z in result.A]))  # (depths, classes)
        return Curves(probabilities[:, result.classes[i, 0]], adjoint_norms(result)[0, i])

    def _write(
        self, explanations: list[Explanation], curves: Curves, files: dict[str, Path], draw: Draw | None
    ) -> DepthResult:
        """Write the files of an image; an `OutputError` becomes a failure of this image."""
        try:
            for kind, path in files.items():
                write_output(path, self._encode(kind, path, explanations, curves), self.root_of(path))
            drawn = draw(on_one_scale(explanations)) if draw else []
        except OutputError as error:
            return DepthResult(to_json(Failure(explanations[0].source, error.message, error.hint)))
        record = self._record(explanations, curves, {kind: str(path) for kind, path in files.items()})
        return DepthResult(record, explanations, drawn)

    def _record(self, explanations: list[Explanation], curves: Curves, outputs: dict[str, str]) -> dict[str, Any]:
        first = explanations[0]
        depths = [
            {"t": t, "adjoint_norm": float(norm), "head_probability": json_number(float(p)), **map_summary(explanation)}
            for t, p, norm, explanation in zip(self.depths, *curves, explanations, strict=True)
        ]
        return {
            **to_json(first, outputs),
            "layer": _block_name(first),
            "map": None,
            "depths": depths,
            "tol": self.config.tol,
        }

    def _encode(self, kind: str, path: Path, explanations: list[Explanation], curves: Curves) -> bytes:
        """Return the bytes of a file: a `figure` in the format of its suffix, `gif`, `apng` or `npz`."""
        if kind == "npz":
            return _encode_npz(explanations, self.depths, curves)
        first, render = explanations[0], self.config.render
        colors = ColorScale(render, _color_label(first.method))
        frames = make_frames(explanations, self.depths, colors)
        if kind != "figure":
            return encode_animation(animation_frames(frames), kind)
        title = f"{basename(first.source)}: {first.prediction.label} · {first.method} along {_block_name(first)}"
        figure = depth_figure(first.image, frames, curves, colors, title, render.dpi)
        return encode_figure(figure, format_for_suffix(path))


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
    return DepthRun(config, run, depths, compile_head(classifier.model, block), root_of)


def on_one_scale(explanations: Sequence[Explanation]) -> list[Explanation]:
    """Return the explanations with heatmaps that are divided by the largest value of all of them."""
    maps = [enlarged_map(explanation, 1) for explanation in explanations]
    end = max(float(L.max()) for L in maps) or 1.0
    return [replace(explanation, heatmap=L / end) for explanation, L in zip(explanations, maps, strict=True)]


def _color_label(method: str) -> str:
    units = {"depth": f"{method}: score per unit of t", "cam": f"{method}: units of the score"}
    return units.get(METHODS[method].kind, method)


def _block_name(explanation: Explanation) -> str:
    return explanation.layer.split("@")[0]


def _encode_npz(explanations: list[Explanation], depths: list[float], curves: Curves) -> bytes:
    first, buffer = explanations[0], io.BytesIO()
    weights = [explanation.alpha for explanation in explanations if explanation.alpha is not None]
    maps = {
        name: np.stack([getattr(explanation, name) for explanation in explanations])
        for name in ("heatmap", "cam", "cam_pre_relu")
    }
    alpha = {"alpha": np.stack(weights)} if weights else {}
    values = {"t": np.array(depths), "adjoint_norm": curves.norms, "head_probability": curves.probabilities}
    metadata = np.array(json.dumps(first.metadata()))
    np.savez(buffer, allow_pickle=False, metadata=metadata, **values, **maps, **alpha)
    return buffer.getvalue()
