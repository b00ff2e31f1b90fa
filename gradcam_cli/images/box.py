"""Boxes: parts of an image, or of an input with any other number of spatial axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Interval = tuple[int, int]
"""(start, stop) along an axis, the stop excluded."""


class Box(tuple[int, ...]):
    """A part of an input: its first corner and its last one, each as x, y, z; the ends are excluded.

    Of an image, it is (x0, y0, x1, y1): columns x0 to x1 and rows y0 to y1. Of a signal, it is (x0, x1); of a volume,
    (x0, y0, z0, x1, y1, z1) with the slices z0 to z1; of a film, the same with its frames z0 to z1. Arrays have their
    axes in the opposite order, and `intervals`, `shape` and `slices` are in that of arrays.
    """

    def __new__(cls, *ends: int) -> Box:
        """Return the box with these numbers."""
        return super().__new__(cls, ends)

    def __getnewargs__(self) -> Any:
        return tuple(self)

    def __repr__(self) -> str:
        return f"Box{tuple(self)}"

    @classmethod
    def of(cls, intervals: Iterable[Sequence[int]]) -> Box:
        """Return the box with these intervals, in the order of an array's axes."""
        starts, stops = zip(*reversed(list(intervals)), strict=True)
        return cls(*starts, *stops)

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Box:
        """Return the box around an array of this shape: around an image for (H, W)."""
        return cls.of((0, side) for side in shape)

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """(start, stop) along each axis of an array: ((y0, y1), (x0, x1)) for an image."""
        rank = len(self) // 2
        return tuple(zip(self[:rank][::-1], self[rank:][::-1], strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the intervals: (height, width) for an image."""
        return tuple(stop - start for start, stop in self.intervals)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The slices of an array; the box must not start before it."""
        return tuple(slice(start, stop) for start, stop in self.intervals)

    @property
    def x0(self) -> int:
        """The first column."""
        return self[0]

    @property
    def y0(self) -> int:
        """The first row."""
        return self[1]

    @property
    def x1(self) -> int:
        """The column after the last."""
        return self[len(self) // 2]

    @property
    def y1(self) -> int:
        """The row after the last."""
        return self[len(self) // 2 + 1]


def clip_to_image(box: Box, shape: Sequence[int]) -> Box:
    """Return the part of a box inside an image of (H, W) pixels, or an array of any other spatial shape."""
    pairs = zip(box.intervals, shape, strict=True)
    return Box.of((max(start, 0), min(stop, side)) for (start, stop), side in pairs)


def part_of_box(box: Box, edges: Sequence[tuple[float, float]], shape: Sequence[int]) -> Box:
    """Return the part of a box that a part of the model input shows, in integer pixels; at least one along each axis.

    Args:
        box: the part of the image that the model input shows.
        edges: (start, stop) along each spatial axis of the model input; they may extend beyond it.
        shape: (h, w) of the model input, or its other spatial shape.
    """
    intervals = []
    for (first, _), length, ends, side in zip(box.intervals, box.shape, edges, shape, strict=True):
        start, stop = (first + round(end * length / side) for end in ends)
        intervals.append((start, max(stop, start + 1)))
    return Box.of(intervals)
