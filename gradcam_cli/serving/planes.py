"""What one picture of the page shows of a map: all of an image or a signal, one slice of a volume, or one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box
from gradcam_cli.images.space import RANKS, Space
from gradcam_cli.output.views import Shown
from gradcam_cli.output.views.volume import slice_sides

MAP_SIDE, SIGNAL_SIDE = 320, 1500
"""Longer side of a map, in values."""
OUTSIDE = [2.0, 2.0, 2.0, 2.0]
"""The crop of a slice outside the part that the model sees."""


class Plane(NamedTuple):
    """The part of a map in one picture.

    Attributes:
        heatmap: (H, W) in 0..1; of a signal, (1, T).
        side: its longer side in an answer, in values.
        crop: the part that the model sees, x0, y0, x1, y1 in fractions.
        peak: x and y of the largest value of the whole map, in fractions, or None.
        slice: `axis` and `number` of the slice, the `aspect`, its width per height, and the `peak`: the number of the
            slice with the largest value, or None. None for images and signals.
    """

    heatmap: np.ndarray
    side: int
    crop: list[float]
    peak: list[float] | None
    slice: dict[str, Any] | None = None


def plane_of(shown: Shown, axis: int = 0, number: int | None = None) -> Plane:
    """Return what a picture shows of a map.

    Args:
        shown: an input and its map.
        axis: of the array, across the slices.
        number: of the slice; None for that of the largest value.

    Raises:
        UsageError: the input has no such slice.
    """
    peak = [*shown.peak[::-1]] if shown.peak else None
    if shown.space.rank < RANKS["volume"]:
        is_image = shown.space.kind == "image"
        rows, side = (shown.heatmap, MAP_SIDE) if is_image else (shown.heatmap[None], SIGNAL_SIDE)
        at = peak if is_image or not peak else [0, *peak]
        return Plane(rows, side, _crop(shown.crop_box, rows.shape), _fractions(at, rows.shape))
    number = check_slice(shown.space, shown.heatmap.shape, axis, shown.place[axis] if number is None else number)
    through = peak.pop(axis) if peak else None
    part = shown.slice(axis, number)
    crop = _crop(part.crop_box, part.heatmap.shape) if any(part.crop_box.shape) else OUTSIDE
    height, width = _sides(shown, axis)
    place = {"axis": axis, "number": number, "aspect": round(width / height, 4), "peak": through}
    return Plane(part.heatmap, MAP_SIDE, crop, _fractions(peak, part.heatmap.shape), place)


def slice_axes(space: Space) -> int:
    """Return along how many axes an input has slices: a film has frames along its time only."""
    return 3 if space.kind == "volume" else 1


def check_slice(space: Space, shape: Sequence[int], axis: int, number: int) -> int:
    """Return the number of a slice or frame.

    Raises:
        UsageError: the input has no such slice.
    """
    axes = slice_axes(space)
    if axis >= axes:
        raise UsageError(f"axis: expected {'a number up to 2' if axes > 1 else '0'} for a {space.kind}, got {axis}")
    if number >= shape[axis]:
        raise UsageError(f"slice: expected an integer from 0 to {shape[axis] - 1}, got {number}")
    return number


def slice_pixels(shown: Shown, axis: int, number: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a slice (h, w, 3) uint8, and the size (h, w) at which its pixels are square.

    Raises:
        UsageError: the input has no such slice.
    """
    pixels = shown.slice(axis, check_slice(shown.space, shown.heatmap.shape, axis, number)).pixels
    sides = _sides(shown, axis)
    scale = max(length / side for length, side in zip(pixels.shape, sides, strict=False))
    return pixels, (max(round(sides[0] * scale), 1), max(round(sides[1] * scale), 1))


def _sides(shown: Shown, axis: int) -> tuple[float, float]:
    """Return the height and width of a slice in equal units; the pixels of a film are square."""
    if shown.space.kind == "volume":
        return slice_sides(shown, axis)
    _, height, width = shown.heatmap.shape
    return height, width


def profile(heatmap: np.ndarray, axis: int) -> list[float]:
    """Return the largest value of a map (D, H, W) in each slice along an axis."""
    largest = heatmap.max(axis=tuple(other for other in range(3) if other != axis))
    return [round(float(value), 4) for value in largest]


def _crop(box: Box, shape: Sequence[int]) -> list[float]:
    intervals = box.intervals if len(box.intervals) == 2 else ((0, 1), *box.intervals)
    (y0, y1), (x0, x1) = intervals
    return [x0 / shape[1], y0 / shape[0], x1 / shape[1], y1 / shape[0]]


def _fractions(place: Sequence[int] | None, shape: Sequence[int]) -> list[float] | None:
    return [(place[1] + 0.5) / shape[1], (place[0] + 0.5) / shape[0]] if place else None
