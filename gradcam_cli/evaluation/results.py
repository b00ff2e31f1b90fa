"""The results of an evaluation."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_cli.evaluation.agreement import Agreement, BelowBaseline, agreement, below_baselines
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import (
    MetricRow,
    MosaicCounts,
    SanityStep,
    Undefined,
    count_mosaics,
    count_undefined,
    has_several_layers,
    insensitive_methods,
    summarize,
)
from gradcam_cli.evaluation.ranking import Ranking, rank_maps
from gradcam_cli.evaluation.thresholds import (
    Limits,
    MetricThreshold,
    ThresholdResults,
    check_metrics,
    failed_messages,
    metric_thresholds,
    read_limits,
)
from gradcam_cli.images.load import Unexplained
from gradcam_cli.output.html_table import html_table
from gradcam_cli.output.numbers import format_mean
from gradcam_cli.storage.paths import as_path
from gradcam_cli.storage.protected import ProtectedInputs, protected_inputs

if TYPE_CHECKING:
    from gradcam_cli.evaluation.mosaics.pictures import MosaicPictures


Record = MetricRow | Unexplained | SanityStep
"""One result of an evaluation, with a JSON object."""


@dataclass(frozen=True)
class EvaluationResults:
    """All results of an evaluation, the result of `evaluate`.

    Its items are `records`. `to_dict` of each item and of the results give the lines of `gradcam evaluate --json`.

    Attributes:
        metrics: names of the metrics.
        records: in the order of the images, a `MetricRow` for each map and baseline, or a `Failure`; then the steps of
            the sanity check.
        seed: of the bootstrap intervals.
        thresholds: the limits of the command.
        pictures: some of the mosaics, which `save_plots` draws.
    """

    metrics: Sequence[str]
    records: tuple[Record, ...] = field(repr=False)
    seed: int = 0
    thresholds: Sequence[MetricThreshold] = field(default=(), repr=False)
    pictures: MosaicPictures | None = field(default=None, repr=False, compare=False)

    def __iter__(self) -> Iterator[Record]:
        yield from self.records

    def __repr__(self) -> str:
        return f"<EvaluationResults: images {self.num_images}, maps {len(self.rows)}; {', '.join(self.metrics)}>"

    @cached_property
    def rows(self) -> list[MetricRow]:
        """The metrics of the maps of all images."""
        return [each for each in self.records if isinstance(each, MetricRow)]

    @cached_property
    def failures(self) -> list[Unexplained]:
        """The images that were not evaluated."""
        return [each for each in self.records if isinstance(each, Unexplained)]

    @cached_property
    def steps(self) -> list[SanityStep]:
        """The steps of the sanity check."""
        return [each for each in self.records if isinstance(each, SanityStep)]

    @cached_property
    def threshold_results(self) -> ThresholdResults:
        """The message of each of `thresholds` that failed, or None, by its text."""
        return check_metrics(self.thresholds, self.rows)

    def check(self, *, fail_under: Limits = (), fail_above: Limits = ()) -> list[str]:
        """Return a message for each limit that a method misses; none if all are kept. Baselines are exempt.

        Args:
            fail_under: lower limits of the means such as `{"pointing-game": 0.9}`, or of quantiles over the images such
                as `{"insertion@q05": 0.2}`; or the texts of `--fail-under`, such as `insertion=0.2@q05`.
            fail_above: upper limits.

        Raises:
            UsageError: a limit is wrong, or its metric was not computed.
        """
        return failed_messages(check_metrics(self._limits(fail_under, fail_above), self.rows))

    def _limits(self, fail_under: Limits, fail_above: Limits) -> list[MetricThreshold]:
        under, above = (
            read_limits(name, limits, self.metrics)
            for name, limits in (("fail_under", fail_under), ("fail_above", fail_above))
        )
        return metric_thresholds(under, above, ("fail_under", "fail_above"))

    def save_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a CSV file with a row for each map; return its path.

        Raises:
            OutputError: the file cannot be written, or is one of the images.
        """
        from gradcam_cli.evaluation.export import write_csv

        with self._protected():
            return write_csv(as_path(path), self.rows, self.metrics)

    def save_summary_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a CSV file with mean, 95 % interval and rank of each method and metric; otherwise as `save_csv`."""
        from gradcam_cli.evaluation.export import write_summary_csv

        with self._protected():
            return write_summary_csv(as_path(path), self)

    def save_plots(self, directory: str | os.PathLike[str]) -> Path:
        """Write a plot of each metric, of the sanity check and of some mosaics; return the directory.

        Raises:
            OutputError: as `save_csv`.
        """
        from gradcam_cli.evaluation.export import write_plots

        with self._protected():
            return write_plots(as_path(directory), self)

    def save_junit(self, path: str | os.PathLike[str], *, fail_under: Limits = (), fail_above: Limits = ()) -> Path:
        """Write JUnit XML with a test case for each image and limit of `check`; return its path.

        Raises:
            UsageError, OutputError: as `check` and `save_csv`.
        """
        from gradcam_cli.evaluation.export import write_junit

        with self._protected():
            return write_junit(as_path(path), replace(self, thresholds=self._limits(fail_under, fail_above)))

    def _protected(self) -> AbstractContextManager[ProtectedInputs]:
        names = {row.metadata["input"] for row in self.rows if row.tiles is None}
        return protected_inputs(ProtectedInputs(*names, *(each.source for each in self.failures)))

    @property
    def num_images(self) -> int:
        """The number of evaluated images, without mosaics."""
        return len({row.metadata["input"] for row in self.rows if row.tiles is None})

    @property
    def mosaics(self) -> MosaicCounts | None:
        """The mosaics and the number of valid cases, or None without mosaics."""
        return count_mosaics(self.rows)

    @cached_property
    def ranking(self) -> Ranking:
        """The means with their intervals and ranks."""
        return rank_maps(self.rows, self.metrics, self.seed)

    @property
    def agreement(self) -> Agreement:
        """Whether the metrics agree on the order of the methods."""
        return agreement(self.ranking)

    @property
    def below_baselines(self) -> list[BelowBaseline]:
        """The methods that are not better than a baseline."""
        return below_baselines(self.ranking)

    @property
    def mean_metrics(self) -> list[dict[str, Any]]:
        """The mean metrics of every layer and method; intervals, numbers of images and ranks by metric."""
        fields = {"intervals": "interval", "images": "images", "ranks": "rank"}
        return [
            {
                **means,
                **{
                    key: {name: getattr(each.means[i], attribute) for name, each in self.ranking.by_metric.items()}
                    for key, attribute in fields.items()
                },
            }
            for i, means in enumerate(summarize(self.rows, self.metrics))
        ]

    @property
    def mean_rows(self) -> list[dict[str, Any]]:
        """The means as the rows of a table, with the metrics and their intervals as text."""
        several_layers = has_several_layers(self.rows)
        return [
            {
                "map": key.label(with_layer=False) + (" (baseline)" if key.baseline else ""),
                **({"layer": key.layer} if several_layers else {}),
                "maps": mean["maps"],
                **{name: format_mean(mean[name], mean["intervals"][name]) for name in self.metrics},
            }
            for key, mean in zip(self.ranking.maps, self.mean_metrics, strict=True)
        ]

    def _repr_html_(self) -> str:
        """Return the means as a table, and the failures below it."""
        failures = (f"{each.source}: {each.error}" for each in self.failures)
        return html_table(self.mean_rows, [*self.undefined_messages, *failures])

    @property
    def insensitive_methods(self) -> list[str]:
        """The maps that do not depend on the trained weights, as `method at layer`."""
        return [f"{method} at {layer}" for layer, method in insensitive_methods(self.steps)]

    @property
    def undefined(self) -> list[Undefined]:
        """The metrics that some maps have no value of."""
        return count_undefined(self.rows, self.metrics)

    @property
    def undefined_messages(self) -> list[str]:
        """One line for each metric that some maps have no value of: which maps, and why."""
        messages = []
        for name, group in itertools.groupby(self.undefined, lambda each: each.metric):
            counted = ", ".join(f"{each.method} at {each.layer} ({each.undefined} of {each.maps})" for each in group)
            messages.append(f"{name} has no value for {counted}: {METRICS[name].condition}")
        return messages

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the summary: the means, their intervals and ranks, and what to conclude."""
        return {
            "status": "summary",
            "images": self.num_images,
            "failed": len(self.failures),
            "mosaics": self.mosaics and self.mosaics._asdict(),
            "mean_metrics": self.mean_metrics,
            "undefined": [each._asdict() for each in self.undefined],
            "agreement": self.agreement.to_json(),
            "below_baselines": [each._asdict() for each in self.below_baselines],
            "insensitive_methods": self.insensitive_methods,
            "failed_thresholds": failed_messages(self.threshold_results),
        }
