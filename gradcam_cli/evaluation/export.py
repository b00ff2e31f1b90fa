"""Files of an evaluation: CSV rows, plots, and test cases for CI."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_cli.evaluation.junit import JUnitCase, encode_junit, image_case, threshold_cases
from gradcam_cli.evaluation.metrics.registry import MOSAIC_PLOT
from gradcam_cli.evaluation.metrics.summary import MetricRow, map_label, measured_rows
from gradcam_cli.evaluation.plots import draw_evaluation
from gradcam_cli.evaluation.results import EvaluationResults
from gradcam_cli.evaluation.thresholds import failures_of_image
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.storage.files import write_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters with which formulas start, also in full width (OWASP, CSV injection)."""
METADATA_COLUMNS = ("input", "class_index", "class_name", "probability", "layer")
SUMMARY_COLUMNS = ("metric", "layer", "method", "relu", "baseline", "mean", "low", "high", "images", "rank")


def write_csv(path: Path, rows: Sequence[MetricRow], metrics: Sequence[str]) -> Path:
    """Write one row per map."""
    cells = (
        [
            *(row.metadata[name] for name in METADATA_COLUMNS),
            *(row.method, int(row.relu), int(row.baseline)),
            *(row.values[name] for name in metrics),
        ]
        for row in rows
    )
    return write_rows(path, [*METADATA_COLUMNS, "method", "relu", "baseline", *metrics], cells)


def write_summary_csv(path: Path, results: EvaluationResults) -> Path:
    """Write one row per metric, layer and method."""
    cells = (
        [
            metric,
            key.layer,
            key.method,
            int(key.relu),
            int(key.baseline),
            each.mean,
            *(each.interval or (None, None)),
            each.images,
            each.rank,
        ]
        for metric, ranking in results.ranking.by_metric.items()
        for key, each in zip(results.ranking.maps, ranking.means, strict=True)
    )
    return write_rows(path, SUMMARY_COLUMNS, cells)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV file; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([escape_formula(cell) for cell in row] for row in rows)
    return write_output(path, text.getvalue().encode("utf-8", "backslashreplace"))


def escape_formula(cell: Any) -> Any:
    """Return a CSV cell; text that a spreadsheet would run as a formula is preceded by an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def write_plots(directory: Path, results: EvaluationResults) -> Path:
    """Write one plot per metric, one of the sanity check, and one of some mosaics."""
    for name, figure in draw_evaluation(results.rows, results.metrics, results.steps) if results.rows else ():
        _write_plot(directory, name, figure)
    if results.pictures and (mosaics := results.pictures.figure()):
        _write_plot(directory, MOSAIC_PLOT, mosaics)
    return directory


def _write_plot(directory: Path, name: str, figure: Figure) -> None:
    write_output(directory / f"{name}.png", encode_figure(figure), directory)


def write_junit(path: Path, results: EvaluationResults) -> Path:
    """Write one test case per image, with its metrics as output, and one per threshold.

    An image fails with each failed threshold for single images that one of its maps misses.
    """
    outputs: dict[str, list[str]] = {}
    messages: dict[str, list[str]] = {}
    for row in results.rows:
        name = row.metadata["input"]
        outputs.setdefault(name, []).append(_format_row(row))
        if row.relu and not row.baseline:
            map_name = f"{row.method} at {row.metadata['layer']}"
            values = {metric: row.values[metric] for metric in results.metrics if measured_rows([row], metric)}
            failed = failures_of_image(results.thresholds, results.threshold_results, values, map_name)
            messages.setdefault(name, []).extend(failed)
    cases = [image_case(name, messages.get(name, ()), lines) for name, lines in outputs.items()]
    cases += [JUnitCase("images", failure.source, error=failure.error) for failure in results.failures]
    return write_output(path, encode_junit("gradcam evaluate", [*cases, *threshold_cases(results.threshold_results)]))


def _format_row(row: MetricRow) -> str:
    class_name = row.metadata["class_name"] or row.metadata["class_index"]
    values = ", ".join(f"{name} {value:.4f}" for name, value in row.values.items() if value is not None)
    return f"{class_name}, {map_label(row.method, row.relu)} at {row.metadata['layer']}: {values}"
