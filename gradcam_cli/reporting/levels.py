"""The numbers of a map in a report: 8-bit levels of few cells, which the page upsamples and colors.

A map that was upsampled linearly, or without interpolation, from the cells of its layer is recovered from the values of
these cells, so their levels are enough. Of any other map, the levels are means over the cells of a fine grid.
"""

from __future__ import annotations

import base64
import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gradcam_cli.images.box import Box, clip_to_image
from gradcam_cli.methods.maps import interpolation_matrix
from gradcam_cli.output.scaling import scale_map, scaled_size
from gradcam_cli.pipeline import fields
from gradcam_cli.pipeline.fields import Check, FieldError
from gradcam_cli.pipeline.json_lines import Record

GRID_SIDE = 80
"""Longer side of the fine grid, and limit of the sides of a layer whose cells are stored."""
MAX_LEVEL = 255
TOLERANCE = 0.4 / MAX_LEVEL
"""Largest difference of interpolated cells from the map, as a fraction of the limit; rounding adds half a level."""
NUM_SAMPLED = 320
"""Rows and columns of a map that determine the values of its cells."""
MAX_TEXT = 12 << 20
"""Limit of the text of all levels in a page, in characters; further maps are shown as pictures only."""

Levels = dict[str, Any]
"""`width`, `height`, `values` (base64), `bits`, `top`, `limit`, `box`, `nearest`, as `maps.js` reads them; `exact`."""


def encode_levels(heatmap: np.ndarray, box: Box, cells: tuple[int, ...], limit: float = 1.0) -> Levels:
    """Return the levels of a map: value = level / 255 * top.

    Args:
        heatmap: (H, W) in 0..1.
        box: the part of the image that the cells cover, in pixels; it may extend beyond the image.
        cells: (u, v) of the layer.
        limit: the value with the last color; larger values are stored as this one.

    Returns:
        The levels. With `exact`, interpolated values differ from the map by at most 1/255 of the limit, if no value
        exceeds the limit; otherwise they are those of the means of a fine grid.
    """
    H, W = heatmap.shape
    visible = clip_to_image(box, (H, W))
    if np.count_nonzero(heatmap) > np.count_nonzero(heatmap[visible.y0 : visible.y1, visible.x0 : visible.x1]):
        box = visible = Box(0, 0, W, H)  # it has values elsewhere
    for order in (1, 0) if max(cells) <= GRID_SIDE else ():
        values = _fit(heatmap, box, visible, cells, order, limit)
        if values is not None:
            return _levels(values, box, (H, W), limit, nearest=order == 0, exact=True)
    part = np.minimum(heatmap[visible.y0 : visible.y1, visible.x0 : visible.x1], limit)
    size = scaled_size(part.shape, min(GRID_SIDE, max(part.shape)))
    return _levels(scale_map(part, size), visible, (H, W), limit, exact=size == part.shape)


def _fit(
    heatmap: np.ndarray, box: Box, visible: Box, cells: tuple[int, ...], order: int, limit: float
) -> np.ndarray | None:
    """Return the cells (u, v) whose interpolation is the map, by least squares, or None if there are none."""
    rows = _sampled(visible.y0, visible.y1)
    columns = _sampled(visible.x0, visible.x1)
    down, down_inverse = _interpolation(cells[0], box.y1 - box.y0, rows[0] - box.y0, rows[-1] - box.y0, order)
    across, across_inverse = _interpolation(cells[1], box.x1 - box.x0, columns[0] - box.x0, columns[-1] - box.x0, order)
    sampled = heatmap[np.ix_(rows, columns)]
    values = (down_inverse @ sampled @ across_inverse.T).clip(min=0)
    return values if np.abs(down @ values @ across.T - sampled).max() <= TOLERANCE * limit else None


def _sampled(start: int, stop: int) -> np.ndarray:
    """Return evenly spaced pixels of an axis, with both ends."""
    return np.linspace(start, stop - 1, min(stop - start, NUM_SAMPLED)).round().astype(int)


@functools.lru_cache(64)
def _interpolation(u: int, H: int, first: int, last: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix that interpolates u values to the sampled pixels of H, and its pseudo-inverse."""
    matrix = interpolation_matrix(u, H, order)[_sampled(first, last + 1)]
    return matrix, np.linalg.pinv(matrix)


def _levels(
    values: np.ndarray, box: Box, shape: tuple[int, int], limit: float, *, nearest: bool = False, exact: bool
) -> Levels:
    """Return the levels of cells; a cell may exceed the maximum of the map, which is that of the pixels' centers."""
    largest = math.ceil(float(values.max()) * 1e4) / 1e4
    top = limit if limit < 1 else max(largest, 1e-4)
    levels = np.round(np.minimum(values / top, 1) * MAX_LEVEL).astype(np.uint8)
    (H, W), (u, v) = shape, values.shape
    fractions = [box.x0 / W, box.y0 / H, box.x1 / W, box.y1 / H]
    return {
        "width": v,
        "height": u,
        "values": base64.b64encode(levels.tobytes()).decode(),
        "bits": 8,
        "top": round(top, 6),
        "limit": round(limit, 6),
        **({} if fractions == [0, 0, 1, 1] else {"box": [round(fraction, 6) for fraction in fractions]}),
        **({"nearest": True} if nearest else {}),
        "exact": exact,
    }


def _bytes_of(value: Any) -> str:
    """Base64 of bytes."""
    text: str = fields.text(4 * GRID_SIDE * GRID_SIDE)(value)
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise FieldError("base64", value) from None
    return text


_FIELDS = {
    **dict.fromkeys(("width", "height"), fields.integer(1, GRID_SIDE)),
    "values": _bytes_of,
    "bits": fields.integer(8, 8),
    **dict.fromkeys(("top", "limit"), fields.number(0, 1e6)),
    "box": fields.tuple_of(*[fields.number(-1e6, 1e6)] * 4),
    **dict.fromkeys(("nearest", "exact"), fields.flag),
}


def _checked_levels(value: Any) -> Levels:
    """Levels with as many bytes as cells."""
    levels: Levels = fields.record(_FIELDS, ("width", "height", "values", "bits", "top", "limit", "exact"))(value)
    if len(base64.b64decode(levels["values"])) != levels["width"] * levels["height"]:
        raise FieldError("one byte per cell", levels["values"])
    left, top, right, bottom = levels.get("box", (0, 0, 1, 1))
    if left >= right or top >= bottom or not levels["limit"]:
        raise FieldError("a box that is not empty and a limit above 0", value)
    return levels


LEVELS: Check = fields.nullable(_checked_levels)
"""The kind of levels in a run log."""


def within_budget(records: Iterable[Record], max_text: int = MAX_TEXT) -> Iterator[Record]:
    """Yield records without the levels that exceed the limit of a page, in the order of the records."""
    length = 0
    for record in records:
        report = record.get("report") or {}
        parts = [report, *(report[run] for run in ("before", "after") if run in report)]
        found = [each for part in parts for each in (part.get("levels"), *(part.get("all_levels") or ())) if each]
        length += sum(len(each["values"]) for each in found)
        yield record if length <= max_text or not found else {**record, "report": _without_levels(report)}


def _without_levels(report: Record) -> Record:
    kept = {key: value for key, value in report.items() if key not in ("levels", "all_levels")}
    return {
        key: _without_levels(value) if key in ("before", "after") and isinstance(value, dict) else value
        for key, value in kept.items()
    }
