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

STEPS = 20
BLUR = 1 / 20
"""Standard deviation of the blur, as a share of the shorter side: little of any class is left."""

SHARES = (0.2, 0.4, 0.6, 0.8)
"""Shares of the pixels that ROAD removes."""


class Curve(NamedTuple):
    """A probability while the picture changes.

    Attributes:
        p: (steps + 1,), after each step; evenly spaced from 0 to 1.
        area: under the curve, 0 to 1.
    """

    p: np.ndarray
    area: float


def average_drop(y: float, o: float) -> float:
    """Return max(0, y - o) / y: what is lost when only the map's part is left, 0 to 1; less is better.

    Args:
        y: probability of the whole picture.
        o: probability of the picture times the map.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    return max(0.0, y - o) / y if y > 0 else 0.0


def increase(y: float, o: float) -> float:
    """Return 1 if the class is more probable when only the map's part is left, else 0; more is better.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    return float(o > y)


def masked(x: np.ndarray, L: np.ndarray) -> np.ndarray:
    """Return the picture times its map, E = L * x: what the map leaves out is black.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    E: np.ndarray = x * L[:, :, None]
    return E


def order(L: np.ndarray) -> np.ndarray:
    """Return the places (in reading order) of all pixels, from the largest value of the map to the least.

    Equal values stay in reading order.
    """
    return np.argsort(-L.ravel(), kind="stable")


def blurred(x: np.ndarray) -> np.ndarray:
    """Return the picture under a Gaussian of a twentieth of its shorter side."""
    from scipy import ndimage

    sigma = BLUR * min(x.shape[:2])
    soft: np.ndarray = ndimage.gaussian_filter(x, (sigma, sigma, 0))
    return soft


def mean_colour(x: np.ndarray) -> np.ndarray:
    """Return a picture of the picture's mean colour."""
    return np.full_like(x, x.mean(axis=(0, 1), dtype=np.float64))


BASES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "blur": blurred,
    "mean": mean_colour,
    "black": np.zeros_like,
}
"""What takes the place of deleted pixels."""


def deletion(p: Probability, x: np.ndarray, L: np.ndarray, base: np.ndarray, steps: int = STEPS) -> Curve:
    """Replace the picture by the baseline, the map's largest values first; a small area is good.

    Source:
        Petsiuk et al. 2018, RISE, section 4.1. (There the baseline is gray; `base` says it here.)
    """
    return _exchange(p, x, base, order(L), steps)


def insertion(p: Probability, x: np.ndarray, L: np.ndarray, base: np.ndarray, steps: int = STEPS) -> Curve:
    """Put the picture into the baseline, the map's largest values first; a large area is good.

    Source:
        Petsiuk et al. 2018, RISE, section 4.1.
    """
    return _exchange(p, base, x, order(L), steps)


def _exchange(p: Probability, start: np.ndarray, end: np.ndarray, places: np.ndarray, steps: int) -> Curve:
    """Exchange one picture for another in equal steps: after step k the first k/steps of the places are new."""
    colours = start.shape[2]
    pictures = np.repeat(start[None], steps + 1, axis=0)
    flat, new = pictures.reshape(steps + 1, -1, colours), end.reshape(-1, colours)
    for k in range(1, steps + 1):
        some = places[: round(k * len(places) / steps)]
        flat[k, some] = new[some]
    answers = p(pictures).astype(np.float64)
    return Curve(answers, float(np.trapezoid(answers, dx=1 / steps)))


def road(
    p: Probability, x: np.ndarray, L: np.ndarray, rng: np.random.Generator, shares: Sequence[float] = SHARES
) -> float:
    """ROAD: how much more removing the least relevant pixels leaves than removing the most relevant.

        ROAD = mean over the shares of (p_LeRF - p_MoRF) / 2,  -1/2 to 1/2; more is better

    Removed pixels are imputed from their neighbours, so that the network does not see where they were.

    Source:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods,
        sections 4 and 5; the two orders are joined as pytorch-grad-cam does.
    """
    places = order(L)
    pictures = [
        impute(x, _mask(ends[: round(share * len(places))], L.shape), rng)
        for ends in (places[::-1], places)
        for share in shares
    ]
    least, most = np.split(p(np.stack(pictures)).astype(np.float64), 2)
    return float((least - most).mean() / 2)


def _mask(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask.ravel()[places] = True
    return mask
