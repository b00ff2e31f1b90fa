"""Windows of the size of the model input that are slid over a larger input, and the blending of their maps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from gradcam_cli.images.box import Box, Interval, clip_to_image

OVERLAP = 0.5
"""Fraction of a window, along each axis, that the next one shows again, at least."""


def window_boxes(box: Box, shape: Sequence[int]) -> tuple[Box, ...]:
    """Return windows that cover a box, in the order of its axes; the distances between neighbors differ by at most 1.

    Args:
        box: at least as long as the windows along each axis.
        shape: of a window: the spatial shape of the model input.
    """
    starts = [_starts(interval, side) for interval, side in zip(box.intervals, shape, strict=True)]
    return tuple(
        Box.of((start, start + side) for start, side in zip(corner, shape, strict=True))
        for corner in itertools.product(*starts)
    )


def _starts(interval: Interval, side: int) -> list[int]:
    start, stop = interval
    rest = stop - start - side
    count = math.ceil(rest / (side * (1 - OVERLAP))) + 1
    return [start + round(place) for place in np.linspace(0, rest, count)]


class BlendedMap:
    """The weighted mean of the maps of windows at each place of an input.

        L(x) = sum_w g_w(x) L_w(x) / sum_w g_w(x)

    The weight g_w falls from the middle of a window to its border, as the product of a triangle along each axis. It is
    zero where no cell of the layer lies.

    Args:
        shape: spatial shape of the input.
        windows: all windows, from `window_boxes`.
        covered: the part of a window, counted from its start, that the cells cover.
    """

    def __init__(self, shape: Sequence[int], windows: Sequence[Box], covered: Box) -> None:
        self._sum = np.zeros(shape, np.float32)
        visible = clip_to_image(covered, windows[0].shape)
        self._weights = [_triangle(side, part) for side, part in zip(windows[0].shape, visible.intervals, strict=True)]
        self._totals = [
            _total(length, sorted({window.intervals[axis][0] for window in windows}), self._weights[axis])
            for axis, length in enumerate(shape)
        ]

    def add(self, window: Box, L: np.ndarray) -> None:
        """Add the map of a window, of its shape."""
        weighted = L.astype(np.float32)
        for axis, weights in enumerate(self._weights):
            weighted *= _along(weights, axis, L.ndim)
        visible = clip_to_image(window, self._sum.shape)
        pairs = zip(visible.intervals, window.intervals, strict=True)
        self._sum[visible.slices] += weighted[tuple(slice(a - first, b - first) for (a, b), (first, _) in pairs)]

    def mean(self) -> np.ndarray:
        """Return the blended map, float32, when all windows were added; nothing can be added afterwards."""
        for axis, total in enumerate(self._totals):
            self._sum *= _along(np.divide(1, total, out=np.zeros_like(total), where=total > 0), axis, self._sum.ndim)
        return self._sum


def _triangle(side: int, part: Interval) -> np.ndarray:
    """Return weights (side,) that rise to 1 in the middle of a part, and are zero outside it."""
    start, stop = part
    weights = np.zeros(side, np.float32)
    places = np.arange(stop - start) + 0.5
    weights[start:stop] = np.minimum(places, places[::-1]) / (len(places) / 2)
    return weights


def _total(length: int, starts: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """Return the sum of the weights of all windows at each place of an axis."""
    total = np.zeros(length, np.float32)
    for start in starts:
        first, last = max(start, 0), min(start + len(weights), length)
        total[first:last] += weights[first - start : last - start]
    return total


def _along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    return values.reshape([-1 if i == axis else 1 for i in range(ndim)])
