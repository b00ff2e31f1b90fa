"""Similarity of two maps of the same image: measures that are 1 for equal maps, and a distance.

(u, v) and (H, W) stand for any number of spatial axes.
"""

from __future__ import annotations

import math

import numpy as np

SSIM_SIGMA, SSIM_C1, SSIM_C2 = 1.5, 0.01**2, 0.03**2
TOP_SHARE = 0.2


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's rank correlation of two maps, -1 to 1; ties get their mean rank.

    The correlation with a constant map is undefined: 1 is returned if both maps are constant, 0 if one is.

    Args:
        a: (u, v).
        b: (u, v).
    """
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float(np.ptp(a) == np.ptp(b))
    from scipy import stats

    return float(stats.spearmanr(a.ravel(), b.ravel()).statistic)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean structural similarity of two maps, -1 to 1.

        SSIM = (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2))

    with means m, variances s^2 and covariance s_ab under a Gaussian window of 1.5 pixels,
    C1 = 0.01^2 and C2 = 0.03^2.

    Args:
        a: (H, W) in 0..1.
        b: (H, W) in 0..1.

    Source:
        Wang et al. 2004, Image Quality Assessment, equation 13.
    """
    from scipy import ndimage

    def mean(values: np.ndarray) -> np.ndarray:
        windowed: np.ndarray = ndimage.gaussian_filter(values, SSIM_SIGMA, truncate=3.5)
        return windowed

    a, b = a.astype(np.float64), b.astype(np.float64)
    m_a, m_b = mean(a), mean(b)
    s_aa, s_bb, s_ab = mean(a * a) - m_a**2, mean(b * b) - m_b**2, mean(a * b) - m_a * m_b
    numerator = (2 * m_a * m_b + SSIM_C1) * (2 * s_ab + SSIM_C2)
    return float((numerator / ((m_a**2 + m_b**2 + SSIM_C1) * (s_aa + s_bb + SSIM_C2))).mean())


def top_iou(a: np.ndarray, b: np.ndarray, share: float = TOP_SHARE) -> float:
    """Return the intersection over union of the pixels with the largest values of each map, 0 to 1.

    Of equal values the first in reading order count.

    Args:
        a: (H, W).
        b: (H, W).
        share: fraction of the pixels that count as the largest.
    """
    count = math.ceil(share * a.size)
    top_a, top_b = (set(np.argsort(-heatmap.ravel(), kind="stable")[:count]) for heatmap in (a, b))
    return len(top_a & top_b) / len(top_a | top_b)


def peak_shift(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance between the peaks of two maps, as a fraction of the diagonal, 0 to 1.

    It is 0 if both maps are zero everywhere, and 1 if one is.

    Args:
        a: (H, W).
        b: (H, W).
    """
    if not a.any() or not b.any():
        return float(a.any() != b.any())
    peak_a, peak_b = (np.unravel_index(np.argmax(heatmap), heatmap.shape) for heatmap in (a, b))
    diagonal = math.hypot(*(side - 1 for side in a.shape))
    return math.hypot(*np.subtract(peak_a, peak_b)) / max(diagonal, 1)
