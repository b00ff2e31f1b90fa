"""Thresholds on metrics, and the messages of those that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple


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

    def message(self, values: Sequence[str], undefined: Sequence[str] = ()) -> str:
        """Return the message of a failed threshold.

        Args:
            values: the means that are outside the range, as text.
            undefined: the maps without a mean.
        """
        verb, side = "are" if len(values) > 1 else "is", "below" if self.kind == "min" else "above"
        outside = [f"{', '.join(values)} {verb} {side} {self.value:g}"] if values else []
        without = [f"undefined for {', '.join(undefined)}, limit {self.value:g}"] if undefined else []
        return f"{self.metric} {'; '.join([*outside, *without])} ({self.option})"

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
        names = {f"{mean['method']} at {mean['layer']}": mean[threshold.metric] for mean in failed}
        values = [f"{value:.3f} ({name})" for name, value in names.items() if value is not None]
        undefined = [name for name, value in names.items() if value is None]
        results[threshold.text] = threshold.message(values, undefined) if failed else None
    return results


def check_drifts(thresholds: Sequence[MetricThreshold], drifts: Mapping[str, float]) -> ThresholdResults:
    """Check the mean drifts of a comparison."""
    return {
        threshold.text: threshold.message([f"{drifts[threshold.metric]:.4f}"])
        if threshold.fails(drifts[threshold.metric])
        else None
        for threshold in thresholds
    }
