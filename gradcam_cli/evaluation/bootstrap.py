"""Bootstrap intervals of means and of differences: how much they would vary with other images of the same kind.

The interval of a mean is the expanded percentile interval (T. Hesterberg, "What Teachers Should Know about the
Bootstrap", 2015): quantiles of the means of resampled images, at levels that make up for the narrowness of the plain
percentiles with few images. For values of a normal distribution it covers the true mean nearly as often as the interval
of Student's t.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

MIN_IMAGES = 5
"""With fewer images there is no interval: the extremes of so few resampled means are the extremes of the values."""
LEVEL = 0.95
_BLOCK_CELLS = 4_000_000
"""Largest number of cells of a block of resamples, which limits the memory."""
_MAX_PAIRS = 2000
"""Pairs of columns that are resampled at once."""
_MIN_RELATIVE_ERROR = 1e-9
"""A smaller standard error, relative to the difference, is a rounding error of equal differences."""


def mean_intervals(
    values: np.ndarray,
    *,
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = 2000,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return the bootstrap intervals of the means of several columns, all from the same resamples.

    Args:
        values: (n, m); NaN is left out.
        seed: of the resampling.
        level: probability with which an interval covers its true mean, 0..1.
        resamples: number of resampled means.
        groups: (n,), the image of each row, if some images have several rows. Whole images are resampled, because the
            values of one image depend on each other. None: each row is an image of its own.

    Returns:
        (m, 2), the lower and the upper end of each interval; NaN in columns with values of fewer than `MIN_IMAGES`
        groups.
    """
    sums, counts = _sums_and_counts(values, groups)
    num_images = (counts > 0).sum(axis=0)
    intervals = np.full((values.shape[1], 2), np.nan)
    enough = num_images >= MIN_IMAGES
    if enough.any():
        means = _resampled_means(sums[:, enough], counts[:, enough], np.random.default_rng(seed), resamples)
        tails = _tail_probability(num_images[enough], level)
        intervals[enough] = [
            np.nanquantile(column, (tail, 1 - tail)) for column, tail in zip(means.T, tails, strict=True)
        ]
    return intervals


def pairwise_intervals(
    values: np.ndarray,
    *,
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = 2000,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return simultaneous bootstrap intervals of the mean differences of all pairs of columns.

    With the probability `level`, all intervals contain their true differences (the single-step method of Romano and
    Wolf, "Exact and Approximate Stepdown Methods for Multiple Hypothesis Testing", 2005). The half width is c standard
    errors, where c is the quantile of the largest |d* - d| / se over all pairs d, in resamples d*; as for the interval
    of a mean, c is then replaced by the quantile of Student's t with the same probability.

    Args:
        values: (n, m); the differences of a pair are those of the rows in which both columns have a value.
        seed: of the resampling.
        level: probability with which all intervals cover their true differences, 0..1.
        resamples: number of resampled means.
        groups: (n,), as for `mean_intervals`.

    Returns:
        (m, m, 2), the lower and the upper end of the interval of column i minus column j; NaN for pairs with values of
        fewer than `MIN_IMAGES` groups.
    """
    m = values.shape[1]
    pairs = np.array(list(combinations(range(m), 2)), int).reshape(-1, 2)
    differences, errors, num_images = np.zeros(len(pairs)), np.zeros(len(pairs)), np.zeros(len(pairs), int)
    largest = np.zeros(resamples)
    for start in range(0, len(pairs), _MAX_PAIRS):
        part = slice(start, start + _MAX_PAIRS)
        first, second = pairs[part].T
        sums, counts = _sums_and_counts(values[:, first] - values[:, second], groups)
        num_images[part] = (counts > 0).sum(axis=0)
        if (enough := num_images[part] >= MIN_IMAGES).any():
            sums, counts = sums[:, enough], counts[:, enough]
            means = _resampled_means(sums, counts, np.random.default_rng(seed), resamples)
            d = sums.sum(axis=0) / counts.sum(axis=0)
            se = np.nanstd(means, axis=0)
            varied = se > _MIN_RELATIVE_ERROR * np.abs(d)
            differences[part][enough], errors[part][enough] = d, np.where(varied, se, 0)
            ratios = np.abs(means[:, varied] - d[varied]) / se[varied]
            largest = np.fmax(largest, np.nanmax(ratios, axis=1, initial=0))
    reached = num_images >= MIN_IMAGES
    half = errors[reached] * _student_quantile(float(np.quantile(largest, level)), num_images[reached])
    return _antisymmetric(pairs[reached], differences[reached] - half, differences[reached] + half, m)


def _antisymmetric(pairs: np.ndarray, low: np.ndarray, high: np.ndarray, m: int) -> np.ndarray:
    """Return the intervals of the pairs (i, j) and of the reversed pairs, (m, m, 2); NaN elsewhere."""
    intervals = np.full((m, m, 2), np.nan)
    first, second = pairs.T
    intervals[first, second] = np.column_stack([low, high])
    intervals[second, first] = np.column_stack([-high, -low])
    return intervals


def _sums_and_counts(values: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the number of the values of each group that has some, (groups, m) both."""
    known = ~np.isnan(values).all(axis=1)
    values = values[known]
    labels = np.arange(len(values)) if groups is None else np.unique(np.asarray(groups)[known], return_inverse=True)[1]
    shape = (int(labels.max(initial=-1)) + 1, values.shape[1])
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, labels, np.nan_to_num(values))
    np.add.at(counts, labels, ~np.isnan(values))
    return sums, counts


def _resampled_means(sums: np.ndarray, counts: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """Return the means of `resamples` random samples of the groups with replacement, (resamples, m)."""
    n = len(sums)
    block = max(1, _BLOCK_CELLS // n)
    means = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
        drawn_counts = times @ counts
        means.append(
            np.divide(times @ sums, drawn_counts, out=np.full_like(drawn_counts, np.nan), where=drawn_counts > 0)
        )
    return np.concatenate(means)


def _tail_probability(n: np.ndarray, level: float) -> np.ndarray:
    """Return the probability of each tail of the expanded percentile interval of n images.

    The resampled means have the variance (n - 1) / n times s^2 / n; the interval should reach as far as Student's t
    of n - 1 degrees of freedom.
    """
    from scipy import special

    t = special.stdtrit(n - 1, (1 - level) / 2)
    tail: np.ndarray = special.ndtr(t * np.sqrt(n / (n - 1)))
    return tail


def _student_quantile(c: float, n: np.ndarray) -> np.ndarray:
    """Return the quantiles of Student's t of n - 1 degrees of freedom that c is of the normal distribution.

    They are scaled for a standard error that is computed without the correction n / (n - 1) of the variance.
    """
    from scipy import special

    quantile: np.ndarray = -special.stdtrit(n - 1, special.ndtr(-c)) * np.sqrt(n / (n - 1))
    return quantile
