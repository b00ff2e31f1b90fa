"""ROAD's noisy linear imputation: removed pixels become the weighted mean of their neighbours, and a little noise."""

from __future__ import annotations

import numpy as np

DIRECT, DIAGONAL = 1 / 6, 1 / 12
_NEIGHBORS = [(i, j, DIRECT if i == 0 or j == 0 else DIAGONAL) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
NOISE = 0.01 * 255


def impute(x: np.ndarray, missing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fill missing pixels smoothly.

        x_i = sum_j w_ij x_j / sum_j w_ij,  w = 1/6 beside and 1/12 across a corner,

    for all missing i at once: one sparse linear system. To each a normal deviate of 0.01 of the
    range is added. Where every pixel is missing, they become the mean colour.

    Args:
        x: (h, w, c) float32, 0..255.
        missing: (h, w) bool.
        rng: draws the noise.

    Returns:
        (h, w, c) float32.

    Source:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods, section 4.3.
    """
    if not missing.any():
        return x.copy()
    filled = x.copy()
    solved = np.broadcast_to(x.mean(axis=(0, 1)), (missing.sum(), x.shape[2])) if missing.all() else _solve(x, missing)
    filled[missing] = solved + rng.normal(0, NOISE, solved.shape)
    return filled


def _solve(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the colours (m, c) of the m missing pixels, in reading order."""
    from scipy import sparse
    from scipy.sparse import linalg

    h, w = missing.shape
    i, j = np.nonzero(missing)
    number = np.full((h, w), -1)
    number[i, j] = np.arange(len(i))
    total, known = np.zeros(len(i)), np.zeros((len(i), x.shape[2]))
    rows, columns, weights = [], [], []
    for di, dj, weight in _NEIGHBORS:
        inside = np.flatnonzero((i + di >= 0) & (i + di < h) & (j + dj >= 0) & (j + dj < w))
        place = (i[inside] + di, j[inside] + dj)
        total[inside] += weight
        gone = missing[place]
        known[inside[~gone]] += weight * x[place][~gone]
        rows.append(inside[gone])
        columns.append(number[place][gone])
        weights.append(np.full(gone.sum(), -weight))
    own = np.arange(len(i))
    entries = (np.concatenate([*weights, total]), (np.concatenate([*rows, own]), np.concatenate([*columns, own])))
    system = sparse.csc_matrix(entries, (len(i), len(i)))  # symmetric, positive definite
    solved: np.ndarray = linalg.splu(
        system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True}
    ).solve(known)
    return solved
