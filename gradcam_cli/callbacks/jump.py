"""Limits of the drift from one epoch to the next, and what follows if it exceeds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradcam_cli.callbacks.epoch_maps import EpochMaps, num_lost
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.thresholds import MetricThreshold, check_drifts, parse_limit
from gradcam_cli.near_matches import did_you_mean

ON_JUMP = ("warn", "stop")


def parse_limits(texts: str | Iterable[str]) -> tuple[MetricThreshold, ...]:
    """Return the limits of `max_drift`, written as for `gradcam compare --max-drift`.

    Raises:
        UsageError: a text is none, or of another measure.
    """
    return tuple(_parse(text) for text in ([texts] if isinstance(texts, str) else texts))


def _parse(text: str) -> MetricThreshold:
    limit = parse_limit(text) if isinstance(text, str) else None
    if limit is None or limit.metric not in DRIFTS:
        hint = did_you_mean(limit.metric, DRIFTS) if limit else None
        raise UsageError(f"max_drift: expected MEASURE=VALUE with {', '.join(DRIFTS)}, got {text!r}", hint)
    return MetricThreshold("max_drift", limit.metric, "max", limit.value, limit.statistic)


def find_jumps(limits: Sequence[MetricThreshold], before: EpochMaps, now: EpochMaps) -> list[str]:
    """Return what jumped since the epoch before: each limit that is exceeded, and images that lost their map."""
    if not limits:
        return []
    lost = num_lost(before, now)
    messages = [f"{lost} of {len(now.images)} images have no map any more"] if lost else []
    drift = {name: [v for v in values if v is not None] for name, values in now.drift["last"].items()}
    if not all(drift.values()):
        return messages
    return [*messages, *filter(None, check_drifts(limits, now.mean_drift("last"), drift).values())]
