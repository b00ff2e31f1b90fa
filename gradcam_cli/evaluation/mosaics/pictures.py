"""A picture of some mosaics with their maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.evaluation.metrics.mosaic import SIDE, TILES
from gradcam_cli.evaluation.metrics.registry import GRID
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.mosaics.layout import Mosaic
from gradcam_cli.evaluation.mosaics.prepare import NUM_PREDICTIONS
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.output.colors import DEFAULT, overlay
from gradcam_cli.output.grids import Cell, GridRow, grid_figure
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.captions import color_limit
from gradcam_cli.pipeline.results import Explanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_MOSAICS = 6
FRAME, FRAME_COLOR = 0.02, (255, 0, 144)
"""Width of the frame around the tile of the explained class, as a fraction of the mosaic, and its color."""


class MosaicPictures:
    """Collects the maps of the first mosaics, each for the class of one tile, in turn of the four tiles.

    Args:
        render: how the maps are drawn.
    """

    def __init__(self, render: RenderOptions = DEFAULT) -> None:
        self._render = render
        self._rows: list[GridRow] = []

    def add(self, mosaic: Mosaic, explanations: Sequence[Explanation], rows: Sequence[MetricRow]) -> None:
        """Add the maps of a mosaic, if there is room.

        Args:
            mosaic: the mosaic.
            explanations: its maps.
            rows: their metrics.
        """
        if len(self._rows) == MAX_MOSAICS:
            return
        tile = len(self._rows) % TILES
        records = {(row.metadata["layer"], row.method): row.tiles[tile] for row in rows if row.tiles}
        drawn = [each for each in explanations[tile::TILES] if METHODS[each.method].kind != "baseline"]
        several_layers = len({each.layer for each in drawn}) > 1
        cells = [Cell("mosaic", _framed(drawn[0].image, tile))]
        for each in drawn:
            share = records[each.layer, each.method]["metrics"].get(GRID)
            heading = f"{each.method} at {each.layer}" if several_layers else each.method
            cells.append(Cell(heading, self._draw(each, tile), "" if share is None else f"{share:.2f}"))
        first = records[drawn[0].layer, drawn[0].method]
        name = first["class_name"] or first["class_index"]
        rank = f"rank {first['rank']}" if first["rank"] else f"rank above {NUM_PREDICTIONS}"
        self._rows.append(GridRow(f"{mosaic.name}\n{name}\n{rank}", cells))

    def _draw(self, explanation: Explanation, tile: int) -> np.ndarray:
        limit = color_limit(explanation.heatmap, explanation.method, self._render)
        pixels = overlay(explanation.image, explanation.heatmap, explanation.crop_box, self._render, limit)
        return _framed(pixels, tile)

    def figure(self) -> Figure | None:
        """Return the picture, or None without a mosaic."""
        title = "maps of the class of the framed tile; below each map, its share of heat in this tile"
        return grid_figure(self._rows, title) if self._rows else None


def _framed(pixels: np.ndarray, tile: int) -> np.ndarray:
    """Return a picture of a mosaic with a frame in a tile."""
    framed = pixels.copy()
    h, w = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    view = framed[tile // SIDE * h :, tile % SIDE * w :][:h, :w]
    width = max(round(FRAME * SIDE * w), 1)
    view[:width] = view[-width:] = view[:, :width] = view[:, -width:] = FRAME_COLOR
    return framed
