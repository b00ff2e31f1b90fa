"""The mean change of a class score, with its interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t

LEVEL = 0.95


class Effect(NamedTuple):
    """A mean change of a class score.

    Attributes:
        mean: the estimate.
        low, high: its 95 % interval by Student's t distribution; infinite for fewer than two images.
    """

    mean: float
    low: float
    high: float


def mean_effect(changes: np.ndarray) -> Effect:
    """Return the mean of changes of a score, (n,), and its interval."""
    mean = float(changes.mean())
    if len(changes) < 2:
        return Effect(mean, -np.inf, np.inf)
    half = float(t.ppf((1 + LEVEL) / 2, len(changes) - 1)) * float(changes.std(ddof=1)) / len(changes) ** 0.5
    return Effect(mean, mean - half, mean + half)
