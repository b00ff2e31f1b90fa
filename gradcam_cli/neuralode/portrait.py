"""The pictures of the spiral: trajectory, phase portrait, and the vector field that was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    _phases(plane, grid, "phase portrait")
    plane.plot(*true.T, color="C2", label="true")
    plane.plot(*fitted.T, color="C3", linestyle="--", label="learned")
    plane.legend(fontsize=8)
    _phases(field, grid, "learned vector field")
    lengths = np.linalg.norm(slopes, axis=-1, keepdims=True)
    u, v = np.moveaxis(slopes / np.maximum(lengths, 1e-12), -1, 0)
    field.quiver(grid[..., 0], grid[..., 1], u, v, lengths[..., 0] ** 0.5, cmap="viridis", scale=28, width=0.004)
    field.plot(*true.T, color="C3", linewidth=0.8, alpha=0.7)
    figure.suptitle(title)
    return figure


def _phases(axes: Axes, grid: np.ndarray, title: str) -> None:
    reach = float(grid.max())
    axes.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-reach, reach), ylim=(-reach, reach), title=title, aspect="equal")
