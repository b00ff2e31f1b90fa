"""Agreement between metrics on the order of maps, and comparison of the maps with the baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.ranking import Ranking

MAX_LISTED_CONFLICTS = 5
"""Pairs of maps about which the metrics disagree that the text output lists."""


class Conflict(NamedTuple):
    """Two maps of which each is better by some metric.

    Attributes:
        maps: names of the two maps.
        metrics: the metrics by which the first one is better, and those by which the second one is.
    """

    maps: tuple[str, str]
    metrics: tuple[list[str], list[str]]

    def __str__(self) -> str:
        sides = (f"{name} by {', '.join(metrics)}" for name, metrics in zip(self.maps, self.metrics, strict=True))
        return f"undecided: {'; '.join(sides)}"


class Agreement(NamedTuple):
    """Whether the metrics rank the maps that are no baselines in the same order.

    Attributes:
        w: Kendall's W of the ranks: 1 if the metrics give the same order, near 0 for unrelated orders; None if fewer
            than two metrics separate the maps.
        maps: number of maps.
        metrics: number of metrics.
        separating: number of metrics that give the maps different ranks; `w` is the agreement of these.
        best: the maps of rank 1 by every metric.
        conflicts: the pairs of maps about which the metrics disagree.
    """

    w: float | None
    maps: int
    metrics: int
    separating: int
    best: list[str]
    conflicts: list[Conflict]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object."""
        conflicts = [
            {"maps": list(each.maps), "better_by": dict(zip(each.maps, each.metrics, strict=True))}
            for each in self.conflicts
        ]
        counts = {"maps": self.maps, "metrics": self.metrics, "separating": self.separating}
        return {"kendalls_w": self.w, **counts, "best": self.best, "undecided": conflicts}

    def lines(self) -> Iterator[str]:
        """Yield the lines of text; none if there is nothing to compare."""
        if self.maps < 2 or not self.metrics:
            return
        if self.metrics > 1:
            verb = "separates" if self.separating == 1 else "separate"
            used = f"{self.separating} of {self.metrics} metrics {verb} the {self.maps} maps"
            yield f"{used}; Kendall's W of their ranks: {'undefined' if self.w is None else format(self.w, '.2f')}"
        by = f"by all {self.metrics} metrics" if self.metrics > 1 else "by one metric"
        if len(self.best) == 1:
            yield f"best {by}: {self.best[0]}"
        else:
            yield f"undecided {by}: rank 1 for {', '.join(self.best) or 'no map'}"
        yield from map(str, self.conflicts[:MAX_LISTED_CONFLICTS])
        if len(self.conflicts) > MAX_LISTED_CONFLICTS:
            yield f"undecided: {len(self.conflicts) - MAX_LISTED_CONFLICTS} further pairs of maps"


def kendalls_w(ranks: np.ndarray) -> float | None:
    """Return Kendall's coefficient of concordance, corrected for ties (Kendall and Babington Smith 1939).

    W = 12 S / (k^2 (n^3 - n) - k T), with S the sum of the squared deviations of the n rank sums from their mean, and
    T the sum of t^3 - t over all groups of t tied ranks.

    Args:
        ranks: (k, n), the ranks of n maps by k metrics; equal ranks are ties.

    Returns:
        0..1, or None if all ranks are tied or there are fewer than two rows or columns.
    """
    from scipy import stats

    k, n = ranks.shape
    if k < 2 or n < 2:
        return None
    middle_ranks = np.array([stats.rankdata(row) for row in ranks])
    sums = middle_ranks.sum(axis=0)
    ties = sum(int(t) ** 3 - int(t) for row in ranks for t in np.unique(row, return_counts=True)[1])
    largest = k**2 * (n**3 - n) - k * ties
    return float(12 * ((sums - sums.mean()) ** 2).sum() / largest) if largest else None


def agreement(ranking: Ranking) -> Agreement:
    """Compare the order of the maps by all metrics."""
    methods, labels = ranking.methods, ranking.labels
    ranks = {
        name: [each.means[i].rank for i in methods]
        for name, each in ranking.by_metric.items()
        if any(each.means[i].rank for i in methods)
    }
    ranked = [j for j in range(len(methods)) if all(row[j] for row in ranks.values())] if ranks else []
    table = np.array([[row[j] for j in ranked] for row in ranks.values()], int).reshape(len(ranks), len(ranked))
    separating = table[[len(np.unique(row)) > 1 for row in table]]
    best = [labels[methods[j]] for j in ranked if all(row[j] == 1 for row in ranks.values())]
    w = kendalls_w(separating)
    return Agreement(w, len(ranked), len(ranks), len(separating), best, list(_conflicts(ranking)))


def _conflicts(ranking: Ranking) -> Iterator[Conflict]:
    for i, j in combinations(ranking.methods, 2):
        first, second = (
            [name for name, each in ranking.by_metric.items() if each.better[pair]] for pair in ((i, j), (j, i))
        )
        if first and second:
            yield Conflict((ranking.labels[i], ranking.labels[j]), (first, second))


class BelowBaseline(NamedTuple):
    """A map whose mean is not better than that of a class-agnostic baseline.

    Attributes:
        map: name of the map.
        baseline: name of the baseline.
        worse: the metrics by which the map is worse, significantly.
        equal: the metrics by which the two do not differ significantly.
        worse_mean: the metrics with too few images for a test, by which the mean of the map is worse.
    """

    map: str
    baseline: str
    worse: list[str]
    equal: list[str]
    worse_mean: list[str]


def baseline_lines(found: Sequence[BelowBaseline]) -> Iterator[str]:
    """Yield the lines of text; those of the worst maps come last."""
    verbs = {"equal": "does not differ from", "worse_mean": "has a worse mean than", "worse": "is worse than"}
    for field, verb in verbs.items():
        for each in found:
            if metrics := getattr(each, field):
                yield f"{each.map} {verb} the baseline {each.baseline}: {', '.join(metrics)}"


def below_baselines(ranking: Ranking) -> list[BelowBaseline]:
    """Return the maps that are not better than a baseline by some metric."""
    found = []
    for i in ranking.methods:
        for j in range(len(ranking.maps)):
            if ranking.maps[j].baseline:
                below = BelowBaseline(ranking.labels[i], ranking.labels[j], [], [], [])
                for name in ranking.by_metric:
                    if kind := _relation(ranking, name, i, j):
                        getattr(below, kind).append(name)
                found += [below] if any(below[2:]) else []
    return found


def _relation(ranking: Ranking, metric: str, i: int, j: int) -> str | None:
    """Return how the means of a map and of a baseline compare, a field of `BelowBaseline`, or None if it is better."""
    means, better = ranking.by_metric[metric]
    own, baseline = means[i], means[j]
    if own.mean is None or baseline.mean is None or better[i, j]:
        return None
    if own.rank and baseline.rank:
        return "worse" if better[j, i] else "equal"
    sign = 1 if METRICS[metric].higher_is_better else -1
    return "worse_mean" if sign * (own.mean - baseline.mean) < 0 else None
