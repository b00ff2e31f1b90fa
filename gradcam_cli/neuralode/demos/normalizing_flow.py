"""A continuous normalizing flow: an ODE that transforms a normal distribution into the distribution of the data.

Along dz/dt = f(t, z), the log-density changes by the trace of the Jacobian of f:

    d log p(z(t)) / dt = -tr(df/dz)

A sample is z(1) for a z(0) from N(0, I). The density of x is that of z(0), for z(1) = x:

    log p(x) = log N(z(0)) - int_0^1 tr(df/dz) dt

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 4.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.odeint import odeint

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def two_moons(num_points: int, seed: int = 0, noise: float = 0.08) -> np.ndarray:
    """Return points on two interleaved half circles of radius 1, (num_points, 2) float32, centered at 0.

    Args:
        num_points: number of points.
        seed: random seed.
        noise: standard deviation of the distance from the half circles, per coordinate.
    """
    rng = np.random.default_rng(seed)
    angle, lower = rng.uniform(0, np.pi, num_points), rng.integers(0, 2, num_points)
    points = np.stack([np.cos(angle) - 0.5 + lower, (1 - 2 * lower) * (np.sin(angle) - 0.25)], axis=1)
    return (points + noise * rng.normal(size=points.shape)).astype(np.float32)


class Velocity(keras.Layer):  # type: ignore[misc]
    """f(t, z) of two hidden layers.

    Args:
        width: number of hidden units per layer.
    """

    def __init__(self, width: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = [keras.layers.Dense(width, "tanh") for _ in range(2)]
        self.out = keras.layers.Dense(2)

    def build(self, *_: Any) -> None:
        """Create the weights."""
        size = 3
        for layer in (*self.hidden, self.out):
            layer.build((None, size))
            size = layer.units
        self.built = True

    def call(self, t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return dz/dt, (n, 2), for t () and z (n, 2)."""
        x = tf.concat([z, tf.fill([tf.shape(z)[0], 1], t)], axis=1)
        for layer in self.hidden:
            x = layer(x)
        return self.out(x)


class DensityFlow(keras.Layer):  # type: ignore[misc]
    """The right-hand side of the state [z, log p]: f and -tr(df/dz), with the exact trace.

    Args:
        f: a function or layer of t and z (n, d) without interaction between samples.
    """

    def __init__(self, f: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.f = f

    def build(self, *_: Any) -> None:
        """Create no weights: f has its own."""
        self.built = True

    def call(self, t: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Return dz/dt (n, d) and d log p/dt (n,), at the cost of d vector-Jacobian products."""
        z = state[0]
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(z)
            dz = self.f(t, z)
            components = tf.unstack(dz, axis=1)
        diagonal = [
            tape.gradient(x, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)[:, i]
            for i, x in enumerate(components)
        ]
        return dz, -tf.add_n(diagonal)


def log_density(flow: DensityFlow, x: tf.Tensor, **options: Any) -> tf.Tensor:
    """Return log p(x), (n,), for x (n, d), by a solve from t = 1 to 0.

    Args:
        flow: the flow.
        x: the points.
        **options: options of `odeint`.
    """
    z, change = odeint(flow, (x, tf.zeros_like(x[:, 0])), (1.0, 0.0), **{**TOLERANCE, **options}).z
    normal = -0.5 * tf.reduce_sum(z[-1] ** 2, axis=1) - 0.5 * x.shape[1] * float(np.log(2 * np.pi))
    return normal - change[-1]


def draw_samples(flow: DensityFlow, num_samples: int, seed: int = 0, **options: Any) -> tf.Tensor:
    """Return samples of a flow in two dimensions, (num_samples, 2), by a solve from t = 0 to 1."""
    z = np.random.default_rng(seed).normal(size=(num_samples, 2)).astype(np.float32)
    return odeint(flow.f, tf.constant(z), (0.0, 1.0), **{**TOLERANCE, **options}).z[-1]


def train_flow(num_steps: int, batch_size: int = 512, seed: int = 0, learning_rate: float = 5e-3) -> DensityFlow:
    """Return a flow trained on two moons: maximum likelihood, Adam with cosine decay, new points in each step."""
    keras.utils.set_random_seed(seed)
    flow = DensityFlow(Velocity())
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, max(num_steps, 1)))
    for step in range(num_steps):
        x = tf.constant(two_moons(batch_size, seed=seed * num_steps + step))
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(log_density(flow, x, rtol=1e-3, atol=1e-3))
        variables = flow.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
    return flow
