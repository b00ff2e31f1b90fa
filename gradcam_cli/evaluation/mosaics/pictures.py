"""A picture of some mosaics with their maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.evaluation.metrics.mosaic import SIDE, tile_places
from gradcam_cli.evaluation.metrics.registry import GRID
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.mosaics.layout import Mosaic
from gradcam_cli.evaluation.mosaics.prepare import num_predictions
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.output.colors import DEFAULT
from gradcam_cli.output.grids import Cell, GridRow, grid_figure
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import VIEWS, Shown
from gradcam_cli.pipeline.panels import shown
from gradcam_cli.pipeline.results import Explanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_MOSAICS = 6
SIGNAL_SIDE = 400
"""Width of the picture of a signal, in pixels; those of images and slices have the size of these."""
FRAME, FRAME_COLOR = 0.02, (255, 0, 144)
"""Width of the frame around the tile of the explained class, as a fraction of the mosaic, and its color."""


class MosaicPictures:
    """Collects the maps of the first mosaics, each for the class of one tile, in turn of its tiles.

    Of a volume or film, they show the slice or frame in the middle of the tile.

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
        places = tile_places(explanations[0].space.rank)
        tile = len(self._rows) % len(places)
        records = {(row.metadata["layer"], row.method): row.tiles[tile] for row in rows if row.tiles}
        drawn = [each for each in explanations[tile :: len(places)] if METHODS[each.method].kind != "baseline"]
        several_layers = len({each.layer for each in drawn}) > 1
        cells = [Cell("mosaic", self._draw(drawn[0], places[tile], with_map=False))]
        for each in drawn:
            share = records[each.layer, each.method]["metrics"].get(GRID)
            heading = f"{each.method} at {each.layer}" if several_layers else each.method
            cells.append(Cell(heading, self._draw(each, places[tile]), "" if share is None else f"{share:.2f}"))
        first = records[drawn[0].layer, drawn[0].method]
        name = first["class_name"] or first["class_index"]
        rank = f"rank {first['rank']}" if first["rank"] else f"rank above {num_predictions(len(places[tile]))}"
        lines = [mosaic.name, str(name), rank, *_plane_label(shown(drawn[0]), places[tile])]
        self._rows.append(GridRow("\n".join(lines), cells))

    def _draw(self, explanation: Explanation, place: tuple[int, ...], *, with_map: bool = True) -> np.ndarray:
        plane = _plane(shown(explanation, self._render), place)
        kind = plane.space.kind
        view, side = VIEWS[kind], SIGNAL_SIDE if kind == "signal" else max(plane.heatmap.shape)
        pixels = view.map_panel(plane, side, self._render) if with_map else view.image_panel(plane, side)
        return _framed(pixels, place)

    def figure(self) -> Figure | None:
        """Return the picture, or None without a mosaic."""
        title = "maps of the class of the framed tile; below each map, its share of heat in this tile"
        return grid_figure(self._rows, title) if self._rows else None


def _plane(mosaic: Shown, place: tuple[int, ...]) -> Shown:
    """Return a signal or an image itself, and of a volume or film the slice or frame in the middle of a tile."""
    return mosaic.slice(0, _middle(mosaic, place)) if mosaic.space.rank == 3 else mosaic


def _middle(mosaic: Shown, place: tuple[int, ...]) -> int:
    return (2 * place[0] + 1) * len(mosaic.heatmap) // (2 * SIDE)


def _plane_label(mosaic: Shown, place: tuple[int, ...]) -> list[str]:
    """Return the line that names the slice or frame of a volume or film; none for others."""
    names = {"volume": "slice", "film": "frame"}
    return [f"{names[kind]} {_middle(mosaic, place)}"] if (kind := mosaic.space.kind) in names else []


def _framed(pixels: np.ndarray, place: tuple[int, ...]) -> np.ndarray:
    """Return a picture of a mosaic with a frame in a tile, which is as high as the picture of a signal."""
    framed = pixels.copy()
    row, column = (0, *place)[-2:]
    h, w = pixels.shape[0] // (SIDE if len(place) > 1 else 1), pixels.shape[1] // SIDE
    view = framed[row * h :, column * w :][:h, :w]
    width = max(round(FRAME * SIDE * w), 1)
    view[:width] = view[-width:] = view[:, :width] = view[:, -width:] = FRAME_COLOR
    return framed
