"""Figure 1 of the paper: the steps of a residual network and the flow of an ODE, with the points where f is evaluated.

States with several dimensions are projected onto their first principal component.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, figure 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.calling import calling_convention
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.status import NotFiniteError

PLOT_POINTS, MAX_PLOT_VALUES = 200, 4_000_000
"""Number of points of a drawn path, and maximum number of values of all its states together."""

PLOT_TOL = 1e-5

TOY_SOLVER_OPTIONS = {"rtol": 1e-3, "atol": 1e-3}
"""Solver options for the toy dynamics; the figure shows few evaluations of f."""

FORWARD_OPTIONS = ("solver", "rtol", "atol", "step_size", "first_step", "max_steps")
"""The options of an ODEBlock that determine where it evaluates f."""


class StatePath(NamedTuple):
    """The path of a state along depth, projected onto a direction w.

    Attributes:
        t: (points,) depths.
        z: (points,) w . z at these depths.
        eval_t: (nfe,) depths of the evaluations of f.
        eval_z: (nfe,) w . z at the evaluations.
        eval_slopes: (nfe,) w . f at the evaluations.
    """

    t: np.ndarray
    z: np.ndarray
    eval_t: np.ndarray
    eval_z: np.ndarray
    eval_slopes: np.ndarray


def toy_dynamics(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Return dz/dt = sin(1.2 t) - z cos(t) / 2, a one-dimensional example that depends on t."""
    return tf.sin(1.2 * t) - z * tf.cos(t) / 2


def residual_paths(
    f: Callable[..., Any], starts: Sequence[tf.Tensor], span: tuple[float, float], num_layers: int, w: np.ndarray
) -> list[StatePath]:
    """Return the paths of a residual network, h' = h + s f(h): Euler steps of size s, which is 1 in the paper.

    A diverging path ends at its last finite state.

    Args:
        f: dynamics, as in `odeint`.
        starts: initial states.
        span: first and last time.
        num_layers: number of layers.
        w: direction of the projection, with as many values as a state.
    """
    recorder, t = _RecordingDynamics(f, w), np.linspace(*span, num_layers + 1)
    step_size = abs(span[1] - span[0]) / num_layers
    paths = []
    for z0 in starts:
        try:
            paths.append(recorder.solve(z0, t, solver="euler", step_size=step_size))
        except NotFiniteError:
            eval_t, eval_z, slopes = recorder.points()
            paths.append(StatePath(eval_t, eval_z, eval_t, eval_z, slopes))
    return paths


def ode_paths(
    f: Callable[..., Any], starts: Sequence[tf.Tensor], span: tuple[float, float], w: np.ndarray, **options: Any
) -> list[StatePath]:
    """Return accurate paths of the ODE, with the points where a solver evaluates f.

    Args:
        f: dynamics, as in `odeint`.
        starts: initial states.
        span: first and last time.
        w: direction of the projection, with as many values as a state.
        **options: options of `odeint` for the solver whose evaluations are recorded.
    """
    recorder, paths = _RecordingDynamics(f, w), []
    for z0 in starts:
        recorded, t = recorder.solve(z0, np.array(span), **options), _plot_times(z0, span)
        paths.append(recorded._replace(t=t, z=_project(w, _solve_states(f, z0, t))))
    return paths


class _RecordingDynamics:
    """Dynamics that record t, w . z and w . f of each evaluation."""

    def __init__(self, f: Callable[..., Any], w: np.ndarray) -> None:
        self.f, self.w, self.call = f, w, calling_convention(f)
        self.records: list[tuple[float, float, float]] = []

    def __call__(self, t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        dz = self.call(self.f, t, z, ())
        with tf.control_dependencies([tf.numpy_function(self._record, [t, z, dz], dz.dtype)]):
            return tf.identity(dz)

    def _record(self, t: np.ndarray, z: np.ndarray, dz: np.ndarray) -> np.ndarray:
        projected, slope = (float(_project(self.w, x[None])[0]) for x in (z, dz))
        self.records.append((float(t), projected, slope))
        return dz

    def solve(self, z0: tf.Tensor, t: np.ndarray, **options: Any) -> StatePath:
        self.records.clear()
        z = odeint(self, z0, t, **options).z
        return StatePath(t, _project(self.w, z), *self.points())

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return t, w . z and w . f of the evaluations with finite values."""
        points = np.array(self.records)
        eval_t, eval_z, slopes = points[np.isfinite(points).all(axis=1)].T
        return eval_t, eval_z, slopes


def _plot_times(z0: tf.Tensor, span: tuple[float, float]) -> np.ndarray:
    points: np.ndarray = np.linspace(*span, int(np.clip(MAX_PLOT_VALUES // int(tf.size(z0)), 20, PLOT_POINTS)))
    return points


def _solve_states(f: Callable[..., Any], z0: tf.Tensor, t: np.ndarray) -> np.ndarray:
    states: np.ndarray = odeint(f, z0, t, rtol=PLOT_TOL, atol=PLOT_TOL).z.numpy()
    return states


def first_principal_component(
    f: Callable[..., Any], starts: Sequence[tf.Tensor], span: tuple[float, float]
) -> tuple[np.ndarray, float]:
    """Return the first principal component w of the states of all paths, and its fraction of their variance, 0..1.

    Args:
        f: dynamics, as in `odeint`.
        starts: initial states.
        span: first and last time.

    Raises:
        UsageError: all states are equal.
    """
    states = [_solve_states(f, z0, _plot_times(z0, span)[:: len(starts)]) for z0 in starts]
    x = np.concatenate([np.reshape(z, (len(z), -1)) for z in states]).astype(np.float64)
    x -= x.mean(axis=0)
    variances, u = np.linalg.eigh(x @ x.T)  # usually fewer points than values per state
    w = u[:, -1] @ x
    if not (length := float(np.linalg.norm(w))):
        raise UsageError("all states are equal: they have no principal component", "use different inputs")
    w *= np.sign(w[np.abs(w).argmax()]) / length
    return w, float(variances[-1] / variances.sum())


def _project(w: np.ndarray, z: Any) -> np.ndarray:
    """Return w . z of states (n, ...)."""
    flat = np.asarray(z)
    product: np.ndarray = flat.reshape(len(flat), -1) @ np.ravel(w)
    return product
