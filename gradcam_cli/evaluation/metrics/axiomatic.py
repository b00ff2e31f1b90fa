"""Axiomatic metrics: properties that a map must have by definition."""

from __future__ import annotations

import numpy as np


def completeness(attributions: np.ndarray, y: float, y_baseline: float) -> float | None:
    """Return how far the attributions are from the score difference, relative to it, from 0; lower is better.

        |sum_i a_i - (y_c(x) - y_c(x'))| / |y_c(x) - y_c(x')|

    Args:
        attributions: signed attributions in units of the score.
        y: score of the input.
        y_baseline: score of the baseline input.

    Returns:
        The error; None if both scores are equal.

    Source:
        Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, proposition 1.
    """
    difference = y - y_baseline
    error = attributions.sum(dtype=np.float64) - difference
    return float(abs(error / difference)) if difference else None


def input_invariance(L: np.ndarray, L_shifted: np.ndarray) -> float | None:
    """Return the relative change of the map under a constant shift that the model undoes, from 0; lower is better.

        |L_s(x + m) - L(x)|_2 / |L(x)|_2,  L_s the map of the model x -> y(x - m)

    Args:
        L: map of the input.
        L_shifted: map of the shifted input for the shifted model.

    Returns:
        The change; None for a map of zeros.

    Source:
        Kindermans et al. 2017, The (Un)reliability of Saliency Methods (constant shift of the input).
    """
    norm = np.linalg.norm(L.astype(np.float64))
    return float(np.linalg.norm((L_shifted - L).astype(np.float64)) / norm) if norm else None
