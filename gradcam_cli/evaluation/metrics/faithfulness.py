"""Faithfulness metrics: change the model input along the map and measure the class probability.

In all of them x is (h, w, c) float32, the model input before its preprocessing: colors in 0..255, or values of any
range; L is (h, w), its map in 0..1; p is a function of inputs (n, h, w, c) that returns p_c, (n,), the probabilities of
the class. (h, w) stands for any number of spatial axes: (t,) of a signal, (d, h, w) of a volume, (t, h, w) of a film.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gradcam_cli.evaluation.metrics.imputation import impute

Probability = Callable[[np.ndarray], np.ndarray]

CURVE_STEPS = 20
BLUR_SIGMA = 1 / 20
"""Standard deviation of the blur, as a fraction of the side; in the plane of an image, of its shorter side."""

ROAD_SHARES = (0.2, 0.4, 0.6, 0.8)
"""Shares of the pixels that ROAD removes."""


class Curve(NamedTuple):
    """The class probability while pixels are replaced.

    Attributes:
        probabilities: (steps + 1,), after each step, at evenly spaced shares of the pixels from 0 to 1.
        auc: area under the curve, 0 to 1.
    """

    probabilities: np.ndarray
    auc: float


def average_drop(y: float, o: float) -> float:
    """Return max(0, y - o) / y, the relative drop of the probability under the mask, 0 to 1; lower is better.

    Args:
        y: probability for the full input.
        o: probability for the input multiplied by the map.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    return max(0.0, y - o) / y if y > 0 else 0.0


def increase_in_confidence(y: float, o: float) -> float:
    """Return 1 if the input multiplied by the map has a larger probability, else 0; higher is better.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    return float(o > y)


def coherency(L: np.ndarray, L_masked: np.ndarray) -> float | None:
    """Return how well the map of the masked input equals the map, 0 to 1; higher is better.

        (1 + corr(L(x), L(x * L(x)))) / 2, with Pearson's correlation

    Args:
        L: map of the input.
        L_masked: map of the input multiplied by L.

    Returns:
        The coherency; None if one of the maps is constant.

    Source:
        Poppi et al. 2021, Revisiting the Evaluation of Class Activation Mapping (coherency).
    """
    if np.ptp(L) == 0 or np.ptp(L_masked) == 0:
        return None
    return float((1 + np.corrcoef(L.ravel().astype(np.float64), L_masked.ravel().astype(np.float64))[0, 1]) / 2)


def adcc(L: np.ndarray, coherent: float | None, drop: float) -> float | None:
    """Return average drop, coherency and complexity in one number, 0 to 1; higher is better.

        ADCC = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop)),  complexity = mean of L

    Args:
        L: (h, w) in 0..1.
        coherent: the `coherency` of the map.
        drop: the `average_drop` of the map.

    Returns:
        The harmonic mean; 0 if one of the three is 0; None without a coherency.

    Source:
        Poppi et al. 2021, Revisiting the Evaluation of Class Activation Mapping (ADCC).
    """
    if coherent is None:
        return None
    parts = (coherent, 1 - float(L.mean(dtype=np.float64)), 1 - drop)
    return 3 / sum(1 / part for part in parts) if min(parts) > 0 else 0.0


def mask_by_map(x: np.ndarray, L: np.ndarray) -> np.ndarray:
    """Return the input multiplied by its map, E = L * x: black where the map is 0, or values of 0.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++, section 4.1.
    """
    E: np.ndarray = x * L[..., None]
    return E


def pixels_by_relevance(L: np.ndarray) -> np.ndarray:
    """Return the flat indices of all pixels by descending map value; equal values in reading order."""
    return np.argsort(-L.ravel(), kind="stable")


def blur_baseline(x: np.ndarray) -> np.ndarray:
    """Return the input blurred by a Gaussian along all spatial axes.

    Its standard deviation is a twentieth of the shorter side in the plane of an image, a slice or a frame, and a
    twentieth of the length along a time and across slices.
    """
    from scipy import ndimage

    *lengths, _ = x.shape
    plane = lengths[-2:]
    sides = [*lengths[:-2], *[min(plane)] * len(plane)]
    blurred: np.ndarray = ndimage.gaussian_filter(x, (*(BLUR_SIGMA * side for side in sides), 0))
    return blurred


def mean_color_baseline(x: np.ndarray) -> np.ndarray:
    """Return an input of one color: the mean color of x, or the mean of each channel."""
    return np.full_like(x, x.mean(axis=tuple(range(x.ndim - 1)), dtype=np.float64))


DELETION_BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "blur": blur_baseline,
    "mean": mean_color_baseline,
    "black": np.zeros_like,
}
"""Functions of the input that return the replacement of its deleted pixels."""


def deletion(p: Probability, x: np.ndarray, L: np.ndarray, baseline: np.ndarray, steps: int = CURVE_STEPS) -> Curve:
    """Replace the input by the baseline, most relevant pixels first; a small area is better.

    Source:
        Petsiuk et al. 2018, RISE, section 4.1 (with a gray baseline).
    """
    return _probability_curve(p, x, baseline, pixels_by_relevance(L), steps)


def insertion(p: Probability, x: np.ndarray, L: np.ndarray, baseline: np.ndarray, steps: int = CURVE_STEPS) -> Curve:
    """Replace the baseline by the input, most relevant pixels first; a large area is better.

    Source:
        Petsiuk et al. 2018, RISE, section 4.1.
    """
    return _probability_curve(p, baseline, x, pixels_by_relevance(L), steps)


def _probability_curve(
    p: Probability, start: np.ndarray, end: np.ndarray, pixel_order: np.ndarray, steps: int
) -> Curve:
    """Replace `start` by `end` in equal steps: step k has replaced the first k/steps of the pixels."""
    channels = start.shape[-1]
    inputs = np.repeat(start[None], steps + 1, axis=0)
    pixels, replacement = inputs.reshape(steps + 1, -1, channels), end.reshape(-1, channels)
    for k in range(1, steps + 1):
        replaced = pixel_order[: round(k * len(pixel_order) / steps)]
        pixels[k, replaced] = replacement[replaced]
    probabilities = p(inputs).astype(np.float64)
    return Curve(probabilities, float(np.trapezoid(probabilities, dx=1 / steps)))


def road(
    p: Probability,
    x: np.ndarray,
    L: np.ndarray,
    rng: np.random.Generator,
    value_range: float | np.ndarray = 255,
    shares: Sequence[float] = ROAD_SHARES,
) -> float:
    """Compare removing the least relevant pixels first (LeRF) with removing the most relevant first (MoRF).

        ROAD = mean over the shares of (p_LeRF - p_MoRF) / 2,  -1/2 to 1/2; higher is better

    Removed pixels are imputed from their neighbors, so that the mask itself carries no information.

    Args:
        p: probabilities of the class.
        x: the input.
        L: its map.
        rng: random generator of the noise.
        value_range: range of the values of x, or of each channel, (c,).
        shares: shares of the pixels that are removed.

    Source:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods,
        sections 4 and 5; the two orders are combined as in pytorch-grad-cam.
    """
    order = pixels_by_relevance(L)
    inputs = [
        impute(x, _pixel_mask(removal_order[: round(share * len(order))], L.shape), rng, value_range)
        for removal_order in (order[::-1], order)
        for share in shares
    ]
    p_lerf, p_morf = np.split(p(np.stack(inputs)).astype(np.float64), 2)
    return float((p_lerf - p_morf).mean() / 2)


def _pixel_mask(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask.ravel()[pixels] = True
    return mask
