"""What `gradcam evaluate` writes: lines for a spreadsheet, plots, test cases for CI."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from gradcam_cli.evaluation.junit import Case, encode_junit
from gradcam_cli.evaluation.metrics.summary import Row, Step
from gradcam_cli.evaluation.plots import draw_evaluation
from gradcam_cli.images.load import Unexplained
from gradcam_cli.output.figures import encode_figure
from gradcam_cli.storage.files import write

COLUMNS = ("input", "class_index", "class_name", "probability", "layer")


def write_csv(path: Path, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    """Write a line for every map of every photo."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, "method", "baseline", *metrics])
    for row in rows:
        values = [row.values[name] for name in metrics]
        writer.writerow([*(row.identity[name] for name in COLUMNS), row.method, int(row.baseline), *values])
    write(path, text.getvalue().encode("utf-8", "backslashreplace"))


def write_plots(folder: Path, rows: Sequence[Row], metrics: Sequence[str], steps: Sequence[Step]) -> None:
    """Draw each metric, the curves of those that have one, and the sanity check."""
    for name, figure in draw_evaluation(rows, metrics, steps):
        write(folder / f"{name}.png", encode_figure(figure))


def write_junit(
    path: Path, rows: Sequence[Row], failed: Sequence[Unexplained], missed: Mapping[str, str | None]
) -> None:
    """Write a test case for each photo, with its measurements, and one for each limit."""
    outputs: dict[str, list[str]] = {}
    for row in rows:
        known = ", ".join(f"{name} {value:.4f}" for name, value in row.values.items() if value is not None)
        line = f"{row.identity['class_name'] or row.identity['class_index']}, {row.method} at {row.identity['layer']}"
        outputs.setdefault(row.identity["input"], []).append(f"{line}: {known}")
    cases = [Case("photos", name, output="\n".join(lines)) for name, lines in outputs.items()]
    cases += [Case("photos", one.source, error=one.error) for one in failed]
    cases += [Case("limits", limit, failure=message) for limit, message in missed.items()]
    write(path, encode_junit("gradcam evaluate", cases))
