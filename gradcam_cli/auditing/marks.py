"""Marks: patches that repeat at one place of many images of a class, and of hardly any other image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcam_cli.auditing.exclusive import exclusive_p_value
from gradcam_cli.auditing.patches import MIN_CONTRAST, Window, as_vectors, contrast, cut, repeats, windows

MAX_EXEMPLARS = 256
"""Number of images of a class, drawn at random, whose patches are searched for in all others: it bounds the time."""
MIN_REPEATS = 5
"""Smallest number of images of a class that a mark must have."""
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


def find_marks(thumbnails: np.ndarray, in_class: np.ndarray, trials: int, seed: int = 0) -> list[Mark]:
    """Return the marks of a class, the one with the smallest p-value first; marks of the same images count once.

    The patches of up to `MAX_EXEMPLARS` images of the class are compared, at each place, with those of all images.

    Args:
        thumbnails: (n, H, W, 3) uint8, images of all classes.
        in_class: (n,) booleans, the images of the class.
        trials: number of patches that are tried in all classes, the sum of `num_trials`.
        seed: of the images that are drawn.
    """
    class_size, others_size = int(in_class.sum()), int((~in_class).sum())
    counts = range(MIN_REPEATS, class_size + 1)
    fewest = next((k for k in counts if _p_value(k, class_size, 0, others_size, trials) <= MAX_P_VALUE), None)
    if fewest is None:
        return []
    drawn = np.random.default_rng(seed).permutation(class_size)[:MAX_EXEMPLARS]
    found = [
        mark
        for window in windows(thumbnails.shape[1:3])
        for mark in _marks_at(thumbnails, in_class, np.sort(drawn), window, trials, fewest)
        if mark.p_value <= MAX_P_VALUE
    ]
    kept: list[Mark] = []
    for mark in sorted(found, key=lambda mark: (mark.p_value, -mark.window.size, mark.window)):
        if not any(mark.shares_images_with(other) for other in kept):
            kept.append(mark)
    return kept


def num_trials(shape: tuple[int, int], class_size: int) -> int:
    """Return the number of patches of a class that are tried, for thumbnails (H, W)."""
    return min(class_size, MAX_EXEMPLARS) * sum(1 for _ in windows(shape))


def _marks_at(
    thumbnails: np.ndarray, in_class: np.ndarray, drawn: np.ndarray, window: Window, trials: int, fewest: int
) -> Iterator[Mark]:
    """Yield the patches at a place that at least `fewest` images of the class have; the drawn ones are exemplars."""
    indices = np.flatnonzero(in_class)
    patches = cut(thumbnails, window, indices)
    drawn = drawn[contrast(patches[drawn]) >= MIN_CONTRAST]
    matching = repeats(patches, patches[drawn])
    counts = matching.sum(1)
    while len(counts) and counts.max() >= fewest:
        best = int(counts.argmax())
        members = matching[best]
        counts[members[drawn]] = 0  # patches that repeat this one are the same mark
        counts[best] = 0
        exemplar = int(indices[drawn[best]])
        if not _are_duplicates(thumbnails[indices[members]], thumbnails[exemplar]):
            yield _mark(thumbnails, in_class, window, exemplar, indices[members], trials)


def _mark(
    thumbnails: np.ndarray, in_class: np.ndarray, window: Window, exemplar: int, members: np.ndarray, trials: int
) -> Mark:
    others, patch = np.flatnonzero(~in_class), cut(thumbnails, window, np.array([exemplar]))
    others = others[repeats(cut(thumbnails, window, others), patch)[0]]
    class_size = int(in_class.sum())
    p_value = _p_value(len(members), class_size, len(others), len(in_class) - class_size, trials)
    return Mark(window, exemplar, members, others, p_value)


def _p_value(in_class: int, class_size: int, in_others: int, others_size: int, trials: int) -> float:
    return min(1.0, exclusive_p_value(in_class, class_size, in_others, others_size) * trials)


def _are_duplicates(images: np.ndarray, exemplar: np.ndarray) -> bool:
    """Return whether most images repeat the whole exemplar, which is then no mark on different pictures."""
    whole = repeats(as_vectors(images), as_vectors(exemplar[None]))
    return float(whole.mean()) > MAX_DUPLICATES
