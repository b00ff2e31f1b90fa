"""Figure 1 of the paper: a residual network's steps beside an equation's flow, with the points where f is evaluated.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, figure 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solve import odeint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FINE = 200
ARROWS = 15


class Path(NamedTuple):
    """How one state moves through depth, seen along one direction w of the state space.

    Attributes:
        t: (points,) depths.
        z: (points,) w . z there.
        at: (evaluations,) the depths where f was evaluated.
        where: (evaluations,) w . z there.
        slopes: (evaluations,) w . f there.
    """

    t: np.ndarray
    z: np.ndarray
    at: np.ndarray
    where: np.ndarray
    slopes: np.ndarray


def toy(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Return a field of one dimension that depends on depth: sin(1.2 t) - z cos(t) / 2."""
    return tf.sin(1.2 * t) - z * tf.cos(t) / 2


def residual_path(f: Callable[..., Any], z0: tf.Tensor, layers: int, w: np.ndarray) -> Path:
    """Return the path of a residual network, h' = h + f(h): Euler steps of size 1.

    Args:
        f: as `odeint` takes it.
        z0: one state.
        layers: how many.
        w: the direction, of the size of the state.
    """
    return _path(f, z0, np.arange(layers + 1.0), w, solver="euler", step_size=1.0)


def ode_path(
    f: Callable[..., Any], z0: tf.Tensor, end: float, w: np.ndarray, rtol: float = 1e-3, atol: float = 1e-3
) -> Path:
    """Return the path of the equation, fine, with the points where an adaptive solver evaluates f.

    Args:
        f: as `odeint` takes it.
        z0: one state.
        end: the last depth.
        w: the direction, of the size of the state.
        rtol: of the solver.
        atol: likewise.
    """
    seen = _path(f, z0, np.array([0.0, end]), w, rtol=rtol, atol=atol)
    t = np.linspace(0, end, FINE)
    z = odeint(f, z0, t, rtol=1e-6, atol=1e-6).z
    return seen._replace(t=t, z=_along(w, z))


def _path(f: Callable[..., Any], z0: tf.Tensor, t: np.ndarray, w: np.ndarray, **options: Any) -> Path:
    """Solve, and note down each evaluation of f."""
    seen: list[tuple[float, float, float]] = []

    def note(t: np.ndarray, z: np.ndarray, dz: np.ndarray) -> np.ndarray:
        where, slope = (float(_along(w, x[None])[0]) for x in (z, dz))
        seen.append((float(t), where, slope))
        return dz

    def noted(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        dz = f(t, z)
        with tf.control_dependencies([tf.numpy_function(note, [t, z, dz], dz.dtype)]):
            return tf.identity(dz)

    z = odeint(noted, z0, t, **options).z
    at, where, slopes = (np.array(column) for column in zip(*seen, strict=True))
    return Path(t, _along(w, z), at, where, slopes)


def _along(w: np.ndarray, z: Any) -> np.ndarray:
    """Return w . z of states (n, ...)."""
    flat = np.asarray(z)
    product: np.ndarray = flat.reshape(len(flat), -1) @ np.ravel(w)
    return product


def draw_flow(residual: Sequence[Path], ode: Sequence[Path], f: Callable[..., Any] | None = None) -> Figure:
    """Draw both networks: depth upward, the state to the right, a dot where f is evaluated.

    Args:
        residual: of `residual_path`.
        ode: of `ode_path`.
        f: of a state of one dimension: its vector field is drawn. None: only the slopes where it was evaluated.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, paths, title in ((left, residual, "Residual network"), (right, ode, "ODE network")):
        for path in paths:
            axes.plot(path.z, path.t, color="black", linewidth=1.2)
            axes.plot(path.where, path.at, "o", color="black", markersize=3.5)
        axes.set(title=title, xlabel="input / hidden / output")
    left.set_ylabel("depth")
    depth = max(path.t[-1] for path in ode)
    left.set_ylim(-0.03 * depth, 1.03 * depth)
    _draw_slopes(left, residual, f, np.arange(np.floor(depth)) + 0.0)
    _draw_slopes(right, ode, f, np.linspace(0, depth, ARROWS))
    return figure


def _draw_slopes(axes: Axes, paths: Sequence[Path], f: Callable[..., Any] | None, depths: np.ndarray) -> None:
    """Draw the field at some depths; that of a residual network is there only between its layers."""
    if f is None:
        z, t = (np.concatenate([getattr(path, name) for path in paths]) for name in ("where", "at"))
        slopes = np.concatenate([path.slopes for path in paths])
    else:
        reach = [limit for path in paths for limit in (path.z.min(), path.z.max())]
        z, t = (x.ravel() for x in np.meshgrid(np.linspace(min(reach), max(reach), ARROWS), depths))
        slopes = np.array([np.ravel(f(tf.constant(b), tf.constant([a])))[0] for a, b in zip(z, t, strict=True)])
    length = np.hypot(slopes, 1)
    axes.quiver(z, t, slopes / length, 1 / length, color="C0", alpha=0.55, angles="xy", scale=22, width=0.005)
