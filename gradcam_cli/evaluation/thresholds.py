"""Thresholds on metrics, and the messages of those that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from gradcam_cli.output.numbers import format_number


class MetricThreshold(NamedTuple):
    """A threshold for the mean of a metric.

    Attributes:
        option: the command-line option that sets it.
        metric: name of the metric.
        kind: `min` or `max`.
        value: the smallest or largest mean that passes.
    """

    option: str
    metric: str
    kind: Literal["min", "max"]
    value: float

    @property
    def text(self) -> str:
        """The threshold as it is typed."""
        return f"{self.option} {self.metric}={self.value:g}"

    @property
    def expected(self) -> str:
        """The required range, in words."""
        return f"expected {'at least' if self.kind == 'min' else 'at most'} {self.value:g}"

    def fails(self, mean: float | None) -> bool:
        """Return whether a mean is outside the range; a missing mean is."""
        return mean is None or (mean < self.value if self.kind == "min" else mean > self.value)


ThresholdResults = dict[str, str | None]
"""The message of each threshold that failed, or None, by the threshold's text."""


def check_means(thresholds: Sequence[MetricThreshold], mean_metrics: Sequence[Mapping[str, Any]]) -> ThresholdResults:
    """Check the means of all methods; baselines and maps without ReLU are exempt."""
    means = [mean for mean in mean_metrics if mean["relu"] and not mean["baseline"]]
    results: ThresholdResults = {}
    for threshold in thresholds:
        failed = [mean for mean in means if threshold.fails(mean[threshold.metric])]
        got = ", ".join(
            f"{format_number(mean[threshold.metric])} ({mean['method']} at {mean['layer']})" for mean in failed
        )
        results[threshold.text] = f"{threshold.metric}: {threshold.expected}, got {got}" if failed else None
    return results


def check_drifts(thresholds: Sequence[MetricThreshold], drifts: Mapping[str, float]) -> ThresholdResults:
    """Check the mean drifts of a comparison."""
    return {
        threshold.text: f"drift of {threshold.metric}: {threshold.expected}, got {drifts[threshold.metric]:.4f}"
        if threshold.fails(drifts[threshold.metric])
        else None
        for threshold in thresholds
    }
