"""The classic demonstration: learn dz/dt = z^3 A from pieces of one trajectory, with a small network.

The setting is that of the demonstration of the paper's authors: 1,000 points of the trajectory over [0, 25]; each
iteration solves 20 random pieces of ten points and lowers the mean absolute difference by RMSprop.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.layers.spiral_net import SpiralNetwork
from gradcam_cli.neuralode.solver.odeint import odeint

A = np.array([[-0.1, 2.0], [-2.0, -0.1]], np.float32)
Z0 = np.array([[2.0, 0.0]], np.float32)
END, PREDICT_SPAN = 25.0, 2.0
POINTS = 1000
SEGMENTS, SEGMENT_LENGTH = 20, 10
LEARNING_RATE, RMSPROP_RHO = 1e-3, 0.99
RTOL, ATOL = 1e-7, 1e-9


class Trajectory(NamedTuple):
    """A solution to learn from.

    Attributes:
        t: (points,) float64.
        z: (points, 2) float32.
    """

    t: np.ndarray
    z: np.ndarray


class TrainingProgress(NamedTuple):
    """How far the learning is.

    Attributes:
        iteration: how many are done.
        loss: of the last batch, mean |z - z_true|.
    """

    iteration: int
    loss: float


def true_f(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Return dz/dt = z^3 A, (n, 2)."""
    return tf.matmul(z**3, tf.cast(A, z.dtype))


def true_trajectory() -> Trajectory:
    """Return the spiral."""
    t = np.linspace(0, END, POINTS)
    z = odeint(true_f, tf.constant(Z0, tf.float64), t, rtol=RTOL, atol=ATOL).z
    return Trajectory(t, z[:, 0].numpy().astype(np.float32))


def sample_segment_starts(iterations: int, seed: int) -> np.ndarray:
    """Return the first points of the pieces, (iterations, 20), of a batch all different."""
    rng = np.random.default_rng(seed)
    starts = [rng.choice(POINTS - SEGMENT_LENGTH, SEGMENTS, replace=False) for _ in range(iterations)]
    return np.array(starts).reshape(-1, SEGMENTS)


def train(
    f: SpiralNetwork,
    data: Trajectory,
    batches: np.ndarray,
    gradient: str = "adjoint",
    report_every: int = 20,
    jit_compile: bool = True,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> Iterator[TrainingProgress]:
    """Learn the weights of f, and yield after each few iterations how far it is.

    Args:
        f: left with what it learned.
        data: what to learn from.
        batches: of `sample_segment_starts`.
        gradient: of `odeint`.
        report_every: iterations between two yields.
        jit_compile: whether XLA compiles the iterations: for so small an f five times as fast.
        rtol: of the solver.
        atol: likewise.

    Raises:
        SolverError: of an iteration that could not be solved; f keeps the weights from before it.
    """
    steps = _SpiralTrainer(f, data, {"gradient": gradient, "rtol": rtol, "atol": atol}, jit_compile)
    for start in range(0, len(batches), report_every):
        some = batches[start : start + report_every]
        yield TrainingProgress(start + len(some), steps(some))


class _SpiralTrainer:
    """Iterations of the learning, as many in one call as there are batches."""

    def __init__(self, f: SpiralNetwork, data: Trajectory, options: dict[str, Any], jit_compile: bool) -> None:
        self.f, self.options = f, options
        self.t, self.z = data.t[:SEGMENT_LENGTH], tf.constant(data.z)
        self.theta = [x.value for x in f.trainable_variables]
        self.mean_squares = [tf.Variable(tf.zeros_like(x)) for x in self.theta]
        self.num_completed = tf.Variable(0)
        self.run = tf.function(self._run, autograph=False, jit_compile=jit_compile)

    def __call__(self, batches: np.ndarray) -> float:
        """Return the last loss.

        Raises:
            SolverError: of an iteration that could not be solved; the weights are those before it.
        """
        starts, loss = tf.constant(batches, tf.int32), tf.constant(0.0)
        with contextlib.suppress(tf.errors.InvalidArgumentError):  # said by name below
            loss = self.run(starts)
        if self.num_completed < len(batches):
            self.differentiate(starts[int(self.num_completed)])
            raise GradcamError("the gradient of an iteration is not finite", "lower the learning rate")
        return float(loss)

    def _run(self, batches: tf.Tensor) -> tf.Tensor:
        """Iterate until the batches are used up, or one cannot be solved."""
        self.num_completed.assign(0)

        def body(i: tf.Tensor, loss: tf.Tensor, sound: tf.Tensor) -> Any:
            loss, gradients = self.differentiate(batches[i])
            sound = tf.math.is_finite(tf.add_n([tf.reduce_sum(tf.abs(x)) for x in [loss, *gradients]]))
            self._rmsprop_step(gradients, sound)
            self.num_completed.assign_add(tf.cast(sound, tf.int32))
            return i + 1, loss, sound

        return tf.while_loop(
            lambda i, loss, sound: (i < tf.shape(batches)[0]) & sound,
            body,
            (tf.constant(0), tf.constant(0.0), tf.constant(True)),
        )[1]

    def differentiate(self, starts: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of the pieces that begin there, and its gradients."""
        pieces = tf.gather(self.z, starts[None] + tf.range(SEGMENT_LENGTH)[:, None])  # (10, 20, 2)
        with tf.GradientTape() as tape:
            z = odeint(self.f, pieces[0], self.t, **self.options).z
            loss = tf.reduce_mean(tf.abs(z - pieces))
        return loss, tape.gradient(loss, self.theta)

    def _rmsprop_step(self, gradients: list[tf.Tensor], is_finite: tf.Tensor) -> None:
        """Take a step of RMSprop, v = 0.99 v + 0.01 g^2, theta -= 0.001 g / (sqrt(v) + 1e-8); none if not sound."""
        for x, v, g in zip(self.theta, self.mean_squares, gradients, strict=True):
            v.assign(tf.where(is_finite, RMSPROP_RHO * v + (1 - RMSPROP_RHO) * g * g, v))
            x.assign(tf.where(is_finite, x - LEARNING_RATE * g / (tf.sqrt(v) + 1e-8), x))


def fit_error(f: SpiralNetwork, data: Trajectory) -> tuple[float, np.ndarray]:
    """Return the mean absolute difference of the fitted trajectory over all times, and it, (points, 2)."""
    z = odeint(f, tf.constant(Z0), data.t, rtol=1e-6, atol=1e-8).z[:, 0].numpy()
    return float(np.abs(z - data.z).mean()), z


def as_model(f: SpiralNetwork) -> keras.Model:
    """Return the Keras model (n, 2) -> (n, 2) that takes points of the plane to where they are two units later."""
    return keras.Sequential(
        [keras.Input((2,)), ODEBlock(f, t_span=(0.0, PREDICT_SPAN), rtol=1e-3, atol=1e-3)], name="spiral"
    )


def vector_field(f: Any, side: int = 21, extent: float = 2.2) -> tuple[np.ndarray, np.ndarray]:
    """Return points of a grid around the origin, (side, side, 2), and f there."""
    x = np.linspace(-extent, extent, side, dtype=np.float32)
    z = np.stack(np.meshgrid(x, x), axis=-1)
    return z, np.asarray(f(tf.constant(0.0), tf.constant(z.reshape(-1, 2)))).reshape(z.shape)
