"""Files of a comparison of two runs: a grid of maps, CSV rows, and test cases for CI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradcam_cli.evaluation.comparison import Comparison
from gradcam_cli.evaluation.drift import DRIFTS, MapChange
from gradcam_cli.evaluation.export import write_rows
from gradcam_cli.evaluation.junit import JUnitCase, encode_junit, image_case, threshold_cases
from gradcam_cli.evaluation.plots import drift_grid
from gradcam_cli.evaluation.thresholds import MetricThreshold, ThresholdResults, failures_of_image
from gradcam_cli.output.destination import format_for_suffix
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.storage.files import write_output

CHANGE_COLUMNS = ("name", "input", "class_before", "class_after", "correctness", *DRIFTS)


def write_grid(path: Path, comparison: Comparison, count: int) -> Path:
    """Draw the maps that changed most."""
    figure = drift_grid(comparison.most_changed(count), comparison.before, comparison.after)
    return write_output(path, encode_figure(figure, format_for_suffix(path)))


def write_comparison_csv(path: Path, comparison: Comparison) -> Path:
    """Write one row per map that both runs have; classes are names, or indices of classes without a name."""
    return write_rows(path, CHANGE_COLUMNS, map(_change_cells, comparison.changes))


def _change_cells(change: MapChange) -> list[Any]:
    classes = (c.index if c.name is None else c.name for c in (change.class_before, change.class_after))
    return [change.name, change.input, *classes, change.correctness, *change.drifts.values()]


def write_comparison_junit(
    path: Path, comparison: Comparison, thresholds: Sequence[MetricThreshold], results: ThresholdResults
) -> Path:
    """Write test cases: one per image, with its drifts as output, one per threshold, and one per uncompared map.

    An image fails with each failed threshold for single images that one of its maps misses.
    """
    images: dict[str, list[MapChange]] = {}
    for change in comparison.changes:
        images.setdefault(change.input, []).append(change)
    cases = [
        image_case(
            name,
            [text for each in changes for text in failures_of_image(thresholds, results, each.drifts, each.name)],
            list(map(_format_change, changes)),
        )
        for name, changes in images.items()
    ]
    cases += [JUnitCase("images", name, error=error) for name, error in _errors(comparison)]
    return write_output(path, encode_junit("gradcam compare", [*cases, *threshold_cases(results)]))


def _errors(comparison: Comparison) -> Iterator[tuple[str, str]]:
    yield from ((damaged.name, damaged.error) for damaged in comparison.damaged)
    yield from ((name, "in one run only") for name in comparison.unmatched)


def _format_change(change: MapChange) -> str:
    drifts = ", ".join(f"{name} {value:.4f}" for name, value in change.drifts.items())
    return f"{change.name}, {change.class_before.label} -> {change.class_after.label}: {drifts}"
