"""Noisy linear imputation of ROAD: a missing pixel is the weighted mean of its neighbors plus noise."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

NOISE = 0.01
"""Standard deviation of the noise, as a fraction of the range of values."""
MAX_DIRECT_AXES = 2
"""Number of axes up to which the system is solved directly; the factors of that of a volume fill the memory."""
TOLERANCE = 1e-5
"""Relative residual of the solution for more axes; the noise is far larger."""


def neighbors(rank: int) -> list[tuple[tuple[int, ...], float]]:
    """Return the offsets of the neighbors of a pixel along each of `rank` axes, with their weights, whose sum is 1.

    A weight is halved with each further axis along which a neighbor lies: those of two axes are 1/6 for direct and 1/12
    for diagonal neighbors. So they are products of the weights 1, 2, 1 along each axis, and an image that is repeated
    along a further axis is filled as without it.
    """
    offsets = [offset for offset in itertools.product((-1, 0, 1), repeat=rank) if any(offset)]
    return [(offset, 2 ** offset.count(0) / (4**rank - 2**rank)) for offset in offsets]


def impute(
    x: np.ndarray, missing: np.ndarray, rng: np.random.Generator, value_range: float | np.ndarray = 255
) -> np.ndarray:
    """Fill missing pixels smoothly.

        x_i = sum_j w_ij x_j / sum_j w_ij,  w the weights of `neighbors`,

    for all missing i at once: one sparse linear system. Normal noise with a standard deviation of 0.01 of
    the value range is added to each. If every pixel is missing, the mean color is used.

    Args:
        x: (h, w, c) float32, or with any other number of spatial axes.
        missing: (h, w) bool.
        rng: random generator of the noise.
        value_range: range of the values of x, or of each channel, (c,).

    Returns:
        (h, w, c) float32.

    Source:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods, section 4.3.
    """
    if not missing.any():
        return x.copy()
    filled = x.copy()
    solution = (
        np.broadcast_to(x.mean(axis=tuple(range(missing.ndim))), (missing.sum(), x.shape[-1]))
        if missing.all()
        else _solve(x, missing)
    )
    filled[missing] = solution + rng.normal(0, NOISE * value_range, solution.shape)
    return filled


def _solve(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the colors (m, c) of the m missing pixels, in reading order."""
    from scipy import sparse

    places, shape = np.array(np.nonzero(missing)), np.reshape(missing.shape, (-1, 1))
    unknowns = np.arange(places.shape[1])
    unknown_index = np.full(missing.shape, -1)
    unknown_index[missing] = unknowns
    diagonal, rhs = np.zeros(len(unknowns)), np.zeros((len(unknowns), x.shape[-1]))
    rows, columns, weights = [], [], []
    for offset, weight in neighbors(missing.ndim):
        moved = places + np.reshape(offset, (-1, 1))
        inside = np.flatnonzero(((moved >= 0) & (moved < shape)).all(axis=0))
        neighbor = tuple(moved[:, inside])
        diagonal[inside] += weight
        is_missing = missing[neighbor]
        rhs[inside[~is_missing]] += weight * x[neighbor][~is_missing]
        rows.append(inside[is_missing])
        columns.append(unknown_index[neighbor][is_missing])
        weights.append(np.full(is_missing.sum(), -weight))
    entries = (
        np.concatenate([*weights, diagonal]),
        (np.concatenate([*rows, unknowns]), np.concatenate([*columns, unknowns])),
    )
    system = sparse.csc_matrix(entries, (len(unknowns), len(unknowns)))  # symmetric, positive definite
    return _solution(system, rhs, direct=missing.ndim <= MAX_DIRECT_AXES)


def _solution(system: Any, rhs: np.ndarray, *, direct: bool) -> np.ndarray:
    """Return the solution of a symmetric, positive definite system for each column of the right-hand side."""
    from scipy.sparse import linalg

    if direct:
        solved: np.ndarray = linalg.splu(
            system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True}
        ).solve(rhs)
        return solved
    return np.stack([linalg.cg(system, column, rtol=TOLERANCE)[0] for column in rhs.T], axis=1)
