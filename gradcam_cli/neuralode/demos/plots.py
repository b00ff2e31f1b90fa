"""Figures of the demonstrations: the fit of the spiral, and the flow of two networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.demos.flow import StatePath
from gradcam_cli.neuralode.demos.spiral import Trajectory, fit_error, vector_field
from gradcam_cli.neuralode.layers.spiral_net import SpiralNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARROWS = 15
SMALL_DOT_THRESHOLD = 100
"""Number of evaluations from which the dots of a path are small."""


def draw_spiral(
    t: np.ndarray, true: np.ndarray, fitted: np.ndarray, grid: np.ndarray, slopes: np.ndarray, title: str
) -> Figure:
    """Draw the true and the fitted trajectory over time and as phase portrait, and the fitted vector field.

    Args:
        t: (points,) times.
        true: (points, 2), the true trajectory.
        fitted: (points, 2), the fitted trajectory.
        grid: (side, side, 2), grid of states.
        slopes: (side, side, 2), the fitted f on the grid.
        title: title of the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    over_time, phase, field = figure.subplots(1, 3)
    for i in range(2):
        over_time.plot(t, true[:, i], color=f"C{i}", label=f"$z_{i + 1}$")
        over_time.plot(t, fitted[:, i], color=f"C{i}", linestyle="--", label=f"$z_{i + 1}$, fitted")
    over_time.set(xlabel="t", xlim=(t[0], t[-1]), ylim=(-2.2, 2.2), title="trajectory")
    over_time.legend(fontsize=8, ncols=2)
    _set_phase_axes(phase, grid, "phase portrait")
    phase.plot(*true.T, color="C2", label="true")
    phase.plot(*fitted.T, color="C3", linestyle="--", label="fitted")
    phase.legend(fontsize=8)
    _set_phase_axes(field, grid, "fitted vector field")
    lengths = np.linalg.norm(slopes, axis=-1, keepdims=True)
    u, v = np.moveaxis(slopes / np.maximum(lengths, 1e-12), -1, 0)
    field.quiver(grid[..., 0], grid[..., 1], u, v, lengths[..., 0] ** 0.5, cmap="viridis", scale=28, width=0.004)
    field.plot(*true.T, color="C3", linewidth=0.8, alpha=0.7)
    figure.suptitle(title)
    return figure


def fit_figure(f: SpiralNetwork, data: Trajectory, title: str) -> Figure:
    """Draw the current fit of a network to the spiral."""
    error, fitted = fit_error(f, data)
    grid, slopes = vector_field(f.call)
    return draw_spiral(data.t, data.z, fitted, grid, slopes, f"{title}: mean difference {error:.3f}")


def _set_phase_axes(axes: Axes, grid: np.ndarray, title: str) -> None:
    limit = float(grid.max())
    axes.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-limit, limit), ylim=(-limit, limit), title=title, aspect="equal")


def draw_flow(
    residual: Sequence[StatePath], ode: Sequence[StatePath], f: Callable[..., Any] | None = None, xlabel: str = "state"
) -> Figure:
    """Draw both networks: depth on the y axis, the state on the x axis, a dot for each evaluation of f.

    Args:
        residual: paths from `residual_paths`.
        ode: paths from `ode_paths`.
        f: dynamics of a one-dimensional state: its vector field is drawn. None: only the slopes at the evaluations.
        xlabel: label of the x axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, sharex=True)
    first, last = ode[0].t[[0, -1]]
    low, high = _value_range(ode)
    limits = (low - 0.15 * (high - low), high + 0.15 * (high - low))
    step = (last - first) / max(len(path.eval_t) for path in residual)
    for axes, paths, title in (
        (left, residual, f"Residual network: Euler, step {step:.3g}"),
        (right, ode, "ODE network"),
    ):
        nfe = sum(len(path.eval_t) for path in paths)
        size = 3.5 if len(paths[0].eval_t) < SMALL_DOT_THRESHOLD else 1.5
        shown = [_clip_path(path, *limits) for path in paths]
        for path in shown:
            axes.plot(path.z, path.t, color="black", linewidth=1.2)
            axes.plot(path.eval_z, path.eval_t, "o", color="black", markersize=size)
        clipped = sum(len(path.t) < len(full.t) or path.t[-1] != last for path, full in zip(shown, paths, strict=True))
        note = f", {clipped} of {len(paths)} paths clipped" if clipped else ""
        axes.set(title=f"{title}\n{nfe:,} evaluations of f{note}", xlabel=xlabel)
        depths = (
            np.unique(np.concatenate([path.eval_t for path in shown]))
            if axes is left
            else np.linspace(first, last, ARROWS)
        )
        _draw_slopes(axes, shown, f, depths)
    left.set(ylabel="depth t", xlim=limits, ylim=(first - 0.03 * (last - first), last + 0.03 * (last - first)))
    return figure


def _clip_path(path: StatePath, low: float, high: float) -> StatePath:
    """Return a path up to and including its first point outside the limits."""
    outside = np.flatnonzero((path.z < low) | (path.z > high))
    if not len(outside):
        return path
    end = outside[0]
    kept = np.abs(path.eval_t - path.t[0]) <= abs(path.t[end] - path.t[0])
    return StatePath(path.t[: end + 1], path.z[: end + 1], path.eval_t[kept], path.eval_z[kept], path.eval_slopes[kept])


def _value_range(paths: Sequence[StatePath]) -> tuple[float, float]:
    """Return the minimum and maximum of all paths."""
    z = np.concatenate([path.z for path in paths])
    return float(z.min()), float(z.max())


def _draw_slopes(axes: Axes, paths: Sequence[StatePath], f: Callable[..., Any] | None, depths: np.ndarray) -> None:
    """Draw the slopes at the given depths, or at the evaluations if f is None."""
    if f is None:
        z, t = (np.concatenate([getattr(path, name) for path in paths]) for name in ("eval_z", "eval_t"))
        slopes = np.concatenate([path.eval_slopes for path in paths])
    else:
        z, t = (x.ravel() for x in np.meshgrid(np.linspace(*_value_range(paths), ARROWS), depths))
        slopes = np.array([np.ravel(f(tf.constant(b), tf.constant([a])))[0] for a, b in zip(z, t, strict=True)])
    norm = np.hypot(slopes, 1)
    axes.quiver(z, t, slopes / norm, 1 / norm, color="C0", alpha=0.55, angles="xy", scale=22, width=0.005)
