"""The tables in the summary of a report: mean metrics, sanity check, drift."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.metrics.summary import (
    MetricRow,
    SanityStep,
    group_rows,
    insensitive_methods,
)
from gradcam_cli.evaluation.ranking import rank_maps
from gradcam_cli.output.numbers import format_mean, format_number


def mean_metrics_table(rows: Sequence[MetricRow], metrics: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Return the mean of each metric over the images with its interval, by layer and method."""
    ranking = rank_maps(rows, metrics if rows else (), seed)
    maps = group_rows(rows)
    cells = [
        [
            label + (" (baseline)" if key.baseline else ""),
            str(len(maps[key])),
            *(format_mean(each.means[i].mean, each.means[i].interval) for each in ranking.by_metric.values()),
        ]
        for i, (key, label) in enumerate(zip(ranking.maps, ranking.labels, strict=True))
    ]
    title = "Mean metrics (95 % interval over images)"
    return {"title": title, "columns": ["map", "maps", *metrics], "rows": cells}


def sanity_check_table(steps: Sequence[SanityStep]) -> dict[str, Any]:
    """Return the similarity of each method's maps to those of the fully randomized network."""
    insensitive = insensitive_methods(steps)
    last_steps = {(step.layer, step.method): step for step in steps}
    rows = [
        [
            method,
            layer,
            format_number(step.rank),
            format_number(step.ssim),
            "no" if (layer, method) in insensitive else "yes",
        ]
        for (layer, method), step in last_steps.items()
    ]
    columns = ["method", "layer", "rank correlation", "structural similarity", "depends on the weights"]
    return {"title": "Sanity check: all layers randomized", "columns": columns, "rows": rows}


def drift_table(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean and the largest drift of each measure, with the image of the largest."""
    changes = [
        (map_["metrics"], entry["name"]) for entry in entries for map_ in entry["maps"] if map_.get("run") == "after"
    ]
    rows = []
    for name, drift in DRIFTS.items() if changes else ():
        average = mean(values[name] for values, _ in changes)
        largest, image = max(((values[name], image) for values, image in changes), key=lambda change: change[0])
        rows.append([name, drift.title, format_number(average), format_number(largest), image if largest else ""])
    return {"title": "Drift", "columns": ["drift", "description", "mean", "largest", "image"], "rows": rows}
