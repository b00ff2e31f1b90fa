"""What an evaluation found: a row a map, its means over photos, and the steps of a sanity check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

WITHOUT_RELU = " without relu"
UNCHANGED_CORRELATION = 0.5
"""Mean rank correlation from which on a map counts as unchanged."""


class MetricRow(NamedTuple):
    """One map of one photo, measured.

    Attributes:
        metadata: what the map is of, as `Explanation.identity` gives it.
        method: its method, and `without relu` where the ReLU is left out.
        baseline: whether it is a map that knows nothing.
        values: by the metrics' names; None where one says nothing of this map.
        curves: probabilities after each step of `deletion` and `insertion`.
        report: where the map's pictures are, and what else a report shows of it.
    """

    metadata: dict[str, Any]
    method: str
    baseline: bool
    values: dict[str, float | None]
    curves: dict[str, list[float]]
    report: dict[str, Any] | None = None


class SanityStep(NamedTuple):
    """How like the trained network's maps those of a partly random one are, the mean over the photos.

    Attributes:
        last_randomized_layer: the layer that was made random last; all after it are random, too.
        all_downstream_randomized: whether by then everything behind the map's layer is random.
        layer: of the map.
        method: of the map.
        rank: rank correlation, -1 to 1.
        ssim: structural similarity, -1 to 1.
    """

    last_randomized_layer: str
    all_downstream_randomized: bool
    layer: str
    method: str
    rank: float
    ssim: float


def summarize(rows: Sequence[MetricRow], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return for every layer and method the mean of each metric over the photos, None where none has it.

    Baselines stand last.
    """
    groups: dict[tuple[str, str], list[MetricRow]] = {}
    for row in sorted(rows, key=lambda row: row.baseline):
        groups.setdefault((row.metadata["layer"], row.method), []).append(row)
    return [
        {
            "layer": layer,
            "method": method,
            "baseline": group[0].baseline,
            "maps": len(group),
            **{name: _mean([row.values[name] for row in group]) for name in metrics},
        }
        for (layer, method), group in groups.items()
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def insensitive_methods(steps: Sequence[SanityStep]) -> list[tuple[str, str]]:
    """Return (layer, method) of the maps that stay as they are when all behind their layer is random."""
    first: dict[tuple[str, str], float] = {}
    for step in steps:
        if step.all_downstream_randomized:
            first.setdefault((step.layer, step.method), step.rank)
    return [which for which, rank in first.items() if rank >= UNCHANGED_CORRELATION]
