"""Figure 1 of the paper: a residual network's steps beside an equation's flow, with the points where f is evaluated.

Of a model that holds an `ODEBlock` the figure shows the block's equation, seen along the direction in which its states
differ most.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, figure 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.status import NotFiniteError

PLOT_POINTS, MAX_PLOT_VALUES = 200, 4_000_000
"""Points of a path as it is drawn; fewer for states so large that they would hold more numbers together."""

PLOT_TOL = 1e-5

TOY_SOLVER_OPTIONS = {"rtol": 1e-3, "atol": 1e-3}
"""Options for a solve whose evaluations can be told apart in a picture."""

FORWARD_OPTIONS = ("solver", "rtol", "atol", "step_size", "first_step", "max_steps")
"""The options of a block that bear on where it evaluates f."""


class StatePath(NamedTuple):
    """How one state moves through depth, seen along one direction w of the state space.

    Attributes:
        t: (points,) depths.
        z: (points,) w . z there.
        eval_t: (evaluations,) the depths where f was evaluated.
        eval_z: (evaluations,) w . z there.
        eval_slopes: (evaluations,) w . f there.
    """

    t: np.ndarray
    z: np.ndarray
    eval_t: np.ndarray
    eval_z: np.ndarray
    eval_slopes: np.ndarray


def toy_dynamics(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Return a field of one dimension that depends on depth: sin(1.2 t) - z cos(t) / 2."""
    return tf.sin(1.2 * t) - z * tf.cos(t) / 2


def residual_paths(
    f: Callable[..., Any], starts: Sequence[tf.Tensor], span: tuple[float, float], num_layers: int, w: np.ndarray
) -> list[StatePath]:
    """Return the paths of a residual network, h' = h + s f(h): Euler steps of one size s, which is 1 in the paper.

    A path that leaves all bounds ends where its states are no numbers any more.

    Args:
        f: as `odeint` takes it.
        starts: states.
        span: the first and the last time.
        num_layers: how many.
        w: the direction, of the size of a state.
    """
    noted, t, size = _RecordingDynamics(f, w), np.linspace(*span, num_layers + 1), abs(span[1] - span[0]) / num_layers
    paths = []
    for z0 in starts:
        try:
            paths.append(noted.solve(z0, t, solver="euler", step_size=size))
        except NotFiniteError:
            at, where, slopes = noted.points()
            paths.append(StatePath(at, where, at, where, slopes))
    return paths


def ode_paths(
    f: Callable[..., Any], starts: Sequence[tf.Tensor], span: tuple[float, float], w: np.ndarray, **options: Any
) -> list[StatePath]:
    """Return the paths of the equation, fine, with the points where a solver evaluates f.

    Args:
        f: as `odeint` takes it.
        starts: states.
        span: the first and the last time.
        w: the direction, of the size of a state.
        **options: of `odeint`, for the solve that evaluates f at the points.
    """
    noted, paths = _RecordingDynamics(f, w), []
    for z0 in starts:
        seen, t = noted.solve(z0, np.array(span), **options), _plot_times(z0, span)
        paths.append(seen._replace(t=t, z=_project(w, _solve_states(f, z0, t))))
    return paths


class _RecordingDynamics:
    """f, which notes down where it is evaluated, as seen along w."""

    def __init__(self, f: Callable[..., Any], w: np.ndarray) -> None:
        self.f, self.w = f, w
        self.records: list[tuple[float, float, float]] = []

    def __call__(self, t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        dz = self.f(t, z)
        with tf.control_dependencies([tf.numpy_function(self._record, [t, z, dz], dz.dtype)]):
            return tf.identity(dz)

    def _record(self, t: np.ndarray, z: np.ndarray, dz: np.ndarray) -> np.ndarray:
        where, slope = (float(_project(self.w, x[None])[0]) for x in (z, dz))
        self.records.append((float(t), where, slope))
        return dz

    def solve(self, z0: tf.Tensor, t: np.ndarray, **options: Any) -> StatePath:
        self.records.clear()
        z = odeint(self, z0, t, **options).z
        return StatePath(t, _project(self.w, z), *self.points())

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return times, places and slopes of the evaluations, but for those of no finite place or slope."""
        points = np.array(self.records)
        at, where, slopes = points[np.isfinite(points).all(axis=1)].T
        return at, where, slopes


def _plot_times(z0: tf.Tensor, span: tuple[float, float]) -> np.ndarray:
    points: np.ndarray = np.linspace(*span, int(np.clip(MAX_PLOT_VALUES // int(tf.size(z0)), 20, PLOT_POINTS)))
    return points


def _solve_states(f: Callable[..., Any], z0: tf.Tensor, t: np.ndarray) -> np.ndarray:
    states: np.ndarray = odeint(f, z0, t, rtol=PLOT_TOL, atol=PLOT_TOL).z.numpy()
    return states


def first_principal_component(
    f: Callable[..., Any], starts: Sequence[tf.Tensor], span: tuple[float, float]
) -> tuple[np.ndarray, float]:
    """Return the direction w in which the states of all paths differ most, and its share of their variance, 0..1.

    Args:
        f: as `odeint` takes it.
        starts: states.
        span: the first and the last time.
    """
    states = [_solve_states(f, z0, _plot_times(z0, span)[:: len(starts)]) for z0 in starts]
    x = np.concatenate([np.reshape(z, (len(z), -1)) for z in states]).astype(np.float64)
    x -= x.mean(axis=0)
    variances, u = np.linalg.eigh(x @ x.T)  # of fewer points than a state has numbers, as a rule
    w = u[:, -1] @ x
    if not (length := float(np.linalg.norm(w))):
        raise UsageError("expected states that differ, got several times the same one", "give other inputs")
    w *= np.sign(w[np.abs(w).argmax()]) / length
    return w, float(variances[-1] / variances.sum())


def random_states(block: ODEBlock, count: int, seed: int) -> list[tf.Tensor]:
    """Return states of independent normal numbers, each (1, ...) as the block takes them.

    Raises:
        UsageError: the model leaves their shape open.
    """
    shape = block.get_build_config()["input_shape"][1:]
    if None in shape:
        raise UsageError(f"the model leaves the shape {shape} of its states open", "give --input IMAGE")
    z = np.random.default_rng(seed).normal(size=(count, 1, *shape))
    return [tf.constant(x, _state_dtype(block)) for x in z]


def block_inputs(model: keras.Model, block: ODEBlock, x: np.ndarray) -> list[tf.Tensor]:
    """Return the states (1, ...) that the block is given for inputs (n, ...)."""
    seen: list[tf.Tensor] = []
    own = block.call

    def call(z: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
        seen.append(z)
        return own(z, *args, **kwargs)

    block.call = call  # type: ignore[method-assign]
    try:
        model(x, training=False)
    finally:
        del block.call
    return [tf.cast(z[None], _state_dtype(block)) for z in seen[0]]


def _state_dtype(block: ODEBlock) -> str:
    return "float64" if block.compute_dtype == "float64" else "float32"


def _project(w: np.ndarray, z: Any) -> np.ndarray:
    """Return w . z of states (n, ...)."""
    flat = np.asarray(z)
    product: np.ndarray = flat.reshape(len(flat), -1) @ np.ravel(w)
    return product
