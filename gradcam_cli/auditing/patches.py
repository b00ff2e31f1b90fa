"""Patches at a place of many images: which of them repeat one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

MIN_CONTRAST = 12.0
"""Standard deviation of a patch, in gray levels of 0..255, below which it has no structure that could repeat."""
MAX_RESIDUAL = 0.25
"""A patch repeats an exemplar if their squared difference is at most this share of the exemplar's variance."""
WINDOW_PARTS, MIN_WINDOW = (16, 8, 5), 4
"""The sides of the windows are the shorter side of the image divided by these numbers, at least this many pixels."""
CHANNELS = 3
_GRAY = 128


class Window(NamedTuple):
    """A square of an image, in pixels.

    Attributes:
        y, x: its upper left corner.
        size: its side.
    """

    y: int
    x: int
    size: int


def windows(shape: tuple[int, int]) -> Iterator[Window]:
    """Yield windows of all sizes that cover an image of (H, W) pixels, half a window apart."""
    for size in window_sizes(shape):
        rows, columns = (_starts(side, size) for side in shape)
        yield from (Window(y, x, size) for y in rows for x in columns)


def window_sizes(shape: tuple[int, int]) -> list[int]:
    """Return the sides of the windows in an image of (H, W) pixels."""
    sizes = [min(shape) // parts for parts in WINDOW_PARTS]
    return [size for size in sizes if size >= MIN_WINDOW] or [min(MIN_WINDOW - 1, *shape)]


def _starts(side: int, size: int) -> list[int]:
    """Return where the windows begin along a side; the last one ends with it."""
    return sorted({*range(0, side - size + 1, max(size // 2, 1)), side - size})


def cut(images: np.ndarray, window: Window, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Return the patches of images (n, H, W, 3), or of those with the indices, in a window: (n, 3 size^2) float32."""
    y, x, size = window
    return as_vectors(images[indices, y : y + size, x : x + size])


def as_vectors(images: np.ndarray) -> np.ndarray:
    """Return images (n, h, w, 3) as (n, 3 h w) float32, with 0 as middle gray."""
    vectors: np.ndarray = images.reshape(len(images), -1).astype(np.float32) - _GRAY
    return vectors


def contrast(patches: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each patch (n, d) over its pixels, averaged over the channels in quadrature."""
    pixels = patches.reshape(len(patches), patches.shape[1] // CHANNELS, CHANNELS)
    deviations: np.ndarray = np.sqrt(pixels.var(1).mean(-1))
    return deviations


def repeats(patches: np.ndarray, exemplars: np.ndarray) -> np.ndarray:
    """Return which patches (n, d) repeat which exemplars (m, d), as (m, n) booleans.

    A patch p repeats the exemplar t if |p - t|^2 <= `MAX_RESIDUAL` |t - mean(t)|^2, with the mean of each channel: the
    exemplar then explains at least three quarters of its own variance in p. Exemplars without structure, such as sky or
    a white background, are to be left out by their `contrast`.
    """
    distances = (patches**2).sum(-1) + (exemplars**2).sum(-1)[:, None] - 2 * exemplars @ patches.T
    energies = contrast(exemplars) ** 2 * exemplars.shape[-1]
    matching: np.ndarray = distances <= MAX_RESIDUAL * energies[:, None]
    return matching
