"""Thresholds on metrics: for the mean, or for a quantile over the images; and the messages of those that fail."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.metrics.summary import MetricRow, group_rows, mean_value, measured_rows
from gradcam_cli.near_matches import did_you_mean

MEAN = "mean"
_PERCENTS = {"min": 0, "max": 100}
STATISTIC_PATTERN = "mean|min|max|q[0-9]{1,2}"
"""The texts after `@`; `q05` is the quantile of 5 %."""


class MetricLimit(NamedTuple):
    """A limit as it is typed: `METRIC=VALUE`, or `METRIC=VALUE@STATISTIC`.

    Attributes:
        metric: name of the metric.
        value: the limit.
        statistic: what is compared with the limit: `mean`, `min`, `max` or a quantile such as `q05`.
    """

    metric: str
    value: float
    statistic: str = MEAN

    def __str__(self) -> str:
        return f"{self.metric}={self.value:g}{'' if self.statistic == MEAN else f'@{self.statistic}'}"


def parse_limit(text: str) -> MetricLimit | None:
    """Return the limit that a text describes, or None if it describes none; the metric is not checked."""
    match = re.fullmatch(rf"([^=]+)=([^@]+)(?:@({STATISTIC_PATTERN}))?", text)
    try:
        value = float(match[2]) if match else math.nan
    except ValueError:
        value = math.nan
    return MetricLimit(match[1], value, match[3] or MEAN) if match and value >= 0 else None


Limits = str | Sequence[str] | Mapping[str, float]
"""Limits of Python programs: texts as they are typed, or a mapping such as `{"rank": 0.1, "ssim@q95": 0.3}`."""


def require_limit(name: str, text: str, metrics: Collection[str]) -> MetricLimit:
    """Return the limit that a text describes.

    Args:
        name: of the option or keyword.
        text: what was given.
        metrics: names of the metrics.

    Raises:
        UsageError: the text is no limit, or the metric does not exist.
    """
    limit = parse_limit(text)
    if limit and limit.metric in metrics:
        return limit
    metric = text.partition("=")[0]
    example = f"{next(iter(metrics))}=0.1"
    raise UsageError(
        f"{name} {text}: expected one of {', '.join(metrics)} with a limit, such as {example}",
        did_you_mean(metric, metrics)
        if metric not in metrics
        else f"{example} limits the mean; {example}@q95, @min and @max limit a quantile over the images",
    )


def read_limits(name: str, limits: Limits, metrics: Collection[str]) -> list[MetricLimit]:
    """Return the limits of a Python program.

    Raises:
        UsageError: one is no limit, or its metric does not exist.
    """
    if isinstance(limits, Mapping):
        parts = ((*key.partition("@"), value) for key, value in limits.items())
        texts = [f"{metric}={value}{at}{statistic}" for metric, at, statistic, value in parts]
    else:
        texts = [limits] if isinstance(limits, str) else list(limits)
    return [require_limit(name, text, metrics) for text in texts]


class MetricThreshold(NamedTuple):
    """A threshold for a metric.

    Attributes:
        option: the command-line option or keyword that sets it.
        metric: name of the metric.
        kind: `min` or `max`.
        value: the smallest or largest value that passes.
        statistic: what is compared with it, as in `MetricLimit`.
    """

    option: str
    metric: str
    kind: Literal["min", "max"]
    value: float
    statistic: str = MEAN

    @property
    def text(self) -> str:
        """The threshold as it is typed."""
        return f"{self.option} {MetricLimit(self.metric, self.value, self.statistic)}"

    @property
    def per_image(self) -> bool:
        """Whether the images have to pass one by one, except for the fraction that a quantile allows."""
        return self.statistic != MEAN

    def message(self, values: Sequence[str], undefined: Sequence[str] = ()) -> str:
        """Return the message of a failed threshold.

        Args:
            values: the values of the statistic that are outside the range, as text.
            undefined: the maps without a value.
        """
        verb, side = "are" if len(values) > 1 else "is", "below" if self.kind == "min" else "above"
        outside = [f"{', '.join(values)} {verb} {side} {self.value:g}"] if values else []
        without = [f"undefined for {', '.join(undefined)}, limit {self.value:g}"] if undefined else []
        statistic = f"{self.statistic} of " if self.per_image else ""
        return f"{statistic}{self.metric} {'; '.join([*outside, *without])} ({self.option})"

    def fails(self, value: float | None) -> bool:
        """Return whether a value is outside the range; a missing value is."""
        return value is None or (value < self.value if self.kind == "min" else value > self.value)

    def measure(self, values: Sequence[float | None]) -> float | None:
        """Return the statistic of the values of all images, or None if it is undefined.

        The quantile q is the value that at most the fraction q of the images is below; with an upper limit, the value
        that at most the fraction 1 - q is above. An image without a value counts as one outside the range.
        """
        if not self.per_image:
            return mean_value(values)
        worst = -math.inf if self.kind == "min" else math.inf
        worst_first = sorted((worst if v is None else v for v in values), reverse=self.kind == "max")
        percent = _PERCENTS.get(self.statistic)
        percent = int(self.statistic[1:]) if percent is None else percent
        allowed = len(values) * (percent if self.kind == "min" else 100 - percent) // 100
        found = worst_first[min(allowed, len(values) - 1)] if values else worst
        return found if math.isfinite(found) else None


def metric_thresholds(
    fail_under: Sequence[MetricLimit],
    fail_above: Sequence[MetricLimit],
    names: tuple[str, str] = ("--fail-under", "--fail-above"),
) -> list[MetricThreshold]:
    """Return the thresholds of lower and of upper limits.

    Args:
        fail_under: lower limits.
        fail_above: upper limits.
        names: of the options or keywords that give them.
    """
    return [
        *(MetricThreshold(names[0], each.metric, "min", each.value, each.statistic) for each in fail_under),
        *(MetricThreshold(names[1], each.metric, "max", each.value, each.statistic) for each in fail_above),
    ]


ThresholdResults = dict[str, str | None]
"""The message of each threshold that failed, or None, by the threshold's text."""


def failed_messages(results: ThresholdResults) -> list[str]:
    """Return the messages of the thresholds that failed."""
    return [message for message in results.values() if message]


def check_metrics(thresholds: Sequence[MetricThreshold], rows: Sequence[MetricRow]) -> ThresholdResults:
    """Check the maps of all methods; baselines and maps without ReLU are exempt."""
    groups = {key: group for key, group in group_rows(rows).items() if key.relu and not key.baseline}
    results: ThresholdResults = {}
    for threshold in thresholds:
        found = {}
        for key, group in groups.items():
            values = [row.values[threshold.metric] for row in measured_rows(group, threshold.metric)]
            found[key.label(with_layer=True)] = threshold.measure(values)
        failed = {name: value for name, value in found.items() if threshold.fails(value)}
        outside = [f"{value:.3f} ({name})" for name, value in failed.items() if value is not None]
        undefined = [name for name, value in failed.items() if value is None]
        results[threshold.text] = threshold.message(outside, undefined) if failed else None
    return results


def check_drifts(
    thresholds: Sequence[MetricThreshold], drifts: Mapping[str, float], values: Mapping[str, Sequence[float]]
) -> ThresholdResults:
    """Check the drifts of a comparison.

    Args:
        thresholds: upper limits.
        drifts: the mean of each drift measure.
        values: the drift of each map, by measure; those of a threshold for a quantile are required.
    """
    results: ThresholdResults = {}
    for threshold in thresholds:
        name = threshold.metric
        found = threshold.measure(values[name]) if threshold.per_image else drifts[name]
        message = threshold.message([] if found is None else [f"{found:.4f}"], ["the maps"] * (found is None))
        results[threshold.text] = message if threshold.fails(found) else None
    return results


def failures_of_image(
    thresholds: Sequence[MetricThreshold],
    results: ThresholdResults,
    values: Mapping[str, float | None],
    name: str,
) -> list[str]:
    """Return the messages of a map that is outside the range of failed thresholds for single images.

    Args:
        thresholds: all thresholds.
        results: their results; a map outside the range of a passed quantile is one of those that it allows.
        values: the values of the map, by metric; it cannot miss the thresholds of others.
        name: name of the map.
    """
    messages = []
    for threshold in thresholds:
        if threshold.metric not in values:
            continue
        value = values[threshold.metric]
        if threshold.per_image and results[threshold.text] and threshold.fails(value):
            outside = [] if value is None else [f"{value:.4g} ({name})"]
            messages.append(threshold._replace(statistic=MEAN).message(outside, [] if outside else [name]))
    return messages
