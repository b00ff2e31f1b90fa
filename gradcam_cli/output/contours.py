"""Contour lines of a map, drawn into a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradcam_cli.images.memory import bands

LINES_PER_SIDE = 250
"""A line takes this part of the longer side of the picture, at least `MIN_WIDTH` pixels."""
MIN_WIDTH, MIN_EDGE = 2.0, 1.5
"""Widths of the thinnest line, and of the edge on each side of it, in pixels."""
CORE, EDGE = 255.0, 0.0
"""Gray of a line and of the edge around it: one of them is visible on any picture and any color."""


def draw_contours(pixels: np.ndarray, heatmap: np.ndarray, levels: Sequence[float]) -> None:
    """Draw lines at levels of a map into (H, W, 3) uint8 pixels, in place: white with a black edge, anti-aliased.

    The distance of a pixel from a line is |map - level| / |gradient of the map|, which is exact for a ramp; a pixel is
    covered by the part of the line's width that lies within half a pixel of its center. The gradient is that of the
    steeper side, so that a line also follows the edge of a step.

    Args:
        pixels: (H, W, 3) uint8.
        heatmap: (H, W) in 0..1.
        levels: values of the map, each between 0 and 1.
    """
    width = max(MIN_WIDTH, max(heatmap.shape) / LINES_PER_SIDE)
    for rows, values, slopes in _bands_with_slopes(heatmap) if levels else ():
        band = pixels[rows].astype(np.float32)
        distances = [np.abs(values - np.float32(level)) / slopes for level in levels]
        distance = np.minimum.reduce(distances)[:, :, np.newaxis]
        for half_width, gray in ((width / 2 + max(width / 2, MIN_EDGE), EDGE), (width / 2, CORE)):
            coverage = np.clip(half_width + 0.5 - distance, 0, 1)
            band += coverage * (gray - band)
        pixels[rows] = np.round(band)


def _bands_with_slopes(heatmap: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield bands of rows with their values and the norms of their gradients per pixel, which are positive."""
    H = len(heatmap)
    for rows in bands(heatmap.shape):
        top, bottom = max(rows.start - 1, 0), min(rows.stop + 1, H)  # neighbors of the first and last row
        values = heatmap[top:bottom].astype(np.float32)
        inner = slice(rows.start - top, rows.stop - top)
        slopes = np.hypot(_steeper_side(values, 0), _steeper_side(values, 1)) + np.float32(1e-9)
        yield rows, values[inner], slopes[inner]


def _steeper_side(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the larger of the differences from the two neighbors along an axis, without sign."""
    differences, before, after = np.abs(np.diff(values, axis=axis)), [(0, 0), (0, 0)], [(0, 0), (0, 0)]
    before[axis], after[axis] = (1, 0), (0, 1)
    steeper: np.ndarray = np.maximum(np.pad(differences, before), np.pad(differences, after))
    return steeper
