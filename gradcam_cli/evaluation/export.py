"""Files of an evaluation: CSV rows, plots, and test cases for CI."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_cli.evaluation.junit import JUnitCase, encode_junit
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep, map_label
from gradcam_cli.evaluation.plots import draw_evaluation
from gradcam_cli.evaluation.results import EvaluationResults
from gradcam_cli.evaluation.thresholds import ThresholdResults
from gradcam_cli.images.load import Unexplained
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.storage.files import write_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters with which formulas start, also in full width (OWASP, CSV injection)."""
METADATA_COLUMNS = ("input", "class_index", "class_name", "probability", "layer")


def write_files(
    results: EvaluationResults, *, csv: Path | None = None, plots: Path | None = None, junit_xml: Path | None = None
) -> None:
    """Write the requested files; `plots` is a directory.

    Raises:
        OutputError: a file cannot be written.
    """
    if csv:
        write_csv(csv, results.rows, results.metrics)
    if plots and results.rows:
        write_plots(plots, results.rows, results.metrics, results.steps)
    if junit_xml:
        write_junit(junit_xml, results.rows, results.failures, results.threshold_results)


def write_csv(path: Path, rows: Sequence[MetricRow], metrics: Sequence[str]) -> None:
    """Write one row per map."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*METADATA_COLUMNS, "method", "relu", "baseline", *metrics])
    for row in rows:
        metadata = [row.metadata[name] for name in METADATA_COLUMNS]
        values = [row.values[name] for name in metrics]
        cells = [*metadata, row.method, int(row.relu), int(row.baseline), *values]
        writer.writerow([escape_formula(cell) for cell in cells])
    write_output(path, text.getvalue().encode("utf-8", "backslashreplace"))


def escape_formula(cell: Any) -> Any:
    """Return a CSV cell; text that a spreadsheet would run as a formula is preceded by an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def write_plots(
    directory: Path, rows: Sequence[MetricRow], metrics: Sequence[str], steps: Sequence[SanityStep]
) -> None:
    """Write one plot per metric, and one of the sanity check."""
    for name, figure in draw_evaluation(rows, metrics, steps):
        write_plot(directory, name, figure)


def write_plot(directory: Path, name: str, figure: Figure) -> None:
    """Write one plot."""
    write_output(directory / f"{name}.png", encode_figure(figure), directory)


def write_junit(
    path: Path, rows: Sequence[MetricRow], failures: Sequence[Unexplained], threshold_results: ThresholdResults
) -> None:
    """Write one test case per image, with its metrics as output, and one per threshold."""
    outputs: dict[str, list[str]] = {}
    for row in rows:
        outputs.setdefault(row.metadata["input"], []).append(_format_row(row))
    cases = [JUnitCase("images", name, output="\n".join(lines)) for name, lines in outputs.items()]
    cases += [JUnitCase("images", failure.source, error=failure.error) for failure in failures]
    cases += [JUnitCase("thresholds", text, failure=message) for text, message in threshold_results.items()]
    write_output(path, encode_junit("gradcam evaluate", cases))


def _format_row(row: MetricRow) -> str:
    class_name = row.metadata["class_name"] or row.metadata["class_index"]
    values = ", ".join(f"{name} {value:.4f}" for name, value in row.values.items() if value is not None)
    return f"{class_name}, {map_label(row.method, row.relu)} at {row.metadata['layer']}: {values}"
