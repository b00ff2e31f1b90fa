"""Complexity metrics: how many pixels a map needs.

In all of them L is a map, not negative; a map without a positive value has no distribution, and None is returned.
A simple map is easier to read, not closer to the model: a single random pixel has the best values.
"""

from __future__ import annotations

import numpy as np

THRESHOLD = 1e-5
"""Fraction of the maximum above which a pixel counts as used, the default of Quantus."""


def entropy(L: np.ndarray) -> float | None:
    """Return the entropy of the map's values as a distribution, 0 to log(number of pixels); lower is better.

        H = - sum_i P_i log P_i,  P_i = L_i / sum_j L_j

    Source:
        Bhatt et al. 2020, Evaluating and Aggregating Feature-based Model Explanations (complexity).
    """
    values = _positive_values(L)
    if values is None:
        return None
    P = values / values.sum()
    return float(-(P * np.log(P)).sum())


def gini(L: np.ndarray) -> float | None:
    """Return the Gini index of the map's values, 0 (all equal) to 1 - 1/d (one pixel); higher is better.

        G = 1 - 2 sum_k L_(k) / |L|_1 * (d - k + 1/2) / d,  L_(1) <= ... <= L_(d)

    Source:
        Chalasani et al. 2020, Concise Explanations of Neural Networks using Adversarial Training (sparseness).
    """
    if _positive_values(L) is None:
        return None
    values = np.sort(L.ravel().astype(np.float64))
    d = len(values)
    k = np.arange(1, d + 1)
    return float(1 - 2 * (values / values.sum() * (d - k + 0.5) / d).sum())


def effective_complexity(L: np.ndarray, threshold: float = THRESHOLD) -> float | None:
    """Return the fraction of pixels above a fraction of the maximum, 0 to 1; lower is better.

        |{i : L_i > threshold * max L}| / d

    Source:
        Nguyen and Martinez 2020, On Quantitative Aspects of Model Interpretability (effective complexity,
        here with a fixed threshold).
    """
    return float((L.max() * threshold < L).mean()) if _positive_values(L) is not None else None


def _positive_values(L: np.ndarray) -> np.ndarray | None:
    """Return the values above zero in float64, or None without any."""
    values: np.ndarray = L[L > 0].astype(np.float64)
    return values if len(values) else None
