"""Computes the metrics of maps on mosaics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.evaluation.evaluate import Draw
from gradcam_cli.evaluation.metrics.mosaic import SIDE, peak_in_tile, share_in_tile, share_outside, tile_parts
from gradcam_cli.evaluation.metrics.registry import GRID, GRID_PEAK, GRID_VALID, IMPOSSIBLE
from gradcam_cli.evaluation.metrics.summary import TILE_LISTS, MetricRow
from gradcam_cli.evaluation.mosaics.layout import Mosaic
from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.json_lines import predictions
from gradcam_cli.pipeline.model_input import ModelInput, to_model_input
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun

DECIMALS = 9
MAX_DRAWN = 24
"""Number of mosaics that a report shows."""
Show = Callable[[Mosaic, Sequence[Explanation], Sequence[MetricRow]], None]
"""Receives a mosaic, its maps and their metrics, for a picture."""


class _Pass(NamedTuple):
    """A mosaic after its pass: the model input, and the activations of each layer, (u, v, k)."""

    x: np.ndarray
    activations: list[np.ndarray]
    classes: tuple[int, ...]


@dataclass(frozen=True)
class MosaicEvaluator:
    """Computes the metrics of the maps of mosaics.

    Attributes:
        run: from `prepare_mosaics`.
        metrics: the requested metrics.
        show: receives the maps of each mosaic, or None.
        draw: draws the maps of the first mosaics for a report, or None.
    """

    run: PreparedRun
    metrics: Sequence[str]
    show: Show | None = None
    draw: Draw | None = None

    def evaluate(self, mosaics: Sequence[Mosaic]) -> Iterator[list[MetricRow] | Unexplained]:
        """Yield the metrics of all maps of each mosaic, one row per layer and method, in order."""
        pending: list[tuple[Mosaic, Any]] = []

        def model_inputs() -> Iterator[ModelInput | Unexplained]:
            for mosaic in mosaics:
                pending.append((mosaic, self._to_model_input(mosaic)))
                yield pending[-1][1]

        for number, result in enumerate(stages.run_batches(self.run, model_inputs())):
            mosaic, each = pending.pop(0)
            explanations = stages.make_explanations(self.run, result)
            if isinstance(result, Unexplained) or isinstance(explanations, Unexplained):
                yield explanations  # type: ignore[misc]  # one of them is a failure, and it is passed on
                continue
            rows = self._rows(mosaic, explanations, self._pass_of(each, result))
            if self.show:
                self.show(mosaic, explanations, rows)
            yield self._draw_for_report(explanations, rows) if number < MAX_DRAWN else rows

    def _draw_for_report(self, explanations: Sequence[Explanation], rows: list[MetricRow]) -> list[MetricRow]:
        """Draw the maps of a mosaic that are no baselines; return its rows with the report's data."""
        drawn = [each for each in explanations if METHODS[each.method].kind != "baseline"]
        if not self.draw or not drawn:
            return rows
        reports: dict[tuple[str, str], dict[str, Any]] = {}
        for each, files in zip(drawn, self.draw(drawn), strict=True):
            files["map"] = {"peak": each.peak}
            of_tile = {TILE_LISTS[key]: files.pop(key) for key in TILE_LISTS if key in files}
            lists: dict[str, Any] = {key: [] for key in of_tile}
            report = {**files, **lists, "predictions": predictions(each.predictions)}
            for key, value in of_tile.items():
                reports.setdefault((each.layer, each.method), report)[key].append(value)
        return [row._replace(report=reports.get((row.metadata["layer"], row.method))) for row in rows]

    def _to_model_input(self, mosaic: Mosaic) -> ModelInput | Unexplained:
        pixels, _, bands, space = mosaic.decoded(self._tile_shape())
        fitted = to_model_input(self.run, LoadedImage(mosaic.name, pixels, bands=bands, space=space))
        classes = tuple(each.class_index for each in mosaic.inputs)
        return fitted._replace(classes=classes) if isinstance(fitted, ModelInput) else fitted

    def _tile_shape(self) -> tuple[int, ...]:
        """Return the shape of a tile: half of the model input along each axis, or all of it if this is no integer.

        In the second case, the model input of a fixed size shows mosaics of twice this size.
        """
        shape = self.run.classifier.spatial_shape
        return shape if any(side % SIDE for side in shape) else tuple(side // SIDE for side in shape)

    def _pass_of(self, each: Any, result: stages.ForwardResult) -> _Pass:
        x = self.run.classifier.preprocess(each.pixels[None])[0]
        return _Pass(x, [A[result.batch_index] for A in result.batch_result.A], each.classes)

    def _rows(self, mosaic: Mosaic, explanations: Sequence[Explanation], forward: _Pass) -> list[MetricRow]:
        by_map: dict[tuple[str, str], list[Explanation]] = {}
        for explanation in explanations:
            by_map.setdefault((explanation.layer, explanation.method), []).append(explanation)
        outside = self._outside(by_map, forward) if IMPOSSIBLE in self.metrics else {}
        return [self._row(mosaic, maps, outside.get(key, [None] * len(maps))) for key, maps in by_map.items()]

    def _row(self, mosaic: Mosaic, explanations: Sequence[Explanation], outside: Sequence[float | None]) -> MetricRow:
        """Return the row of a layer and method; its values are means over the tiles.

        Args:
            mosaic: the mosaic.
            explanations: the maps of the classes of its tiles.
            outside: the share of heat outside of each tile.
        """
        first = explanations[0]
        ranked = [prediction.index for prediction in first.predictions]
        parts = tile_parts(first.cam.shape, first.input_box, self.run.classifier.spatial_shape)
        tiles: list[dict[str, Any]] = []
        for tile, (each, explanation) in enumerate(zip(mosaic.inputs, explanations, strict=True)):
            rank = ranked.index(each.class_index) + 1 if each.class_index in ranked else None
            share = share_in_tile(explanation.cam, parts, tile)
            metrics = {
                GRID: share,
                GRID_PEAK: peak_in_tile(explanation.cam, parts, tile),
                GRID_VALID: share if rank else None,
                IMPOSSIBLE: outside[tile],
            }
            tiles.append(
                {
                    "photo": each.name,
                    "class_index": each.class_index,
                    "class_name": explanation.prediction.name,
                    "rank": rank,
                    "metrics": {name: value for name, value in metrics.items() if name in self.metrics},
                }
            )
        values = {name: _mean([tile["metrics"].get(name) for tile in tiles]) for name in self.metrics}
        metadata = {**first.metadata(), **dict.fromkeys(("class_index", "class_name", "probability"))}
        baseline = METHODS[first.method].kind == "baseline"
        return MetricRow({**metadata, "requested_class": "tiles"}, first.method, baseline, values, {}, tiles=tiles)

    def _outside(
        self, by_map: dict[tuple[str, str], list[Explanation]], forward: _Pass
    ) -> dict[tuple[str, str], list[float | None]]:
        """Return the share of heat outside of each tile, by layer and method.

        For each tile t, the part of the network behind the layer receives A m_t, with m_t = 1 in the cells of the tile
        and 0 elsewhere. So dA = m_t dy_c / d(A m_t), and the map is the method's function of (A, dA).
        """
        shares: dict[tuple[str, str], list[float | None]] = {}
        for layer, path in enumerate(self.run.layers):
            keys = [key for key in by_map if key[0] == path and METHODS[key[1]].kind in ("cam", "baseline")]
            if not keys:
                continue
            A, box = forward.activations[layer], by_map[keys[0]][0].input_box
            visible = tile_parts(A.shape[:-1], box, self.run.classifier.spatial_shape) > 0
            masks = visible[..., None].astype(np.float32)
            dA = masks * self.run.scorers[layer].gradients_from_layer(forward.x, A[None] * masks, forward.classes)
            for key in keys:
                maps = [METHODS[key[1]].function(A, each).map for each in dA]
                shares[key] = [share_outside(L, cells) for L, cells in zip(maps, visible, strict=True)]
        return shares


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values; it is rounded, since equal means would else differ in their last bits."""
    numbers = [value for value in values if value is not None]
    return round(sum(numbers) / len(numbers), DECIMALS) if numbers else None
