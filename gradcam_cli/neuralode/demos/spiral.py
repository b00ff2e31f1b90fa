"""Demonstration: fit a small network to the spiral dz/dt = z^3 A.

As in the example of the paper's authors, the trajectory over [0, 25] has 1,000 points. Each iteration solves 20 random
segments of ten points and minimizes the mean absolute difference with RMSprop.

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
    """The trajectory to fit.

    Attributes:
        t: (points,) float64, times.
        z: (points, 2) float32, states.
    """

    t: np.ndarray
    z: np.ndarray


class TrainingProgress(NamedTuple):
    """The progress of the training.

    Attributes:
        iteration: number of completed iterations.
        loss: loss of the last batch, mean |z - z_true|.
    """

    iteration: int
    loss: float


def true_f(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Return dz/dt = z^3 A, (n, 2)."""
    return tf.matmul(z**3, tf.cast(A, z.dtype))


def true_trajectory() -> Trajectory:
    """Return the trajectory of the spiral."""
    t = np.linspace(0, END, POINTS)
    z = odeint(true_f, tf.constant(Z0, tf.float64), t, rtol=RTOL, atol=ATOL).z
    return Trajectory(t, z[:, 0].numpy().astype(np.float32))


def sample_segment_starts(iterations: int, seed: int) -> np.ndarray:
    """Return the first points of the segments, (iterations, 20), without duplicates in a batch."""
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
    """Train the weights of f, and yield the progress after every few iterations.

    Args:
        f: the network; its weights are updated.
        data: the trajectory to fit.
        batches: segments from `sample_segment_starts`.
        gradient: gradient method of `odeint`.
        report_every: number of iterations between two yields.
        jit_compile: whether XLA compiles the iterations; five times as fast for this small f.
        rtol: relative tolerance of the solver.
        atol: absolute tolerance of the solver.

    Raises:
        SolverError: an iteration cannot be solved; f keeps the weights of the previous iteration.
    """
    run_batches = _SpiralTrainer(f, data, {"gradient": gradient, "rtol": rtol, "atol": atol}, jit_compile)
    for start in range(0, len(batches), report_every):
        chunk = batches[start : start + report_every]
        yield TrainingProgress(start + len(chunk), run_batches(chunk))


class _SpiralTrainer:
    """Training iterations, several in one call."""

    def __init__(self, f: SpiralNetwork, data: Trajectory, options: dict[str, Any], jit_compile: bool) -> None:
        self.f, self.options = f, options
        self.t, self.z = data.t[:SEGMENT_LENGTH], tf.constant(data.z)
        self.theta = [x.value for x in f.trainable_variables]
        self.mean_squares = [tf.Variable(tf.zeros_like(x)) for x in self.theta]
        self.num_completed = tf.Variable(0)
        self.run = tf.function(self._run, autograph=False, jit_compile=jit_compile)

    def __call__(self, batches: np.ndarray) -> float:
        """Train on the batches, one after the other, and return the last loss.

        Raises:
            SolverError: an iteration cannot be solved; the weights are those of the previous iteration.
        """
        starts, loss = tf.constant(batches, tf.int32), tf.constant(0.0)
        with contextlib.suppress(tf.errors.InvalidArgumentError):  # raised with its class below
            loss = self.run(starts)
        if self.num_completed < len(batches):
            self.differentiate(starts[int(self.num_completed)])
            raise GradcamError("the gradient of an iteration is not finite", "reduce the learning rate")
        return float(loss)

    def _run(self, batches: tf.Tensor) -> tf.Tensor:
        """Iterate over the batches; stop if one cannot be solved."""
        self.num_completed.assign(0)

        def body(i: tf.Tensor, loss: tf.Tensor, is_finite: tf.Tensor) -> Any:
            loss, gradients = self.differentiate(batches[i])
            is_finite = tf.math.is_finite(tf.add_n([tf.reduce_sum(tf.abs(x)) for x in [loss, *gradients]]))
            self._rmsprop_step(gradients, is_finite)
            self.num_completed.assign_add(tf.cast(is_finite, tf.int32))
            return i + 1, loss, is_finite

        return tf.while_loop(
            lambda i, loss, is_finite: (i < tf.shape(batches)[0]) & is_finite,
            body,
            (tf.constant(0), tf.constant(0.0), tf.constant(True)),
        )[1]

    def differentiate(self, starts: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of the segments with these first points, and its gradients."""
        segments = tf.gather(self.z, starts[None] + tf.range(SEGMENT_LENGTH)[:, None])  # (10, 20, 2)
        with tf.GradientTape() as tape:
            z = odeint(self.f, segments[0], self.t, **self.options).z
            loss = tf.reduce_mean(tf.abs(z - segments))
        return loss, tape.gradient(loss, self.theta)

    def _rmsprop_step(self, gradients: list[tf.Tensor], is_finite: tf.Tensor) -> None:
        """Update the weights if all values are finite: v = 0.99 v + 0.01 g^2, theta -= 0.001 g / (sqrt(v) + 1e-8)."""
        for x, v, g in zip(self.theta, self.mean_squares, gradients, strict=True):
            v.assign(tf.where(is_finite, RMSPROP_RHO * v + (1 - RMSPROP_RHO) * g * g, v))
            x.assign(tf.where(is_finite, x - LEARNING_RATE * g / (tf.sqrt(v) + 1e-8), x))


def fit_error(f: SpiralNetwork, data: Trajectory) -> tuple[float, np.ndarray]:
    """Return the mean absolute difference of the fitted trajectory, and the fitted trajectory, (points, 2)."""
    z = odeint(f, tf.constant(Z0), data.t, rtol=1e-6, atol=1e-8).z[:, 0].numpy()
    return float(np.abs(z - data.z).mean()), z


def as_model(f: SpiralNetwork) -> keras.Model:
    """Return the Keras model (n, 2) -> (n, 2) that maps z(0) to z(2)."""
    return keras.Sequential(
        [keras.Input((2,)), ODEBlock(f, t_span=(0.0, PREDICT_SPAN), rtol=1e-3, atol=1e-3)], name="spiral"
    )


def vector_field(f: Any, side: int = 21, extent: float = 2.2) -> tuple[np.ndarray, np.ndarray]:
    """Return a grid of states around the origin, (side, side, 2), and f on the grid."""
    x = np.linspace(-extent, extent, side, dtype=np.float32)
    z = np.stack(np.meshgrid(x, x), axis=-1)
    return z, np.asarray(f(tf.constant(0.0), tf.constant(z.reshape(-1, 2)))).reshape(z.shape)
