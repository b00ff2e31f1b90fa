"""Localization metrics: a map compared with the annotated mask or box of an object.

(H, W) stands for any number of spatial axes, of which the map and the mask have the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

IOU_THRESHOLD = 0.5
"""Smallest intersection over union at which a box counts as localized."""

Box = Sequence[float]
"""x0, y0, x1, y1 in pixels, the ends not included: the first corner, then the last one, of two numbers or any other."""


def pointing_game(heatmap: np.ndarray, mask: np.ndarray, tolerance: int = 0) -> float:
    """Return 1 if the map's peak is in the mask, or within `tolerance` pixels of it, else 0.

    Of equal values the first in reading order is the peak. A map of zeros has no peak and scores 0.

    Args:
        heatmap: (H, W), not negative.
        mask: (H, W) bool, True inside the object.
        tolerance: radius in pixels; the paper uses 15.

    Source:
        Zhang et al. 2016, Top-down Neural Attention by Excitation Backprop, section 4.2.
    """
    if not heatmap.any():
        return 0.0
    peak = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    distances = [(inside - place) ** 2 for inside, place in zip(np.nonzero(mask), peak, strict=True)]
    return float((np.sum(distances, axis=0) <= tolerance**2).any())


def energy_pointing_game(heatmap: np.ndarray, mask: np.ndarray) -> float:
    """Return the fraction of the map's sum that is inside the mask, 0 to 1; 0 for a map of zeros.

        energy = sum of L inside / sum of L

    Args:
        heatmap: (H, W), not negative.
        mask: (H, W) bool, True inside the object.

    Source:
        Wang et al. 2020, Score-CAM, section 4.3 (the energy-based pointing game).
    """
    total = heatmap.sum(dtype=np.float64)
    return float(heatmap[mask].sum(dtype=np.float64) / total) if total > 0 else 0.0


def relevance_rank_accuracy(heatmap: np.ndarray, mask: np.ndarray) -> float | None:
    """Return the fraction of the K largest values that are inside the mask of K pixels, 0 to 1.

    Of equal values the first in reading order count.

    Args:
        heatmap: (H, W), not negative.
        mask: (H, W) bool, True inside the object.

    Returns:
        The fraction; None for a constant map, which has no largest values, or an empty mask.

    Source:
        Arras et al. 2022, CLEVR-XAI (relevance rank accuracy).
    """
    K = int(mask.sum())
    if not K or np.ptp(heatmap) == 0:
        return None
    largest = np.argsort(-heatmap.ravel(), kind="stable")[:K]
    return float(mask.ravel()[largest].mean())


def relevance_mass_accuracy(heatmap: np.ndarray, mask: np.ndarray) -> float | None:
    """Return the fraction of the map's sum that is inside the mask, 0 to 1.

        sum of L inside / sum of L

    It differs from `energy_pointing_game` for maps of zeros alone, which have no value here.

    Args:
        heatmap: (H, W), not negative.
        mask: (H, W) bool, True inside the object.

    Returns:
        The fraction; None for a map of zeros or an empty mask.

    Source:
        Arras et al. 2022, CLEVR-XAI (relevance mass accuracy).
    """
    return energy_pointing_game(heatmap, mask) if heatmap.any() and mask.any() else None


def box_iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes with the same number of axes, 0 to 1."""
    starts, stops = map(max, *map(_first, (a, b))), map(min, *map(_last, (a, b)))
    intersection = math.prod(max(stop - start, 0) for start, stop in zip(starts, stops, strict=True))
    union = _volume(a) + _volume(b) - intersection
    return intersection / union if union > 0 else 0.0


def _volume(box: Box) -> float:
    """Return the area of a box; of one axis its length, of three its volume."""
    return math.prod(stop - start for start, stop in zip(_first(box), _last(box), strict=True))


def _first(box: Box) -> Box:
    return box[: len(box) // 2]


def _last(box: Box) -> Box:
    return box[len(box) // 2 :]


def max_iou(predicted: Box | None, annotated: Iterable[Box]) -> float:
    """Return the largest intersection over union with an annotated box; 0 without a predicted box."""
    return max((box_iou(predicted, box) for box in annotated), default=0.0) if predicted else 0.0


def localization_error(iou: float, class_index: int, predicted: Iterable[int]) -> float:
    """Return 0 if the class is among the predictions and its box is localized, else 1.

    Args:
        iou: intersection over union of the map's box and the annotated box.
        class_index: the annotated class.
        predicted: the network's first k classes.

    Source:
        Selvaraju et al. 2017, Grad-CAM, section 4.1; the localization task of ILSVRC.
    """
    return float(not (class_index in predicted and iou >= IOU_THRESHOLD))
