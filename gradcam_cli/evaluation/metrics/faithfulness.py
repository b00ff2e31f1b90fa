"""Does the network use what a map shows? Measures that change the picture along the map and ask the network again.

In all of them x is (h, w, c) float32, what the network sees, 0..255 before its preprocessing; L is (h, w), the
map of it, in 0..1; p is a function of pictures (n, h, w, c) that returns p_c, (n,), the class's probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gradcam_cli.evaluation.metrics.imputation import impute

Probability = Callable[[np.ndarray], np.ndarray]

CURVE_STEPS = 20
BLUR_SIGMA = 1 / 20
"""Standard deviation of the blur, as a share of the shorter side: little of any class is left."""

ROAD_SHARES = (0.2, 0.4, 0.6, 0.8)
"""Shares of the pixels that ROAD removes."""


class Curve(NamedTuple):
    """A probability while the picture changes.

    Attributes:
        probabilities: (steps + 1,), after each step; evenly spaced from 0 to 1.
        auc: under the curve, 0 to 1.
    """

    probabilities: np.ndarray
    auc: float


def average_drop(y: float, o: float) -> float:
    """Return max(0, y - o) / y: what is lost when only the map's part is left, 0 to 1; less is better.

    Args:
        y: probability of the whole picture.
        o: probability of the picture times the map.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    return max(0.0, y - o) / y if y > 0 else 0.0


def increase_in_confidence(y: float, o: float) -> float:
    """Return 1 if the class is more probable when only the map's part is left, else 0; more is better.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    return float(o > y)


def mask_by_map(x: np.ndarray, L: np.ndarray) -> np.ndarray:
    """Return the picture times its map, E = L * x: what the map leaves out is black.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    E: np.ndarray = x * L[:, :, None]
    return E


def pixels_by_relevance(L: np.ndarray) -> np.ndarray:
    """Return the places (in reading order) of all pixels, from the largest value of the map to the least.

    Equal values stay in reading order.
    """
    return np.argsort(-L.ravel(), kind="stable")


def blur_baseline(x: np.ndarray) -> np.ndarray:
    """Return the picture under a Gaussian of a twentieth of its shorter side."""
    from scipy import ndimage

    sigma = BLUR_SIGMA * min(x.shape[:2])
    soft: np.ndarray = ndimage.gaussian_filter(x, (sigma, sigma, 0))
    return soft


def mean_color_baseline(x: np.ndarray) -> np.ndarray:
    """Return a picture of the picture's mean colour."""
    return np.full_like(x, x.mean(axis=(0, 1), dtype=np.float64))


DELETION_BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "blur": blur_baseline,
    "mean": mean_color_baseline,
    "black": np.zeros_like,
}
"""What takes the place of deleted pixels."""


def deletion(p: Probability, x: np.ndarray, L: np.ndarray, baseline: np.ndarray, steps: int = CURVE_STEPS) -> Curve:
    """Replace the picture by the baseline, the map's largest values first; a small area is good.

    Source:
        Petsiuk et al. 2018, RISE, section 4.1. (There the baseline is gray; `baseline` says it here.)
    """
    return _probability_curve(p, x, baseline, pixels_by_relevance(L), steps)


def insertion(p: Probability, x: np.ndarray, L: np.ndarray, baseline: np.ndarray, steps: int = CURVE_STEPS) -> Curve:
    """Put the picture into the baseline, the map's largest values first; a large area is good.

    Source:
        Petsiuk et al. 2018, RISE, section 4.1.
    """
    return _probability_curve(p, baseline, x, pixels_by_relevance(L), steps)


def _probability_curve(
    p: Probability, start: np.ndarray, end: np.ndarray, pixel_order: np.ndarray, steps: int
) -> Curve:
    """Exchange one picture for another in equal steps: after step k the first k/steps of the places are new."""
    colours = start.shape[2]
    pictures = np.repeat(start[None], steps + 1, axis=0)
    flat, new = pictures.reshape(steps + 1, -1, colours), end.reshape(-1, colours)
    for k in range(1, steps + 1):
        some = pixel_order[: round(k * len(pixel_order) / steps)]
        flat[k, some] = new[some]
    answers = p(pictures).astype(np.float64)
    return Curve(answers, float(np.trapezoid(answers, dx=1 / steps)))


def road(
    p: Probability, x: np.ndarray, L: np.ndarray, rng: np.random.Generator, shares: Sequence[float] = ROAD_SHARES
) -> float:
    """ROAD: how much more removing the least relevant pixels leaves than removing the most relevant.

        ROAD = mean over the shares of (p_LeRF - p_MoRF) / 2,  -1/2 to 1/2; more is better

    Removed pixels are imputed from their neighbours, so that the network does not see where they were.

    Source:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods,
        sections 4 and 5; the two orders are joined as pytorch-grad-cam does.
    """
    places = pixels_by_relevance(L)
    pictures = [
        impute(x, _pixel_mask(ends[: round(share * len(places))], L.shape), rng)
        for ends in (places[::-1], places)
        for share in shares
    ]
    least, most = np.split(p(np.stack(pictures)).astype(np.float64), 2)
    return float((least - most).mean() / 2)


def _pixel_mask(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask.ravel()[pixels] = True
    return mask
