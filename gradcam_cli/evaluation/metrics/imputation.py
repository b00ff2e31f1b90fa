"""Noisy linear imputation of ROAD: a missing pixel is the weighted mean of its neighbors plus noise."""

from __future__ import annotations

import numpy as np

DIRECT, DIAGONAL = 1 / 6, 1 / 12
_NEIGHBORS = [(i, j, DIRECT if i == 0 or j == 0 else DIAGONAL) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
NOISE = 0.01 * 255


def impute(x: np.ndarray, missing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fill missing pixels smoothly.

        x_i = sum_j w_ij x_j / sum_j w_ij,  w = 1/6 for direct and 1/12 for diagonal neighbors,

    for all missing i at once: one sparse linear system. Normal noise with a standard deviation of 0.01 of
    the value range is added to each. If every pixel is missing, the mean color is used.

    Args:
        x: (h, w, c) float32, 0..255.
        missing: (h, w) bool.
        rng: random generator of the noise.

    Returns:
        (h, w, c) float32.

    Source:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods, section 4.3.
    """
    if not missing.any():
        return x.copy()
    filled = x.copy()
    solution = (
        np.broadcast_to(x.mean(axis=(0, 1)), (missing.sum(), x.shape[2])) if missing.all() else _solve(x, missing)
    )
    filled[missing] = solution + rng.normal(0, NOISE, solution.shape)
    return filled


def _solve(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the colors (m, c) of the m missing pixels, in reading order."""
    from scipy import sparse
    from scipy.sparse import linalg

    h, w = missing.shape
    i, j = np.nonzero(missing)
    unknown_index = np.full((h, w), -1)
    unknown_index[i, j] = np.arange(len(i))
    diagonal, rhs = np.zeros(len(i)), np.zeros((len(i), x.shape[2]))
    rows, columns, weights = [], [], []
    for di, dj, weight in _NEIGHBORS:
        inside = np.flatnonzero((i + di >= 0) & (i + di < h) & (j + dj >= 0) & (j + dj < w))
        neighbor = (i[inside] + di, j[inside] + dj)
        diagonal[inside] += weight
        is_missing = missing[neighbor]
        rhs[inside[~is_missing]] += weight * x[neighbor][~is_missing]
        rows.append(inside[is_missing])
        columns.append(unknown_index[neighbor][is_missing])
        weights.append(np.full(is_missing.sum(), -weight))
    unknowns = np.arange(len(i))
    entries = (
        np.concatenate([*weights, diagonal]),
        (np.concatenate([*rows, unknowns]), np.concatenate([*columns, unknowns])),
    )
    system = sparse.csc_matrix(entries, (len(i), len(i)))  # symmetric, positive definite
    colors: np.ndarray = linalg.splu(
        system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True}
    ).solve(rhs)
    return colors
