"""Ranks of maps by a metric: only differences that exceed the variation between images count.

A map is better than another if the bootstrap interval of the mean of their paired differences, over the images that
have a value of both, does not contain 0. The intervals of all pairs hold simultaneously: if no maps differ, the
probability that two of them are told apart is 5 %.

The rank of a map is 1 plus the length of the longest chain of better maps above it: maps of equal rank do not differ,
and each map of rank r > 1 has a better one of rank r - 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradcam_cli.evaluation.bootstrap import MIN_IMAGES, mean_intervals, pairwise_intervals
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import MapKey, MetricRow, group_rows, mean_value

ROUNDING = 1e-6
"""A difference of at most this share of the largest value is rounding: float32 has seven digits."""
Unit = tuple[str, int | None, int]
"""Image, class and number of a row: the rows of two groups are paired by it."""


class RankedMean(NamedTuple):
    """The mean of a metric over the images.

    Attributes:
        mean: the mean, or None if no image has a value.
        interval: its 95 % bootstrap interval over images, or None with fewer than `MIN_IMAGES` images.
        images: number of images with a value.
        rank: from 1, or None without an interval.
    """

    mean: float | None
    interval: tuple[float, float] | None
    images: int
    rank: int | None


class MetricRanking(NamedTuple):
    """The maps of an evaluation by one metric.

    Attributes:
        means: of each map, in the order of `Ranking.maps`.
        better: (m, m), whether map i is better than map j; the difference is significant.
    """

    means: list[RankedMean]
    better: np.ndarray


class Ranking(NamedTuple):
    """The maps of an evaluation by each metric.

    Attributes:
        maps: the groups of maps; baselines come last.
        by_metric: ranking of each metric, by name.
    """

    maps: list[MapKey]
    by_metric: dict[str, MetricRanking]

    @property
    def methods(self) -> list[int]:
        """Positions of the maps that are no baselines."""
        return [i for i, key in enumerate(self.maps) if not key.baseline]

    @property
    def labels(self) -> list[str]:
        """Names of the maps, with their layers if there are several, of the methods or of the baselines."""
        layers = {baseline: {key.layer for key in self.maps if key.baseline == baseline} for baseline in (False, True)}
        return [key.label(with_layer=len(layers[key.baseline]) > 1) for key in self.maps]


def rank_maps(rows: Sequence[MetricRow], metrics: Sequence[str], seed: int = 0) -> Ranking:
    """Rank the maps of an evaluation by each metric.

    Args:
        rows: metrics of the maps of all images.
        metrics: names in `METRICS`.
        seed: of the resampling.
    """
    groups = group_rows(rows)
    units: dict[Unit, int] = {}
    positions = [[units.setdefault(unit, len(units)) for unit in _units(group)] for group in groups.values()]
    images = np.unique([source for source, _, _ in units], return_inverse=True)[1] if units else np.zeros(0, int)
    by_metric = {}
    for name in metrics:
        values = np.full((len(units), len(groups)), np.nan)
        for column, (group, rows_of_group) in enumerate(zip(groups.values(), positions, strict=True)):
            values[rows_of_group, column] = [np.nan if (v := row.values[name]) is None else v for row in group]
        by_metric[name] = rank_values(values, images, higher_is_better=METRICS[name].higher_is_better, seed=seed)
    return Ranking(list(groups), by_metric)


def _units(rows: Sequence[MetricRow]) -> list[Unit]:
    """Return the unit of each row of a group."""
    seen: Counter[tuple[str, int | None]] = Counter()
    units = []
    for row in rows:
        key = row.metadata["input"], row.metadata.get("class_index")
        units.append((*key, seen[key]))
        seen[key] += 1
    return units


def rank_values(values: np.ndarray, images: np.ndarray, *, higher_is_better: bool, seed: int = 0) -> MetricRanking:
    """Rank maps by the values of a metric.

    Args:
        values: (n, m), a column for each group of maps; NaN where a map has no value.
        images: (n,), the image of each row.
        higher_is_better: whether a larger value is better.
        seed: of the resampling.
    """
    intervals = mean_intervals(values, seed=seed, groups=images)
    counts = [len(np.unique(images[~np.isnan(column)])) for column in values.T]
    means = [mean_value([None if np.isnan(v) else float(v) for v in column]) for column in values.T]
    differences = pairwise_intervals(values if higher_is_better else -values, seed=seed, groups=images)
    better = differences[:, :, 0] > ROUNDING * np.nanmax(np.abs(values), initial=0)
    ranks = _longest_chains(better)
    ranked = [
        RankedMean(mean, (float(low), float(high)), count, int(rank))
        if count >= MIN_IMAGES
        else RankedMean(mean, None, count, None)
        for mean, (low, high), count, rank in zip(means, intervals, counts, ranks, strict=True)
    ]
    return MetricRanking(ranked, better)


def _longest_chains(better: np.ndarray) -> np.ndarray:
    """Return 1 plus the length of the longest chain of better maps above each map, (m,).

    Chains are shorter than m, unless missing values make three maps better than each other in a circle; the loop ends
    all the same.
    """
    ranks = np.ones(len(better), int)
    for _ in range(len(better) - 1):
        ranks = np.maximum(ranks, np.max(better * (ranks[:, None] + 1), axis=0, initial=1))
    return ranks
