"""The plots in the summary of a report as numbers: the page draws them in its colors and links points to images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.metrics.registry import METRICS, SANITY_PLOT
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep, has_several_layers, map_label, sanity_ranks
from gradcam_cli.reporting.rerun import escape_for_display

MAX_POINTS = 300
"""Points of a row of a plot; of more values, the extremes and evenly spaced ones are drawn."""
Plot = dict[str, Any]
"""`title`: name of the metric; `words`: what it is. `rows` of values, a point per image: label, baseline, mean, total,
and points (value, number of the entry or 0). `lines`: label, baseline, y values at evenly spaced x in 0..1, area."""


def evaluation_plots(
    rows: Sequence[MetricRow], metrics: Sequence[str], steps: Sequence[SanityStep], names: Sequence[str]
) -> list[Plot]:
    """Return the plots of an evaluation: one per metric, and the sanity check.

    Args:
        rows: the maps.
        metrics: names of the metrics.
        steps: of the sanity check.
        names: names of the entries of the page.
    """
    numbers = {name: number for number, name in enumerate(names, 1)}
    groups: dict[str, list[MetricRow]] = {}
    several_layers = has_several_layers(rows)
    for row in sorted(rows, key=lambda row: row.baseline):
        label = map_label(row.method, row.relu)
        groups.setdefault(f"{label} at {row.metadata['layer']}" if several_layers else label, []).append(row)
    plots = [_metric_plot(name, groups, numbers) for name in metrics]
    return [*(plot for plot in plots if plot["rows"] or plot["lines"]), *([_sanity_plot(steps)] if steps else [])]


def _metric_plot(name: str, groups: Mapping[str, Sequence[MetricRow]], numbers: Mapping[str, int]) -> Plot:
    metric = METRICS[name]
    rows, lines = [], []
    for label, group in groups.items():
        baseline = group[0].baseline
        values = [(row.values[name], _entry_number(row.metadata["input"], numbers)) for row in group]
        rows += _row(label, values, baseline)
        if curves := [row.curves[name] for row in group if name in row.curves]:
            curve = np.mean(curves, axis=0)
            area = float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))
            lines.append({"label": label, "baseline": baseline, "values": _rounded(curve), "area": _short(area)})
    return {
        "title": name,
        "words": metric.title,
        "direction": metric.direction,
        "unit": "mosaic" if metric.uses_mosaics else "image",
        "rows": rows,
        "lines": lines,
        "axes": ["fraction of replaced pixels", "mean probability of the class"],
    }


def drift_plot(entries: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Return the plot of the drifts of a comparison, without that of the class: it has changed or not."""
    changes = [
        (number, map_["metrics"])
        for number, entry in enumerate(entries, 1)
        for map_ in entry["maps"]
        if map_.get("run") == "after" and map_["metrics"]
    ]
    names = [name for name in DRIFTS if name != "class-change" and changes]
    rows = [row for name in names for row in _row(name, [(values[name], number) for number, values in changes], False)]
    plot = {"title": "drift", "words": "drift of each map", "direction": "0: no change", "unit": "map"}
    return [{**plot, "rows": rows, "lines": [], "axes": []}] if rows else []


def _entry_number(name: str, numbers: Mapping[str, int]) -> int:
    return numbers.get(escape_for_display(name), 0)


def _row(label: str, values: Iterable[tuple[float | None, int]], baseline: bool) -> list[Plot]:
    points = sorted((_short(value), number) for value, number in values if value is not None)
    if not points:
        return []
    average = _short(mean(value for value, _ in points))
    drawn = _thinned(points)
    return [{"label": label, "baseline": baseline, "mean": average, "total": len(points), "points": drawn}]


def _thinned(points: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return at most `MAX_POINTS` of sorted points: a third from each end, and a third evenly spaced between them."""
    if len(points) <= MAX_POINTS:
        return list(points)
    end = MAX_POINTS // 3
    between = np.linspace(end, len(points) - end - 1, MAX_POINTS - 2 * end).round().astype(int)
    return [*points[:end], *(points[i] for i in between), *points[-end:]]


def _sanity_plot(steps: Sequence[SanityStep]) -> Plot:
    """Return the rank correlation with the trained network's maps, layer by layer."""
    ranks, layers, downstream = sanity_ranks(steps)
    return {
        "title": SANITY_PLOT,
        "words": "similarity to the trained network's maps",
        "direction": f"all layers downstream of the map are randomized from {downstream} on",
        "unit": "layer",
        "rows": [],
        "lines": [{"label": label, "baseline": False, "values": _rounded(values)} for label, values in ranks.items()],
        "ticks": layers,
        "axes": ["layers randomized from the output down to", "rank correlation"],
    }


def _rounded(values: Iterable[float]) -> list[float]:
    return [_short(value) for value in values]


def _short(value: float) -> float:
    """Return a number with four digits."""
    return float(f"{value:.4g}")
