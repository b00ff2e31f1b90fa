"""The comparison of two runs over the same images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.correctness import BROKEN, CORRECTNESS
from gradcam_cli.evaluation.drift import DRIFTS, DamagedMap, MapChange, UnmatchedMap
from gradcam_cli.evaluation.thresholds import (
    MEAN,
    Limits,
    MetricLimit,
    MetricThreshold,
    ThresholdResults,
    check_drifts,
    failed_messages,
    read_limits,
)
from gradcam_cli.images.load import Unexplained
from gradcam_cli.output.destination import FIGURE_SUFFIXES, require_suffix
from gradcam_cli.output.html_table import html_table
from gradcam_cli.storage.paths import as_path
from gradcam_cli.storage.protected import ProtectedInputs, protected_inputs


@dataclass(frozen=True)
class Comparison:
    """The maps of two runs, the result of `compare`.

    Its items are the maps that were not compared, then `changes`. `to_dict` of each item and of the comparison give the
    lines of `gradcam compare --json`.

    Attributes:
        before: directory of the first run.
        after: directory of the second run.
        changes: a `MapChange` for each map that both runs have, in the order of their names; at least one.
        unmatched: names of the maps that only one run has.
        damaged: maps that cannot be read in one of the runs.
        failures: images without maps of the second run, if a model computed these; their maps are `unmatched`.
    """

    before: Path
    after: Path
    changes: Sequence[MapChange] = field(repr=False)
    unmatched: Sequence[str] = field(repr=False)
    damaged: Sequence[DamagedMap] = field(default=(), repr=False)
    failures: Sequence[Unexplained] = field(default=(), repr=False)
    _files: object = field(default=None, repr=False, compare=False)  # keeps the maps of a model on disk

    def __iter__(self) -> Iterator[UnmatchedMap | DamagedMap | MapChange]:
        yield from self.not_compared
        yield from self.changes

    def __repr__(self) -> str:
        drifts = ", ".join(f"{name} {value:.3f}" for name, value in self.drifts.items())
        return f"<Comparison of {len(self.changes)} maps: {drifts}>"

    @property
    def not_compared(self) -> list[UnmatchedMap | DamagedMap]:
        """The unmatched and the damaged maps."""
        return [*map(UnmatchedMap, self.unmatched), *self.damaged]

    @cached_property
    def drifts(self) -> dict[str, float]:
        """The mean of each drift measure over all maps, and the fraction of broken images if true classes are known."""
        means = {name: mean(values) for name, values in self.values.items()}
        counts = self.correctness
        known = sum(counts[state] for state in CORRECTNESS if state != "unknown")
        return {**means, BROKEN: counts[BROKEN] / known} if known else means

    @cached_property
    def values(self) -> dict[str, list[float]]:
        """Each drift measure of all maps."""
        return {name: list(map(drift.compute, self.changes)) for name, drift in DRIFTS.items()}

    @property
    def correctness(self) -> dict[str, int]:
        """The number of images by `CORRECTNESS`."""
        counts = Counter({change.input: change.correctness for change in self.changes}.values())
        return {state: counts[state] for state in CORRECTNESS}

    def most_changed(self, count: int) -> list[MapChange]:
        """Return the maps with the largest rank drift, largest first."""
        return sorted(self.changes, key=lambda change: change.rank)[:count]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the summary: numbers of maps, of images by correctness, and the mean drifts."""
        counts = {"maps": len(self.changes), "unmatched": len(self.unmatched), "failed": len(self.damaged)}
        return {"status": "summary", **counts, "correctness": self.correctness, "drift": dict(self.drifts)}

    def check(self, max_drift: Limits) -> list[str]:
        """Return a message for each limit that is exceeded; none if all are kept.

        Args:
            max_drift: limits of the means such as `{"rank": 0.1, "broken": 0}`, or of quantiles over the maps such as
                `{"rank@q95": 0.3}`; or the texts of `--max-drift`, such as `rank=0.3@q95`.

        Raises:
            UsageError: a limit is wrong, or one of `broken` is given and correctness is not known of all images.
        """
        return failed_messages(self.check_thresholds(_python_thresholds(max_drift)))

    def check_thresholds(self, thresholds: Sequence[MetricThreshold]) -> ThresholdResults:
        """Return the message of each threshold that failed, or None.

        Raises:
            UsageError: as `check`.
        """
        for threshold in thresholds:
            if threshold.metric == BROKEN:
                _require_correctness(self, threshold.option)
        return check_drifts(thresholds, self.drifts, self.values)

    def save_grid(self, path: str | os.PathLike[str], count: int = 8) -> Path:
        """Write a picture of the maps with the largest rank drift, before and after; return its path.

        Args:
            path: a path or a URL; its suffix is that of an image format.
            count: number of maps.

        Raises:
            UsageError: the suffix is another one.
            OutputError: the file cannot be written, or is one of the images.
        """
        from gradcam_cli.evaluation.comparison_export import write_grid

        require_suffix("path", as_path(path), FIGURE_SUFFIXES)
        with self._protected():
            return write_grid(as_path(path), self, count)

    def save_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a CSV file with a row for each of `changes`; return its path.

        Raises:
            OutputError: the file cannot be written, or is one of the images.
        """
        from gradcam_cli.evaluation.comparison_export import write_comparison_csv

        with self._protected():
            return write_comparison_csv(as_path(path), self)

    def save_junit(self, path: str | os.PathLike[str], max_drift: Limits = ()) -> Path:
        """Write JUnit XML with a test case for each image and limit; return its path.

        Args:
            path: a path or a URL.
            max_drift: as for `check`.

        Raises:
            UsageError: as `check`.
            OutputError: the file cannot be written, or is one of the images.
        """
        from gradcam_cli.evaluation.comparison_export import write_comparison_junit

        thresholds = _python_thresholds(max_drift)
        with self._protected():
            return write_comparison_junit(as_path(path), self, thresholds, self.check_thresholds(thresholds))

    def _protected(self) -> Any:
        return protected_inputs(ProtectedInputs(*(change.input for change in self.changes)))

    def _repr_html_(self) -> str:
        rows = [{"drift": name, "mean": f"{value:.4f}"} for name, value in self.drifts.items()]
        counts = {"maps": self.changes, "in one run only": self.unmatched, "damaged": self.damaged}
        notes = [", ".join(f"{len(maps):,} {noun}" for noun, maps in counts.items() if maps)]
        return html_table(rows, [*notes, *(f"{each.source}: {each.error}" for each in self.failures)])


def drift_thresholds(limits: Sequence[MetricLimit], name: str) -> list[MetricThreshold]:
    """Return the thresholds of limits of drifts.

    Args:
        limits: the limits.
        name: of the option or keyword that gives them.

    Raises:
        UsageError: the limit of `broken` is none of the mean.
    """
    for limit in limits:
        if limit.metric == BROKEN and limit.statistic != MEAN:
            raise UsageError(f"{name} {limit}: {BROKEN} is a fraction of the images", f"{BROKEN}=0 allows no image")
    return [MetricThreshold(name, each.metric, "max", each.value, each.statistic) for each in limits]


def _python_thresholds(max_drift: Limits) -> list[MetricThreshold]:
    return drift_thresholds(read_limits("max_drift", max_drift, [*DRIFTS, BROKEN]), "max_drift")


def _require_correctness(comparison: Comparison, name: str) -> None:
    """Check that `broken` is known: an image that only one run has, as after `--only wrong`, may be a broken one."""
    if BROKEN not in comparison.drifts:
        raise UsageError(
            f"{name} broken: no image has a known true class in both runs",
            "run gradcam with --truth and --save npz, or give --truth here",
        )
    if missing := len(comparison.unmatched) + len(comparison.damaged):
        raise UsageError(
            f"{name} broken: {missing:,} maps are missing or damaged in one of the runs",
            "compare two runs over all images, without --only",
        )
