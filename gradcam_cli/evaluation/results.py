"""The results of an evaluation, and their JSON objects."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

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
from gradcam_cli.evaluation.thresholds import MetricThreshold, ThresholdResults, check_metrics
from gradcam_cli.images.load import Unexplained
from gradcam_cli.output.numbers import format_mean


@dataclass
class EvaluationResults:
    """All results of an evaluation.

    Attributes:
        metrics: names of the metrics.
        rows: metrics of the maps of all images.
        failures: inputs that were not evaluated.
        steps: steps of the sanity check.
        thresholds: limits for the metrics.
        threshold_results: the message of each threshold that failed, or None, by the threshold's text.
        seed: of the bootstrap intervals.
    """

    metrics: Sequence[str]
    rows: list[MetricRow] = field(default_factory=list, repr=False)
    failures: list[Unexplained] = field(default_factory=list)
    steps: list[SanityStep] = field(default_factory=list, repr=False)
    thresholds: Sequence[MetricThreshold] = ()
    threshold_results: ThresholdResults = field(default_factory=dict)
    seed: int = 0
    _ranking: tuple[int, Ranking] | None = field(default=None, repr=False)

    def add(self, result: list[MetricRow] | Unexplained) -> None:
        """Add the result of an image."""
        if isinstance(result, Unexplained):
            self.failures.append(result)
        else:
            self.rows += result

    def check(self, thresholds: Sequence[MetricThreshold]) -> None:
        """Set the thresholds and their results."""
        self.thresholds, self.threshold_results = thresholds, check_metrics(thresholds, self.rows)

    @property
    def num_images(self) -> int:
        """The number of evaluated images, without mosaics."""
        return len({row.metadata["input"] for row in self.rows if row.tiles is None})

    @property
    def mosaics(self) -> MosaicCounts | None:
        """The mosaics and the number of valid cases, or None without mosaics."""
        return count_mosaics(self.rows)

    @property
    def ranking(self) -> Ranking:
        """The means with their intervals and ranks."""
        if not self._ranking or self._ranking[0] != len(self.rows):
            self._ranking = len(self.rows), rank_maps(self.rows, self.metrics, self.seed)
        return self._ranking[1]

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
        rows = self.mean_rows
        heads = "".join(f"<th>{escape(name)}</th>" for name in rows[0]) if rows else ""
        cells = ("".join(f"<td>{escape(str(value))}</td>" for value in row.values()) for row in rows)
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        failures = "".join(f"<p>{escape(f'{each.source}: {each.error}')}</p>" for each in self.failures)
        notes = "".join(f"<p>{escape(message)}</p>" for message in self.undefined_messages)
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{notes}{failures}"

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

    def summary(self) -> dict[str, Any]:
        """Return the JSON object of the summary."""
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
            "failed_thresholds": [message for message in self.threshold_results.values() if message],
        }


def result_to_json(result: list[MetricRow] | Unexplained) -> list[dict[str, Any]]:
    """Return the JSON objects of an image: one per map, or one with the error."""
    if isinstance(result, Unexplained):
        return [{"status": "failed", "input": result.source, "error": result.error, "hint": result.hint}]
    return [_row_to_json(row) for row in result]


def _row_to_json(row: MetricRow) -> dict[str, Any]:
    values = {"relu": row.relu, "baseline": row.baseline, "metrics": row.values, "curves": row.curves}
    further = {key: value for key, value in (("report", row.report), ("tiles", row.tiles)) if value}
    return {"status": "ok", **row.metadata, **values, **further}


def step_to_json(step: SanityStep) -> dict[str, Any]:
    """Return the JSON object of a step of the sanity check."""
    return {"status": "sanity", **step._asdict()}
