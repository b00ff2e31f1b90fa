"""Bootstrap intervals of means: how much a mean would vary with other images of the same kind.

The interval is the expanded percentile interval (T. Hesterberg, "What Teachers Should Know about the Bootstrap", 2015):
quantiles of the means of resampled images, at levels that make up for the narrowness of the plain percentiles with few
images. For values of a normal distribution it covers the true mean nearly as often as the interval of Student's t.
"""

from __future__ import annotations

import numpy as np

MIN_IMAGES = 5
"""With fewer images there is no interval: the extremes of so few resampled means are the extremes of the values."""
LEVEL = 0.95
_BLOCK_CELLS = 4_000_000
"""Largest number of cells of a block of resamples, which limits the memory."""


def mean_interval(
    values: np.ndarray,
    *,
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = 2000,
    groups: np.ndarray | None = None,
) -> tuple[float, float]:
    """Return the bootstrap interval of a mean.

    Args:
        values: (n,); NaN is left out.
        seed: of the resampling; the same seed gives the same interval.
        level: probability with which the interval covers the true mean, 0..1.
        resamples: number of resampled means.
        groups: (n,), as for `mean_intervals`.

    Returns:
        The lower and the upper end; NaN for both with values of fewer than `MIN_IMAGES` groups.
    """
    columns = np.asarray(values, np.float64)[:, None]
    low, high = mean_intervals(columns, seed=seed, level=level, resamples=resamples, groups=groups)[0]
    return float(low), float(high)


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
    known = ~np.isnan(values).all(axis=1)
    values = values[known]
    labels = np.arange(len(values)) if groups is None else np.unique(np.asarray(groups)[known], return_inverse=True)[1]
    sums, counts = _sums_and_counts(values, labels)
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


def _sums_and_counts(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the number of the values of each group, (groups, m) both."""
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
