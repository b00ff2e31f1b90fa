"""The curves of a training's page as the points of SVG lines: drift since two epochs, and what Keras logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcam_cli.callbacks.epoch_maps import EpochMaps
from gradcam_cli.evaluation.drift import DRIFTS

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 170, 44, 10, 10, 22
"""Size of a plot and its margins, in units of the SVG."""
MAX_LOGGED = 6
"""Number of plots of logged values; those of further metrics are in the table."""
DRIFT_TITLES = {"first": "Drift since the first epoch", "last": "Drift since the epoch before"}
VALIDATION = "val_"
Points = list[tuple[int, float]]


def make_curves(epochs: Sequence[EpochMaps]) -> list[dict[str, Any]]:
    """Return the plots: drift since the first epoch and since the last one, the loss, and the metrics."""
    plots: dict[str, dict[str, Points]] = {title: {} for title in DRIFT_TITLES.values()}
    for since, title in DRIFT_TITLES.items():
        for name in DRIFTS:
            means = [(maps.epoch + 1, maps.mean_drift(since).get(name)) for maps in epochs]
            plots[title][name] = [(epoch, value) for epoch, value in means if value is not None]
    plots |= dict(list(_logged(epochs).items())[:MAX_LOGGED])
    numbers = [epoch for lines in plots.values() for points in lines.values() for epoch, _ in points]
    span = (min(numbers, default=1), max(numbers, default=1))
    return [_plot(title, lines, span) for title, lines in plots.items() if any(lines.values())]


def _logged(epochs: Sequence[EpochMaps]) -> dict[str, dict[str, Points]]:
    """Return the lines of each metric: of the training, and of the validation."""
    plots: dict[str, dict[str, Points]] = {}
    for maps in epochs:
        for epoch, values in maps.logs.items():
            for name, value in values.items():
                line = plots.setdefault(name.removeprefix(VALIDATION), {}).setdefault(name, [])
                if value is not None:
                    line.append((epoch + 1, value))
    return plots


def _plot(title: str, lines: Mapping[str, Points], span: tuple[int, int]) -> dict[str, Any]:
    values = [value for points in lines.values() for _, value in points]
    low, high = 0.0 if title in DRIFT_TITLES.values() else min(values), max(values)
    high = high if high > low else low + 1
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "top": TOP,
        "bottom": HEIGHT - BOTTOM,
        "first": span[0],
        "last": span[1],
        "low": f"{low:.3g}",
        "high": f"{high:.3g}",
        "lines": [
            {"name": name, "points": [_place(point, span, (low, high)) for point in points]}
            for name, points in lines.items()
            if points
        ],
    }


def _place(point: tuple[int, float], span: tuple[int, int], limits: tuple[float, float]) -> str:
    """Return the coordinates of a point of a plot, as SVG writes them."""
    (epoch, value), (first, last), (low, high) = point, span, limits
    across = (epoch - first) / (last - first) if last > first else 0.5
    x = LEFT + across * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP)
    return f"{x:.1f},{y:.1f}"
