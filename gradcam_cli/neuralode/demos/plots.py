"""The pictures: what was learned of the spiral, and the flow of two networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.demos.flow import StatePath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARROWS = 15
SMALL_DOT_THRESHOLD = 100
"""Evaluations of a path from which on its dots are small."""


def draw_spiral(
    t: np.ndarray, true: np.ndarray, fitted: np.ndarray, grid: np.ndarray, slopes: np.ndarray, title: str
) -> Figure:
    """Draw three panels: both trajectories over time, in the plane, and the field with the true one on it.

    Args:
        t: (points,).
        true: (points, 2), the trajectory that was learned from.
        fitted: (points, 2), the solution of what was learned.
        grid: (side, side, 2), points of the plane.
        slopes: (side, side, 2), what was learned there.
        title: above all three.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    over_time, plane, field = figure.subplots(1, 3)
    for i in range(2):
        over_time.plot(t, true[:, i], color=f"C{i}", label=f"$z_{i + 1}$")
        over_time.plot(t, fitted[:, i], color=f"C{i}", linestyle="--", label=f"$z_{i + 1}$, learned")
    over_time.set(xlabel="t", xlim=(t[0], t[-1]), ylim=(-2.2, 2.2), title="trajectory")
    over_time.legend(fontsize=8, ncols=2)
    _set_phase_axes(plane, grid, "phase portrait")
    plane.plot(*true.T, color="C2", label="true")
    plane.plot(*fitted.T, color="C3", linestyle="--", label="learned")
    plane.legend(fontsize=8)
    _set_phase_axes(field, grid, "learned vector field")
    lengths = np.linalg.norm(slopes, axis=-1, keepdims=True)
    u, v = np.moveaxis(slopes / np.maximum(lengths, 1e-12), -1, 0)
    field.quiver(grid[..., 0], grid[..., 1], u, v, lengths[..., 0] ** 0.5, cmap="viridis", scale=28, width=0.004)
    field.plot(*true.T, color="C3", linewidth=0.8, alpha=0.7)
    figure.suptitle(title)
    return figure


def _set_phase_axes(axes: Axes, grid: np.ndarray, title: str) -> None:
    reach = float(grid.max())
    axes.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-reach, reach), ylim=(-reach, reach), title=title, aspect="equal")


def draw_flow(
    residual: Sequence[StatePath], ode: Sequence[StatePath], f: Callable[..., Any] | None = None, xlabel: str = "state"
) -> Figure:
    """Draw both networks: depth upward, the state to the right, a dot where f is evaluated.

    Args:
        residual: of `residual_paths`.
        ode: of `ode_paths`.
        f: of a state of one dimension: its vector field is drawn. None: only the slopes where it was evaluated.
        xlabel: what of the state is drawn.
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
        count, size = (
            sum(len(path.eval_t) for path in paths),
            3.5 if len(paths[0].eval_t) < SMALL_DOT_THRESHOLD else 1.5,
        )
        shown = [_clip_path(path, *limits) for path in paths]
        for path in shown:
            axes.plot(path.z, path.t, color="black", linewidth=1.2)
            axes.plot(path.eval_z, path.eval_t, "o", color="black", markersize=size)
        leave = sum(len(path.t) < len(whole.t) or path.t[-1] != last for path, whole in zip(shown, paths, strict=True))
        left_out = f", {leave} of {len(paths)} leave" if leave else ""
        axes.set(title=f"{title}\n{count:,} evaluations of f{left_out}", xlabel=xlabel)
        depths = (
            np.unique(np.concatenate([path.eval_t for path in shown]))
            if axes is left
            else np.linspace(first, last, ARROWS)
        )
        _draw_slopes(axes, shown, f, depths)
    left.set(ylabel="depth t", xlim=limits, ylim=(first - 0.03 * (last - first), last + 0.03 * (last - first)))
    return figure


def _clip_path(path: StatePath, low: float, high: float) -> StatePath:
    """Return a path up to the first of its points that lies outside, which is kept."""
    outside = np.flatnonzero((path.z < low) | (path.z > high))
    if not len(outside):
        return path
    end = outside[0]
    kept = np.abs(path.eval_t - path.t[0]) <= abs(path.t[end] - path.t[0])
    return StatePath(path.t[: end + 1], path.z[: end + 1], path.eval_t[kept], path.eval_z[kept], path.eval_slopes[kept])


def _value_range(paths: Sequence[StatePath]) -> tuple[float, float]:
    """Return the least and the largest of what the paths pass."""
    z = np.concatenate([path.z for path in paths])
    return float(z.min()), float(z.max())


def _draw_slopes(axes: Axes, paths: Sequence[StatePath], f: Callable[..., Any] | None, depths: np.ndarray) -> None:
    """Draw the field at some depths; that of a residual network is there only between its layers."""
    if f is None:
        z, t = (np.concatenate([getattr(path, name) for path in paths]) for name in ("where", "at"))
        slopes = np.concatenate([path.eval_slopes for path in paths])
    else:
        z, t = (x.ravel() for x in np.meshgrid(np.linspace(*_value_range(paths), ARROWS), depths))
        slopes = np.array([np.ravel(f(tf.constant(b), tf.constant([a])))[0] for a, b in zip(z, t, strict=True)])
    length = np.hypot(slopes, 1)
    axes.quiver(z, t, slopes / length, 1 / length, color="C0", alpha=0.55, angles="xy", scale=22, width=0.005)
