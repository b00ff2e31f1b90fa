"""The slices of a volume, and the frames of a film, as the pages show them: many pictures in one file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.images.encode import encode
from gradcam_cli.images.space import RANKS, Space
from gradcam_cli.output.scaling import scale_image, scaled_size
from gradcam_cli.output.views.labels import picture_numbers
from gradcam_cli.pipeline import fields
from gradcam_cli.pipeline.fields import Check, FieldError

MAX_SLICES, SLICE_SIDE = 64, 256
"""Slices of an axis that a page shows, and the longer side of one, which is never enlarged."""
MAX_LOSSLESS_SIDE = 64
"""Slices up to this longer side are stored without loss."""
BORDER = 1
"""Pixels around each slice of a sheet that repeat its edge: enlarged slices do not blend with their neighbors."""
Numbers = Mapping[int, Sequence[int]]
"""The numbers of the slices that a page shows, by the axis of the array."""


def shown_numbers(space: Space, shape: Sequence[int], peaks: Iterable[Sequence[int] | None] = ()) -> Numbers:
    """Return the numbers of the slices along each axis, and of the frames; none for signals and images.

    They are evenly spaced, with the first, the last and those of the peaks.

    Args:
        space: what the input is.
        shape: its spatial shape.
        peaks: (x, y, z) of its maps.
    """
    if RANKS[space.kind] < 3:
        return {}
    places = [peak[::-1] for peak in peaks if peak]
    axes = [axis for axis in range(3) if axis == 0 or (space.kind == "volume" and shape[axis] > 1)]
    return {axis: _numbers(shape[axis], [place[axis] for place in places]) for axis in axes}


def _numbers(length: int, needed: Iterable[int]) -> list[int]:
    """Return evenly spaced numbers, of which the nearest ones are replaced by the needed ones."""
    numbers = picture_numbers(length, MAX_SLICES)
    for number in needed:
        nearest = min(range(len(numbers)), key=lambda n: abs(numbers[n] - number))
        numbers[nearest] = number
    return sorted(set(numbers))


class Sheet(NamedTuple):
    """Slices side by side, row by row, in a grid that is about as wide as high.

    Attributes:
        data: the bytes of the file.
        image_format: `png` for small slices, `jpg` for all others.
        columns: of the grid.
        width, height: of a slice without its border.
    """

    data: bytes
    image_format: str
    columns: int
    width: int
    height: int


def encode_sheet(pixels: np.ndarray, axis: int, numbers: Sequence[int]) -> Sheet:
    """Encode slices in one file.

    Args:
        pixels: (D, H, W, 3) uint8.
        axis: the axis along which the slices lie.
        numbers: of the slices.
    """
    columns = math.ceil(math.sqrt(len(numbers)))
    slices = [np.take(pixels, number, axis) for number in numbers]
    height, width = scaled_size(slices[0].shape, min(max(slices[0].shape[:2]), SLICE_SIDE))
    h, w = height + 2 * BORDER, width + 2 * BORDER
    sheet = np.zeros((math.ceil(len(numbers) / columns) * h, columns * w, 3), np.uint8)
    for place, each in enumerate(slices):
        row, column = divmod(place, columns)
        padded = np.pad(scale_image(each, (height, width)), ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), "edge")
        sheet[row * h : (row + 1) * h, column * w : (column + 1) * w] = padded
    image_format = "png" if max(height, width) <= MAX_LOSSLESS_SIDE else "jpg"
    return Sheet(encode(sheet, image_format), image_format, columns, width, height)


def profiles(heatmap: np.ndarray, numbers: Numbers) -> list[list[float]]:
    """Return the largest value of a map (D, H, W) in each of the shown slices, for each axis."""
    found = []
    for axis, shown in numbers.items():
        largest = heatmap.max(axis=tuple(other for other in range(3) if other != axis))
        found.append([round(float(largest[number]), 4) for number in shown])
    return found


_is_sheet = fields.record(
    {
        "axis": fields.integer(0, 2),
        "path": fields.nullable(fields.text()),
        "numbers": fields.list_of(fields.integer(), 1, MAX_SLICES),
        "columns": fields.integer(1, MAX_SLICES),
        **dict.fromkeys(("width", "height"), fields.integer(1, SLICE_SIDE)),
    },
    ("axis", "path", "numbers", "columns", "width", "height"),
)


def _sheet(value: Any) -> dict[str, Any]:
    """A sheet with increasing numbers."""
    sheet: dict[str, Any] = _is_sheet(value)
    numbers = sheet["numbers"]
    if any(first >= second for first, second in itertools.pairwise(numbers)):
        raise FieldError("increasing numbers of slices", numbers)
    return sheet


SHEETS: Check = fields.list_of(_sheet, 1, 3)
"""The kind of the sheets of an input in a run log."""
PROFILES: Check = fields.list_of(fields.list_of(fields.number(0, 1), 1, MAX_SLICES), 1, 3)
"""The kind of the profiles of a map: one for each sheet."""
