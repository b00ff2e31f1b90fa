"""Continuous normalizing flows: the change of the log-density in closed form, normalization, and training."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.linalg import expm
from scipy.stats import multivariate_normal

from gradcam_cli.neuralode.demos.normalizing_flow import (
    DensityFlow,
    Velocity,
    draw_samples,
    log_density,
    train_flow,
    two_moons,
)

B = np.array([[0.3, -1.2], [0.7, -0.5]])
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def linear(t, z):
    return z @ tf.constant(B.T)


def nonlinear(t, z):
    return tf.tanh(z @ tf.constant(B.T)) * (1 + t)


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_linear_flow_is_a_normal_distribution(gradient):
    """For f = B z, log p changes by -tr(B), and x is distributed as N(0, e^B e^B^T); the gradient is that of it."""
    x = tf.constant(np.random.default_rng(0).normal(size=(5, 2)))
    flow = DensityFlow(linear, dtype="float64")
    change = flow(tf.constant(0.0, tf.float64), (x, x[:, 0]))[1]
    np.testing.assert_allclose(change, np.full(5, -np.trace(B)), rtol=1e-12)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = log_density(flow, x, gradient=gradient, **TIGHT)
    covariance = expm(B) @ expm(B).T
    np.testing.assert_allclose(value, multivariate_normal([0, 0], covariance).logpdf(x.numpy()), rtol=1e-7)
    np.testing.assert_allclose(tape.gradient(value, x), -x.numpy() @ np.linalg.inv(covariance), rtol=1e-6)


@pytest.mark.parametrize("f", [nonlinear, "network"])
def test_density_integrates_to_one(f):
    """By the midpoint rule on a grid that holds all but a negligible part."""
    tf.keras.utils.set_random_seed(1)
    flow = DensityFlow(Velocity()) if f == "network" else DensityFlow(f, dtype="float64")
    line = np.linspace(-8, 8, 121)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    x = tf.constant(grid, tf.float32 if f == "network" else tf.float64)
    total = np.exp(log_density(flow, x, rtol=1e-6, atol=1e-6).numpy()).sum() * (line[1] - line[0]) ** 2
    np.testing.assert_allclose(total, 1, atol=1e-3)


@pytest.mark.slow
def test_training_approaches_the_data():
    """The log-likelihood of new points exceeds that of the best normal distribution; samples lie near the moons."""
    flow, points = train_flow(150, batch_size=256), two_moons(1000, seed=10**6)
    normal = multivariate_normal(points.mean(axis=0), np.cov(points.T)).logpdf(points).mean()
    assert float(tf.reduce_mean(log_density(flow, tf.constant(points)))) > normal + 0.3
    samples = draw_samples(flow, 500).numpy()
    distances = np.linalg.norm(samples[:, None] - points[None], axis=-1).min(axis=1)
    assert np.mean(distances < 0.15) > 0.7
