"""What `gradcam evaluate` writes: lines for a spreadsheet, plots, test cases for CI."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_cli.evaluation import Row
from gradcam_cli.junit import Case, encode_junit
from gradcam_cli.metrics.tables import METRICS
from gradcam_cli.plots import plot_curves, plot_sanity, plot_values
from gradcam_cli.render import encode_figure
from gradcam_cli.results import Unexplained, write
from gradcam_cli.sanity import Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    several = len({row.identity["layer"] for row in rows if not row.baseline}) > 1
    named: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.baseline):
        named.setdefault(f"{row.method} at {row.identity['layer']}" if several else row.method, []).append(row)
    baselines = [name for name, group in named.items() if group[0].baseline]
    for metric in metrics:
        title = f"{metric}: {METRICS[metric].title} ({'more' if METRICS[metric].more_is_better else 'less'} is better)"
        curves = {name: [row.curves[metric] for row in group if metric in row.curves] for name, group in named.items()}
        if curves := {name: lines for name, lines in curves.items() if lines}:
            figure = plot_curves(title, curves, baselines)
        else:
            known = {
                name: [v for row in group if (v := row.values[metric]) is not None] for name, group in named.items()
            }
            figure = plot_values(title, {name: values for name, values in known.items() if values}, baselines)
        write(folder / f"{metric}.png", encode_figure(figure))
    if steps:
        write(folder / "sanity.png", encode_figure(_plot_of(steps)))


def _plot_of(steps: Sequence[Step]) -> Figure:
    ranks: dict[str, list[float]] = {}
    for step in steps:
        ranks.setdefault(f"{step.method} at {step.layer}", []).append(step.rank)
    layers = list(dict.fromkeys(step.randomised for step in steps))
    behind = next((layers.index(step.randomised) for step in steps if step.behind), len(layers) - 1)
    return plot_sanity(ranks, layers, behind)


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
