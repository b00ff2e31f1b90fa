"""Patches at a place of many images: which of them repeat one of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MIN_CONTRAST = 12.0
"""Standard deviation of a patch, in gray levels of 0..255, below which it has no structure that could repeat."""
MAX_RESIDUAL = 0.25
"""A patch repeats an exemplar if their squared difference is at most this share of the exemplar's variance."""


class Window(NamedTuple):
    """A square of an image, in pixels.

    Attributes:
        y, x: its upper left corner.
        size: its side.
    """

    y: int
    x: int
    size: int


def window_at(y: float, x: float, size: int, shape: tuple[int, int]) -> Window:
    """Return the window with its center nearest to (y, x) that lies inside an image of a shape (H, W)."""
    top = min(max(round(y - size / 2), 0), shape[0] - size)
    left = min(max(round(x - size / 2), 0), shape[1] - size)
    return Window(top, left, size)


def cut(images: np.ndarray, window: Window, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Return the patches of images (n, H, W, 3), or of those with the indices, in a window: (n, 3 size^2) float32."""
    y, x, size = window
    patches: np.ndarray = images[indices, y : y + size, x : x + size]
    return patches.reshape(len(patches), size * size * images.shape[-1]).astype(np.float32)


def contrast(patch: np.ndarray, channels: int = 3) -> float:
    """Return the standard deviation of a patch over its pixels, averaged over the channels in quadrature."""
    return float(np.sqrt(patch.reshape(-1, channels).var(0).mean()))


def repeats(patches: np.ndarray, exemplar: np.ndarray, channels: int = 3) -> np.ndarray:
    """Return which patches (n, d) repeat an exemplar (d,), as n booleans.

    A patch p repeats the exemplar t if |p - t|^2 <= `MAX_RESIDUAL` |t - mean(t)|^2, with the mean of each channel: the
    exemplar then explains at least three quarters of its own variance in p. A flat exemplar, such as sky or a white
    background, is repeated by no patch but an equal one, and `contrast` excludes it.
    """
    pixels = exemplar.reshape(-1, channels)
    energy = float(((pixels - pixels.mean(0)) ** 2).sum())
    matching: np.ndarray = ((patches - exemplar) ** 2).sum(-1) <= MAX_RESIDUAL * energy
    return matching
