"""Randomization metrics: a map must change if the class or the weights are replaced by random ones.

A map that ignores both has the value 1, the worst one. (h, w) and (u, v) stand for any number of spatial axes.
"""

from __future__ import annotations

import numpy as np

from gradcam_cli.evaluation.metrics.similarity import rank_correlation, ssim

SMOOTH_SAMPLES, SMOOTH_NOISE = 10, 0.1
"""Number of noisy inputs of the smooth test, and standard deviation of the noise as a fraction of the input's range."""


def random_logit(L: np.ndarray, L_other: np.ndarray) -> float | None:
    """Return the structural similarity of the maps of the class and of a random other class, -1 to 1; lower is better.

    Args:
        L: (h, w) in 0..1, map of the class.
        L_other: (h, w) in 0..1, map of the other class.

    Returns:
        The similarity; None if both maps are zero.

    Source:
        Sixt et al. 2020, When Explanations Lie (random logit test).
    """
    return ssim(L, L_other) if L.any() or L_other.any() else None


def smooth_mprt(cams: np.ndarray, random_cams: np.ndarray) -> float | None:
    """Return the rank correlation of the mean maps of the trained and of the randomized model; lower is better.

        rho(mean over x' of L(x'), mean over x' of L_random(x')),  x' = x + N(0, sigma^2)

    Args:
        cams: (n, u, v), maps of noisy inputs.
        random_cams: (n, u, v), maps of the same inputs for the model with random weights.

    Returns:
        Spearman's rank correlation, -1 to 1; None if all maps are zero.

    Source:
        Hedstroem et al. 2023, Sanity Checks Revisited (smooth MPRT), here with one step: all layers downstream
        of the map's layer are randomized.
    """
    if not cams.any() and not random_cams.any():
        return None
    return rank_correlation(cams.mean(axis=0, dtype=np.float64), random_cams.mean(axis=0, dtype=np.float64))


def add_normal_noise(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return noisy inputs (n, h, w, c) of an input (h, w, c); the last one has no noise.

    Source:
        Smilkov et al. 2017, SmoothGrad, section 3.
    """
    noise = rng.normal(0, SMOOTH_NOISE * np.ptp(x), (SMOOTH_SAMPLES, *x.shape)).astype(np.float32)
    noise[-1] = 0
    noisy: np.ndarray = x + noise
    return noisy


def other_class(c: int, num_classes: int, rng: np.random.Generator) -> int:
    """Return a random class that is not c.

    Args:
        c: index of the class.
        num_classes: number of classes, at least 2.
        rng: random generator.
    """
    drawn = int(rng.integers(num_classes - 1))
    return drawn + (drawn >= c)
