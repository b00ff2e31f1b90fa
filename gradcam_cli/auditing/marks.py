"""Marks: patches that repeat at one place of many images of a class, and of hardly any other image."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcam_cli.auditing.exclusive import exclusive_p_value
from gradcam_cli.auditing.patches import MIN_CONTRAST, Window, contrast, cut, repeats, window_at

EXEMPLARS = 16
"""Number of images of a class, those that show a concept most strongly, whose patches are searched for."""
MIN_REPEATS = 5
"""Smallest number of images of a class that a mark must have."""
WINDOW_PARTS, MIN_WINDOW = (16, 8, 5), 4
"""The sides of the windows are the shorter side of the image divided by these numbers, at least this many pixels."""
MAX_P_VALUE = 0.01
"""Largest corrected p-value of a mark: of 100 audits of natural images, at most one finds one by chance."""
MAX_DUPLICATES = 0.5
"""Largest share of the images with a mark whose whole picture may repeat the exemplar."""


@dataclass(frozen=True)
class Mark:
    """A patch that repeats at one place.

    Attributes:
        window: its place, in pixels of the thumbnails.
        exemplar: index of the image whose patch is repeated.
        members: indices of the images of the class that have it, the exemplar among them.
        others: indices of images of other classes that have it.
        p_value: of the hypothesis that it is natural content, times the number of patches that were tried.
    """

    window: Window
    exemplar: int
    members: np.ndarray
    others: np.ndarray
    p_value: float

    def shares_images_with(self, other: Mark) -> bool:
        """Return whether more than half of the images of the smaller one of two marks have both."""
        shared = len(np.intersect1d(self.members, other.members))
        return 2 * shared > min(len(self.members), len(other.members))


def find_mark(
    thumbnails: np.ndarray, in_class: np.ndarray, strongest: np.ndarray, centers: np.ndarray, trials: int
) -> Mark | None:
    """Return the patch under a concept that marks a class most clearly, or None if no patch repeats.

    Args:
        thumbnails: (n, H, W, 3) uint8, images of all classes.
        in_class: (n,) booleans, the images of the class.
        strongest: indices of the images of the class that show the concept most strongly.
        centers: (len(strongest), 2), the places (y, x) where they show it, in pixels.
        trials: number of patches that are tried for all concepts of all classes.
    """
    best: Mark | None = None
    for index, (y, x) in zip(strongest[:EXEMPLARS], centers, strict=False):
        for window in windows_around(float(y), float(x), thumbnails.shape[1:3]):
            mark = _mark_at(thumbnails, in_class, int(index), window, trials)
            if mark and (best is None or mark.p_value < best.p_value):
                best = mark
    return best


def windows_around(y: float, x: float, shape: tuple[int, int]) -> Iterator[Window]:
    """Yield the distinct windows of all sizes at and around a place (y, x), half a window apart."""
    found = (
        window_at(y + dy * size / 2, x + dx * size / 2, size, shape)
        for size in window_sizes(shape)
        for dy, dx in itertools.product((-1, 0, 1), repeat=2)
    )
    yield from dict.fromkeys(found)


def window_sizes(shape: tuple[int, int]) -> list[int]:
    """Return the sides of the windows in an image of (H, W) pixels."""
    sizes = [min(shape) // parts for parts in WINDOW_PARTS]
    return [size for size in sizes if size >= MIN_WINDOW] or [min(MIN_WINDOW - 1, *shape)]


def num_trials(shape: tuple[int, int], num_concepts: int) -> int:
    """Return the largest number of patches that are tried for a number of concepts and thumbnails (H, W)."""
    return num_concepts * EXEMPLARS * 9 * len(window_sizes(shape))


def _mark_at(thumbnails: np.ndarray, in_class: np.ndarray, exemplar: int, window: Window, trials: int) -> Mark | None:
    patch = cut(thumbnails[exemplar : exemplar + 1], window)[0]
    if contrast(patch) < MIN_CONTRAST:
        return None
    members, others = np.flatnonzero(in_class), np.flatnonzero(~in_class)
    members = members[repeats(cut(thumbnails, window, members), patch)]
    if len(members) < MIN_REPEATS or _are_duplicates(thumbnails[members], thumbnails[exemplar]):
        return None
    others = others[repeats(cut(thumbnails, window, others), patch)]
    size = int(in_class.sum())
    p_value = exclusive_p_value(len(members), size, len(others), len(in_class) - size)
    return Mark(window, exemplar, members, others, min(1.0, p_value * trials))


def _are_duplicates(images: np.ndarray, exemplar: np.ndarray) -> bool:
    """Return whether most images repeat the whole exemplar, which is then no mark on different pictures."""
    whole = repeats(images.reshape(len(images), -1).astype(np.float32), exemplar.reshape(-1).astype(np.float32))
    return float(whole.mean()) > MAX_DUPLICATES
