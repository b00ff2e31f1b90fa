"""Plots of an evaluation, one per metric, and the grid of the maps that changed most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.evaluation.drift import MapChange, explained_class
from gradcam_cli.evaluation.metrics.registry import METRICS, SANITY_PLOT
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep, has_several_layers, map_label, sanity_ranks
from gradcam_cli.images.box import Box
from gradcam_cli.methods.maps import peak
from gradcam_cli.output.colors import DEFAULT, render_heatmap
from gradcam_cli.output.figures import plot_label, titled_axes
from gradcam_cli.output.grids import Cell, GridRow, grid_figure
from gradcam_cli.output.views import VIEWS, Shown
from gradcam_cli.pipeline.captions import color_limit
from gradcam_cli.pipeline.saved import SavedMap, load_saved_map, load_source_image
from gradcam_cli.storage.paths import basename

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BASELINE_COLOR = "0.6"
_COLORS = [f"C{number}" for number in (0, 1, 2, 3, 4, 5, 6, 8, 9)]  # without gray
PANEL_SIDE = 400
"""Longer side of the picture of a signal, a volume or a film in a grid, in pixels; images have their own size."""


def draw_evaluation(
    rows: Sequence[MetricRow], metrics: Sequence[str], steps: Sequence[SanityStep] = ()
) -> Iterator[tuple[str, Figure]]:
    """Draw each metric, as curves if it has some, and the sanity check; yield names and figures."""
    groups: dict[str, list[MetricRow]] = {}
    several_layers = has_several_layers(rows)
    for row in sorted(rows, key=lambda row: row.baseline):
        label = map_label(row.method, row.relu)
        groups.setdefault(f"{label} at {row.metadata['layer']}" if several_layers else label, []).append(row)
    baselines = [label for label, group in groups.items() if group[0].baseline]
    for metric in metrics:
        title = f"{metric} ({METRICS[metric].direction} is better)\n{METRICS[metric].title}"
        curves = {
            label: [row.curves[metric] for row in group if metric in row.curves] for label, group in groups.items()
        }
        if curves := {label: lines for label, lines in curves.items() if lines}:
            yield metric, plot_curves(title, curves, baselines)
            continue
        values = {
            label: [v for row in group if (v := row.values[metric]) is not None] for label, group in groups.items()
        }
        values = {label: numbers for label, numbers in values.items() if numbers}
        yield metric, plot_values(title, values, baselines, "mosaic" if METRICS[metric].uses_mosaics else "image")
    if steps:
        ranks, layers, downstream = sanity_ranks(steps)
        yield SANITY_PLOT, plot_sanity(ranks, layers, layers.index(downstream))


def plot_values(
    title: str, values: Mapping[str, Sequence[float]], baselines: Sequence[str], unit: str = "image"
) -> Figure:
    """Draw a metric: one row per map, with a dot per image and a line at the mean.

    Args:
        title: title of the plot.
        values: values of the images, by the map's label.
        baselines: labels of class-agnostic baselines, which are drawn in gray.
        unit: what a dot stands for.
    """
    figure, axes = titled_axes(title, 1.2 + 0.45 * len(values))
    rng = np.random.default_rng(0)  # spreads the dots within their row
    for y, (label, numbers) in enumerate(values.items()):
        color = _BASELINE_COLOR if label in baselines else _COLORS[y % len(_COLORS)]
        axes.plot(numbers, y + rng.uniform(-0.25, 0.25, len(numbers)), ".", color=color, alpha=0.4, markersize=5)
        mean = float(np.mean(numbers))
        axes.plot([mean, mean], [y - 0.38, y + 0.38], color="black", linewidth=2)
        axes.annotate(f"{mean:.3f}", (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks(range(len(values)), list(map(plot_label, values)))
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlabel(f"value of {'an' if unit[0] in 'aeiou' else 'a'} {unit} (dot), mean of all {unit}s (line)")
    return figure


def plot_curves(title: str, curves: Mapping[str, Sequence[Sequence[float]]], baselines: Sequence[str]) -> Figure:
    """Draw the mean probability over the images against the fraction of replaced pixels.

    Args:
        title: title of the plot.
        curves: curves of the images, (steps + 1,) each, by the map's label.
        baselines: labels of class-agnostic baselines, which are drawn in gray.
    """
    figure, axes = titled_axes(title, 4)
    baseline_styles = iter(["--", ":", "-."])
    for number, (label, lines) in enumerate(curves.items()):
        mean = np.mean(lines, axis=0)
        color, style = _COLORS[number % len(_COLORS)], "-"
        if label in baselines:
            color, style = _BASELINE_COLOR, next(baseline_styles, "--")
        area = float(np.trapezoid(mean, dx=1 / (len(mean) - 1)))
        axes.plot(
            np.linspace(0, 1, len(mean)),
            mean,
            color=color,
            linestyle=style,
            label=f"{plot_label(label)}: area {area:.3f}",
        )
    axes.set(xlabel="fraction of replaced pixels", ylabel="mean probability of the class", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=9)
    return figure


def plot_sanity(ranks: Mapping[str, Sequence[float]], layers: Sequence[str], all_downstream_step: int) -> Figure:
    """Draw the rank correlation with the trained network's maps, layer by layer.

    Args:
        ranks: mean rank correlations after each step, by the map's label.
        layers: the layer that each step randomizes.
        all_downstream_step: first step at which all layers downstream of the map's layer are randomized.
    """
    figure, axes = titled_axes("sanity check: similarity to the trained network's maps", 4.6)
    for label, values in ranks.items():
        axes.plot(range(len(values)), values, ".-", label=plot_label(label))
    axes.axvline(
        all_downstream_step, color=_BASELINE_COLOR, linestyle=":", label="all layers downstream of the map randomized"
    )
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_xticks(range(len(layers)), list(map(plot_label, layers)), rotation=60, ha="right", fontsize=8)
    axes.set(xlabel="layers randomized from the output down to", ylabel="rank correlation", ylim=(-0.5, 1.05))
    axes.legend(fontsize=9)
    return figure


def drift_grid(changes: Sequence[MapChange], before: Path, after: Path) -> Figure:
    """Draw one row per map: that of the first and that of the second run, each with its class, beside its drifts.

    Args:
        changes: the maps to draw.
        before: directory of the first run.
        after: directory of the second run.
    """
    runs = {"before": before, "after": after}
    rows = [
        GridRow(_drift_heading(change), [_drift_cell(change, run, directory) for run, directory in runs.items()])
        for change in changes
    ]
    return grid_figure(rows, "the maps that changed most, and their drift (0: no change)")


def _drift_heading(change: MapChange) -> str:
    """Return the name of the image and its drifts, one in a line; the classes are below the pictures."""
    drifts = [f"{name} {value:.3f}" for name, value in change.drifts.items() if name != "class-change"]
    return "\n".join([basename(change.input), *drifts])


def _drift_cell(change: MapChange, run: str, directory: Path) -> Cell:
    saved = load_saved_map(directory / change.name)
    return Cell(run, _render_saved_map(saved), explained_class(saved).label)


def _render_saved_map(saved: SavedMap) -> np.ndarray:
    """Return the map over its input, (h, w, 3) uint8, or the map alone if the input is missing or has changed.

    Volumes and films are drawn at the peak of the map. Alone, the map of a signal is drawn as a line.
    """
    heatmap, kind, pixels = saved.heatmap, saved.space.kind, load_source_image(saved)
    box, limit = Box.whole(heatmap.shape), color_limit(heatmap, saved.metadata["method"], DEFAULT)
    if pixels is None and kind == "image":
        return render_heatmap(heatmap, box, limit=limit)
    if pixels is None:
        pixels = heatmap[:, None] if kind == "signal" else np.broadcast_to(np.uint8(0), (*heatmap.shape, 3))
    side = max(heatmap.shape) if kind == "image" else PANEL_SIDE
    return VIEWS[kind].map_panel(Shown(pixels, heatmap, box, saved.space, peak(heatmap), limit), side, DEFAULT)
