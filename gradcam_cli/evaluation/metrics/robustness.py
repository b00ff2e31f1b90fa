"""Robustness metrics: how much a map changes with a little noise in the input.

In all of them L is (h, w), the map of an input, and Ls is (n, h, w), the maps of n noisy inputs that have the same
first class; x is (h, w, c), the input in units of its range, and xs is (n, h, w, c), the noisy inputs. (h, w) stands
for any number of spatial axes. Without a noisy input, or for a map of zeros, None is returned.
A map that ignores the input is the most robust one: compare with the baseline `center`.
"""

from __future__ import annotations

import numpy as np

NOISE, SAMPLES = 0.05, 10
"""Largest change of a value of the input, as a fraction of its range, and number of noisy inputs."""

SMALLEST = 0.01
"""Smallest denominator of a relative change, so that pixels near zero do not decide."""


def range_of_values(x: np.ndarray) -> float | np.ndarray:
    """Return the range of the values of a model input (h, w, c) before its preprocessing.

    Colors, uint8, have the range 255; in other arrays, each channel has that from its smallest to its largest value,
    (c,), and a constant channel has 1, so that a division by it is possible.
    """
    if x.dtype == np.uint8:
        return 255
    ranges: np.ndarray = np.ptp(x, axis=tuple(range(x.ndim - 1)))
    ranges[ranges == 0] = 1
    return ranges


def add_uniform_noise(x: np.ndarray, rng: np.random.Generator, value_range: float | np.ndarray = 255) -> np.ndarray:
    """Return noisy inputs (n, h, w, c) of an input (h, w, c); values may leave its range a little.

    Args:
        x: the input.
        rng: random generator.
        value_range: from `range_of_values`.
    """
    limit = NOISE * value_range
    noise = rng.uniform(-limit, limit, (SAMPLES, *x.shape)).astype(np.float32)
    noisy: np.ndarray = x + noise
    return noisy


def avg_sensitivity(L: np.ndarray, Ls: np.ndarray) -> float | None:
    """Return the mean relative change of the map, from 0; lower is better.

        mean over x' of |L(x') - L(x)|_F / |L(x)|_F

    Source:
        Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations, section 3 (here the mean), divided by
        the norm of the map as in the authors' code.
    """
    changes = _relative_changes(L, Ls)
    return None if changes is None else float(changes.mean())


def max_sensitivity(L: np.ndarray, Ls: np.ndarray) -> float | None:
    """Return the largest relative change of the map, from 0; lower is better.

        max over x' of |L(x') - L(x)|_F / |L(x)|_F

    Source:
        Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations, section 3 (max-sensitivity), divided
        by the norm of the map as in the authors' code.
    """
    changes = _relative_changes(L, Ls)
    return None if changes is None else float(changes.max())


def local_lipschitz(L: np.ndarray, Ls: np.ndarray, x: np.ndarray, xs: np.ndarray) -> float | None:
    """Return the largest change of the map in units of the change of the input, from 0; lower is better.

        max over x' of |L(x') - L(x)|_2 / |x' - x|_2

    Source:
        Alvarez-Melis and Jaakkola 2018, On the Robustness of Interpretability Methods, section 3.
    """
    if not len(Ls) or not L.any():
        return None
    return float((_norms(Ls - L) / _norms(xs - x)).max())


def relative_input_stability(L: np.ndarray, Ls: np.ndarray, x: np.ndarray, xs: np.ndarray) -> float | None:
    """Return the largest relative change of the map in units of the relative change of the input; lower is better.

        max over x' of |(L(x) - L(x')) / L(x)|_2 / |(x - x') / x|_2,  denominators at least 0.01

    Source:
        Agarwal et al. 2022, Rethinking Stability for Attribution-based Explanations (relative input stability).
    """
    if not len(Ls) or not L.any():
        return None
    return float((_relative_norms(L, Ls) / _relative_norms(x, xs)).max())


def relative_output_stability(L: np.ndarray, Ls: np.ndarray, y: np.ndarray, ys: np.ndarray) -> float | None:
    """Return the largest relative change of the map in units of the change of the scores; lower is better.

        max over x' of |(L(x) - L(x')) / L(x)|_2 / |y(x) - y(x')|_2,  denominators at least 0.01

    Args:
        L: map of the input.
        Ls: maps of the noisy inputs.
        y: (classes,), scores of the input.
        ys: (n, classes), scores of the noisy inputs.

    Source:
        Agarwal et al. 2022, Rethinking Stability for Attribution-based Explanations (relative output stability).
    """
    if not len(Ls) or not L.any():
        return None
    return float((_relative_norms(L, Ls) / np.maximum(_norms(ys - y), SMALLEST)).max())


def _relative_changes(L: np.ndarray, Ls: np.ndarray) -> np.ndarray | None:
    """Return |L(x') - L(x)| / |L(x)| of each noisy input, (n,)."""
    if not len(Ls) or not L.any():
        return None
    changes: np.ndarray = _norms(Ls - L) / np.linalg.norm(L.astype(np.float64))
    return changes


def _relative_norms(reference: np.ndarray, changed: np.ndarray) -> np.ndarray:
    return _norms((reference - changed) / np.maximum(np.abs(reference), SMALLEST))


def _norms(differences: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of each item of (n, ...), (n,) float64."""
    norms: np.ndarray = np.linalg.norm(differences.reshape(len(differences), -1).astype(np.float64), axis=1)
    return norms
