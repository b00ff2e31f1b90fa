"""Plots of an evaluation: a picture for every metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

from gradcam_cli.output.figures import titled_axes

_BASELINE_COLOR = "0.6"
_COLORS = [f"C{number}" for number in (0, 1, 2, 3, 4, 5, 6, 8, 9)]  # without the gray one


def draw_evaluation(
    rows: Sequence[MetricRow], metrics: Sequence[str], steps: Sequence[SanityStep] = ()
) -> Iterator[tuple[str, Figure]]:
    """Draw each metric, the curves of those that have one, and the sanity check; yield names and figures."""
    several = len({row.metadata["layer"] for row in rows if not row.baseline}) > 1
    named: dict[str, list[MetricRow]] = {}
    for row in sorted(rows, key=lambda row: row.baseline):
        named.setdefault(f"{row.method} at {row.metadata['layer']}" if several else row.method, []).append(row)
    baselines = [name for name, group in named.items() if group[0].baseline]
    for metric in metrics:
        title = (
            f"{metric}: {METRICS[metric].title} ({'more' if METRICS[metric].higher_is_better else 'less'} is better)"
        )
        curves = {name: [row.curves[metric] for row in group if metric in row.curves] for name, group in named.items()}
        if curves := {name: lines for name, lines in curves.items() if lines}:
            yield metric, plot_curves(title, curves, baselines)
            continue
        known = {name: [v for row in group if (v := row.values[metric]) is not None] for name, group in named.items()}
        yield metric, plot_values(title, {name: values for name, values in known.items() if values}, baselines)
    if steps:
        yield "sanity", _draw_sanity(steps)


def _draw_sanity(steps: Sequence[SanityStep]) -> Figure:
    ranks: dict[str, list[float]] = {}
    for step in steps:
        ranks.setdefault(f"{step.method} at {step.layer}", []).append(step.rank)
    layers = list(dict.fromkeys(step.last_randomized_layer for step in steps))
    behind = next(
        (layers.index(step.last_randomized_layer) for step in steps if step.all_downstream_randomized), len(layers) - 1
    )
    return plot_sanity(ranks, layers, behind)


def plot_values(title: str, values: Mapping[str, Sequence[float]], baselines: Sequence[str]) -> Figure:
    """Draw a metric: for every map a row with the value of each photo as a dot, and the mean as a line.

    Args:
        title: what the metric says.
        values: of the photos, by the map's name.
        baselines: names of maps that know nothing, drawn in gray.
    """
    figure, axes = titled_axes(title, 1.2 + 0.45 * len(values))
    rng = np.random.default_rng(0)  # spreads the dots within their row
    for place, (name, numbers) in enumerate(values.items()):
        colour = _BASELINE_COLOR if name in baselines else _COLORS[place % len(_COLORS)]
        axes.plot(numbers, place + rng.uniform(-0.25, 0.25, len(numbers)), ".", color=colour, alpha=0.4, markersize=5)
        mean = float(np.mean(numbers))
        axes.plot([mean, mean], [place - 0.38, place + 0.38], color="black", linewidth=2)
        axes.annotate(f"{mean:.3f}", (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlabel("value of a photo; the line is the mean")
    return figure


def plot_curves(title: str, curves: Mapping[str, Sequence[Sequence[float]]], baselines: Sequence[str]) -> Figure:
    """Draw the mean probability over the photos against the share of pixels that was exchanged.

    Args:
        title: what the metric says.
        curves: of the photos, by the map's name, each (steps + 1,).
        baselines: names of maps that know nothing, drawn in gray.
    """
    figure, axes = titled_axes(title, 4)
    styles = iter(["--", ":", "-."])
    for place, (name, lines) in enumerate(curves.items()):
        mean = np.mean(lines, axis=0)
        gray = name in baselines
        colour, style = (_BASELINE_COLOR, next(styles, "--")) if gray else (_COLORS[place % len(_COLORS)], "-")
        area = float(np.trapezoid(mean, dx=1 / (len(mean) - 1)))
        axes.plot(np.linspace(0, 1, len(mean)), mean, color=colour, linestyle=style, label=f"{name}: area {area:.3f}")
    axes.set(xlabel="share of the pixels exchanged", ylabel="mean probability of the class", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=9)
    return figure


def plot_sanity(ranks: Mapping[str, Sequence[float]], layers: Sequence[str], all_downstream_step: int) -> Figure:
    """Draw how the rank correlation with the trained network's maps falls, layer by layer.

    Args:
        ranks: mean rank correlations after each step, by the map's name.
        layers: the layer that each step made random.
        all_downstream_step: at which step everything behind the map's layer is random.
    """
    figure, axes = titled_axes("sanity: likeness to the trained network's maps", 4.6)
    for name, values in ranks.items():
        axes.plot(range(len(values)), values, ".-", label=name)
    axes.axvline(
        all_downstream_step, color=_BASELINE_COLOR, linestyle=":", label="all behind the map's layer is random"
    )
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_xticks(range(len(layers)), list(layers), rotation=60, ha="right", fontsize=8)
    axes.set(xlabel="random from the output down to", ylabel="rank correlation", ylim=(-0.5, 1.05))
    axes.legend(fontsize=9)
    return figure
