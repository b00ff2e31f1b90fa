"""The extent of a mark: the pixels around a window in which the images with the mark agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import label

from gradcam_cli.images.box import Box

MAX_SPREAD = 0.4
"""A pixel belongs to a mark if its standard deviation over the images with the mark is at most this share of that over
other images."""


class Extent(NamedTuple):
    """The pixels of a mark.

    Attributes:
        mask: (h, w) booleans.
        pixels: (h, w, c) uint8, the mean of the images with the mark.
    """

    mask: np.ndarray
    pixels: np.ndarray

    @property
    def box(self) -> Box:
        """The smallest box around the mark."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

    def paste(self, images: np.ndarray) -> np.ndarray:
        """Return images (n, h, w, c) with the mark over them."""
        return np.where(self.mask[..., None], self.pixels, images)


def find_extent(marked: Sequence[np.ndarray], others: Sequence[np.ndarray], window: Box) -> Extent:
    """Return the pixels of a mark: those connected with a window in which the images with the mark agree.

    Args:
        marked: the images (h, w, c) with the mark.
        others: images of this shape without it.
        window: where the mark was found; without agreement it is the extent.
    """
    mean, spread = _mean_and_spread(marked)
    agree = spread <= MAX_SPREAD * _mean_and_spread(others)[1]
    inside = np.zeros(agree.shape, bool)
    inside[window.y0 : window.y1, window.x0 : window.x1] = True
    parts, _ = label(agree, np.ones((3, 3)))
    mask = np.isin(parts, np.unique(parts[inside & agree])) & agree
    return Extent(mask if mask.any() else inside, np.round(mean).astype(np.uint8))


def _mean_and_spread(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (h, w, c) of images, and their standard deviation (h, w), in quadrature over the channels."""
    total, squares = np.zeros(images[0].shape), np.zeros(images[0].shape)
    for image in images:
        values = image.astype(np.float64)
        total += values
        squares += values**2
    mean = total / len(images)
    variance = np.maximum(squares / len(images) - mean**2, 0)
    return mean, np.sqrt(variance.mean(-1))
