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
"""Longer side of the fine grid of an image."""
GRID_SIDES = {1: 4000, 2: GRID_SIDE, 3: 40}
"""The same for each number of spatial axes."""
LAYER_SIDES = {1: 400, 2: GRID_SIDE, 3: 40}
"""Limit of the sides of a layer whose cells are stored, for each number of spatial axes."""
SIDES = ("width", "height", "depth")
"""Names of the lengths of the axes, from the last to the first."""
MAX_LEVEL = 255
TOLERANCE = 0.4 / MAX_LEVEL
"""Largest difference of interpolated cells from the map, as a fraction of the limit; rounding adds half a level."""
NUM_SAMPLED = {1: 1600, 2: 320, 3: 120}
"""Rows and columns of a map that determine the values of its cells, by its number of spatial axes."""
MAX_TEXT = 12 << 20
"""Limit of the text of all levels in a page, in characters; further maps are shown as pictures only."""

Levels = dict[str, Any]
"""`width`, `height`, `depth`, `values` (base64), `bits`, `top`, `limit`, `box`, `nearest`, as `maps.js` reads them, and
`exact`. A signal has no `height`, and only a volume or a film has a `depth`."""


def encode_levels(heatmap: np.ndarray, box: Box, cells: tuple[int, ...], limit: float = 1.0) -> Levels:
    """Return the levels of a map: value = level / 255 * top.

    Args:
        heatmap: (H, W) in 0..1, or a map with one or three spatial axes.
        box: the part of the image that the cells cover, in pixels; it may extend beyond the image.
        cells: (u, v) of the layer, or the lengths of its other number of axes.
        limit: the value with the last color; larger values are stored as this one.

    Returns:
        The levels. With `exact`, interpolated values differ from the map by at most 1/255 of the limit, if no value
        exceeds the limit; otherwise they are those of the means of a fine grid.
    """
    shape, side = heatmap.shape, GRID_SIDES[heatmap.ndim]
    visible = clip_to_image(box, shape)
    if np.count_nonzero(heatmap) > np.count_nonzero(heatmap[visible.slices]):
        box = visible = Box.whole(shape)  # it has values elsewhere
    for order in (1, 0) if max(cells) <= LAYER_SIDES[heatmap.ndim] else ():
        values = _fit(heatmap, box, visible, cells, order, limit)
        if values is not None:
            return _levels(values, box, shape, limit, nearest=order == 0, exact=True)
    part = np.minimum(heatmap[visible.slices], limit)
    planar = part.ndim == 2
    size = scaled_size(part.shape, min(side, max(part.shape))) if planar else tuple(min(side, n) for n in part.shape)
    return _levels(_means(part, size), visible, shape, limit, exact=size == part.shape)


def _fit(
    heatmap: np.ndarray, box: Box, visible: Box, cells: tuple[int, ...], order: int, limit: float
) -> np.ndarray | None:
    """Return the cells (u, v) whose interpolation is the map, by least squares, or None if there are none."""
    places = [_sampled(start, stop, heatmap.ndim) for start, stop in visible.intervals]
    pairs = [
        _interpolation(length, stop - start, at[0] - start, at[-1] - start, order, heatmap.ndim)
        for length, (start, stop), at in zip(cells, box.intervals, places, strict=True)
    ]
    sampled = heatmap[np.ix_(*places)]
    values = _along_axes(sampled, [inverse for _, inverse in pairs]).clip(min=0)
    interpolated = _along_axes(values, [matrix for matrix, _ in pairs])
    return values if np.abs(interpolated - sampled).max() <= TOLERANCE * limit else None


def _along_axes(values: np.ndarray, matrices: Iterable[np.ndarray]) -> np.ndarray:
    """Multiply each axis by its matrix."""
    for matrix in matrices:  # the axis in front becomes the last one
        values = np.asarray(np.tensordot(values, matrix, axes=(0, 1)))
    return values


def _means(part: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return a map at the smaller size of a fine grid, with the means of `scale_map` along each axis."""
    if part.ndim == 2:
        return scale_map(part, (size[0], size[1]))
    if part.ndim == 1:
        return scale_map(part[np.newaxis], (1, size[0])).ravel()
    slices = np.stack([_means(each, size[1:]).ravel() for each in part])
    means: np.ndarray = scale_map(slices, (size[0], slices.shape[1])).reshape(size)
    return means


def _sampled(start: int, stop: int, rank: int) -> np.ndarray:
    """Return evenly spaced pixels of an axis, with both ends."""
    return np.linspace(start, stop - 1, min(stop - start, NUM_SAMPLED[rank])).round().astype(int)


@functools.lru_cache(64)
def _interpolation(u: int, H: int, first: int, last: int, order: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix that interpolates u values to the sampled pixels of H, and its pseudo-inverse."""
    matrix = interpolation_matrix(u, H, order)[_sampled(first, last + 1, rank)]
    return matrix, np.linalg.pinv(matrix)


def _levels(
    values: np.ndarray, box: Box, shape: tuple[int, ...], limit: float, *, nearest: bool = False, exact: bool
) -> Levels:
    """Return the levels of cells; a cell may exceed the maximum of the map, which is that of the pixels' centers."""
    largest = math.ceil(float(values.max()) * 1e4) / 1e4
    top = limit if limit < 1 else max(largest, 1e-4)
    levels = np.round(np.minimum(values / top, 1) * MAX_LEVEL).astype(np.uint8)
    fractions = [end / length for end, length in zip(box, 2 * shape[::-1], strict=True)]
    return {
        **dict(zip(SIDES, values.shape[::-1], strict=False)),
        "values": base64.b64encode(levels.tobytes()).decode(),
        "bits": 8,
        "top": round(top, 6),
        "limit": round(limit, 6),
        **({} if box == Box.whole(shape) else {"box": [round(fraction, 6) for fraction in fractions]}),
        **({"nearest": True} if nearest else {}),
        "exact": exact,
    }


def bytes_of(max_bytes: int) -> Check:
    """Base64 of a limited number of bytes."""
    is_text = fields.text(4 * -(-max_bytes // 3))

    def check(value: Any) -> str:
        text: str = is_text(value)
        try:
            base64.b64decode(text, validate=True)
        except ValueError:
            raise FieldError("base64", value) from None
        return text

    return check


_FIELDS = {
    **dict.fromkeys(SIDES, fields.integer(1, max(GRID_SIDES.values()))),
    "values": bytes_of(max(side**rank for rank, side in GRID_SIDES.items())),
    "bits": fields.integer(8, 8),
    **dict.fromkeys(("top", "limit"), fields.number(0, 1e6)),
    "box": fields.list_of(fields.number(-1e6, 1e6), 2, 6),
    **dict.fromkeys(("nearest", "exact"), fields.flag),
}


def _checked_levels(value: Any) -> Levels:
    """Levels with as many bytes as cells, and a box with as many axes."""
    levels: Levels = fields.record(_FIELDS, ("width", "values", "bits", "top", "limit", "exact"))(value)
    sides = [levels[name] for name in SIDES if name in levels]
    if len(base64.b64decode(levels["values"])) != math.prod(sides):
        raise FieldError("one byte per cell", levels["values"])
    box = levels.get("box", [0] * len(sides) + [1] * len(sides))
    ends = zip(box[: len(sides)], box[len(sides) :], strict=False)
    if len(box) != 2 * len(sides) or any(first >= last for first, last in ends) or not levels["limit"]:
        raise FieldError("a box that is not empty and a limit above 0", value)
    return levels


LEVELS: Check = fields.nullable(_checked_levels)
"""The kind of levels in a run log."""


def within_budget(records: Iterable[Record], max_text: int = MAX_TEXT) -> Iterator[Record]:
    """Yield records without the levels and signals that exceed the limit of a page, in the order of the records."""
    length = 0
    for record in records:
        report = record.get("report") or {}
        parts = [report, *(report[run] for run in ("before", "after") if run in report)]
        found = [each for part in parts for each in (part.get("levels"), *(part.get("all_levels") or ())) if each]
        lines = (report.get("signal") or {}).get("channels", ())
        length += sum(len(each["values"]) for each in (*found, *lines))
        yield record if length <= max_text or not (found or lines) else {**record, "report": _without_levels(report)}


def _without_levels(report: Record) -> Record:
    kept = {key: value for key, value in report.items() if key not in ("levels", "all_levels", "signal")}
    return {
        key: _without_levels(value) if key in ("before", "after") and isinstance(value, dict) else value
        for key, value in kept.items()
    }
