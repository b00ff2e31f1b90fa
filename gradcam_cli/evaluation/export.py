"""What `gradcam evaluate` writes: lines for a spreadsheet, plots, test cases for CI."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from gradcam_cli.evaluation.junit import JUnitCase, encode_junit
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep
from gradcam_cli.evaluation.plots import draw_evaluation
from gradcam_cli.images.load import Unexplained
from gradcam_cli.output.figures import encode_figure
from gradcam_cli.storage.files import write_output

COLUMNS = ("input", "class_index", "class_name", "probability", "layer")


def write_csv(path: Path, rows: Sequence[MetricRow], metrics: Sequence[str]) -> None:
    """Write a line for every map of every photo."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, "method", "baseline", *metrics])
    for row in rows:
        values = [row.values[name] for name in metrics]
        writer.writerow([*(row.metadata[name] for name in COLUMNS), row.method, int(row.baseline), *values])
    write_output(path, text.getvalue().encode("utf-8", "backslashreplace"))


def write_plots(
    directory: Path, rows: Sequence[MetricRow], metrics: Sequence[str], steps: Sequence[SanityStep]
) -> None:
    """Draw each metric, the curves of those that have one, and the sanity check."""
    for name, figure in draw_evaluation(rows, metrics, steps):
        write_output(directory / f"{name}.png", encode_figure(figure))


def write_junit(
    path: Path, rows: Sequence[MetricRow], failed: Sequence[Unexplained], threshold_results: Mapping[str, str | None]
) -> None:
    """Write a test case for each photo, with its measurements, and one for each limit."""
    outputs: dict[str, list[str]] = {}
    for row in rows:
        known = ", ".join(f"{name} {value:.4f}" for name, value in row.values.items() if value is not None)
        line = f"{row.metadata['class_name'] or row.metadata['class_index']}, {row.method} at {row.metadata['layer']}"
        outputs.setdefault(row.metadata["input"], []).append(f"{line}: {known}")
    cases = [JUnitCase("photos", name, output="\n".join(lines)) for name, lines in outputs.items()]
    cases += [JUnitCase("photos", one.source, error=one.error) for one in failed]
    cases += [JUnitCase("limits", limit, failure=message) for limit, message in threshold_results.items()]
    write_output(path, encode_junit("gradcam evaluate", cases))
