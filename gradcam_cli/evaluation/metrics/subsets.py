"""Faithfulness metrics of random subsets: is the score lost without a subset the sum of the map inside it?

Random cells of a grid are replaced by the baseline of `deletion`. The m subsets of an image are the same for all its
maps, so they are scored once. (h, w) stands for any number of spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CELLS = 14
"""Cells of the grid along each axis, as many as a map of VGG19 has."""

SHARES, SUBSETS = (0.1, 0.3, 0.5, 0.7), 16
"""Shares of the cells in a subset, and number of subsets of each share."""


class Subsets(NamedTuple):
    """Random subsets of cells.

    Attributes:
        masks: (m, h, w) bool, the pixels of each subset.
        shares: (m,), the share of the cells in each.
    """

    masks: np.ndarray
    shares: np.ndarray

    def sums(self, L: np.ndarray) -> np.ndarray:
        """Return the sum of a map (h, w) in each subset, (m,)."""
        return np.array([L[mask].sum(dtype=np.float64) for mask in self.masks])


def random_subsets(shape: Sequence[int], rng: np.random.Generator) -> Subsets:
    """Return random subsets of the cells of an input of a shape (h, w)."""
    cells = [np.arange(side) * min(CELLS, side) // side for side in shape]
    cell_of = np.ravel_multi_index(np.ix_(*cells), [along[-1] + 1 for along in cells])  # (h, w)
    count = int(cell_of.max()) + 1
    shares = np.repeat(SHARES, SUBSETS)
    masks = [np.isin(cell_of, rng.permutation(count)[: max(1, round(share * count))]) for share in shares]
    return Subsets(np.stack(masks), shares)


def replace_subsets(x: np.ndarray, baseline: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return inputs (m, h, w, c): x with the pixels of each mask, (m, h, w) bool, replaced by the baseline."""
    return np.where(masks[..., None], baseline, x)


def sensitivity_n(sums: np.ndarray, drops: np.ndarray, shares: np.ndarray) -> float | None:
    """Return the correlation of the map's sums and the lost scores, -1 to 1, mean over the shares; higher is better.

        mean over n of corr(sum_{i in S} L_i, y_c(x) - y_c(x without S)),  |S| = n

    Args:
        sums: (m,), sum of the map in each subset.
        drops: (m,), score lost without each subset.
        shares: (m,), share of the cells in each subset.

    Returns:
        The mean; None if sums or drops are constant for a share.

    Source:
        Ancona et al. 2018, Towards Better Understanding of Gradient-based Attribution Methods (sensitivity-n).
    """
    groups = [(sums[shares == share], drops[shares == share]) for share in np.unique(shares)]
    if any(np.ptp(values) <= 1e-9 * np.abs(values).max() for group in groups for values in group):
        return None
    return float(np.mean([np.corrcoef(s, d)[0, 1] for s, d in groups]))


def infidelity(sums: np.ndarray, drops: np.ndarray) -> float | None:
    """Return the mean squared error of the map as a prediction of the lost scores, from 0; lower is better.

        mean over S of (beta sum_{i in S} L_i - (y_c(x) - y_c(x without S)))^2

    A map has no unit, so beta is the best scale: the mean of the products of sums and drops,
    divided by the mean of the squared sums.

    Args:
        sums: (m,), sum of the map in each subset.
        drops: (m,), score lost without each subset.

    Returns:
        The error, in units of the squared score; None for a map of zeros.

    Source:
        Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations, definition 2.1, the
        scale as in the authors' code.
    """
    sums, drops = sums.astype(np.float64), drops.astype(np.float64)
    if not sums.any():
        return None
    beta = (sums * drops).mean() / (sums**2).mean()
    return float(((beta * sums - drops) ** 2).mean())
