"""Gradients of args and of tensors in the closure of f, against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.odeint import odeint

GRADIENTS = ("adjoint", "discrete")
Z0 = tf.constant([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]], tf.float64)
TOLERANCES = {"rtol": 1e-8, "atol": 1e-10}


def differentiate(function, sources, graph):
    """Return the value of a function and its gradients, computed eagerly or in a `tf.function`."""

    def run(*sources):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y = function(*sources)
        return y, tape.gradient(y, sources)

    return tf.function(run)(*sources) if graph else run(*sources)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("per_sample_steps", [False, True])
def test_gradients_of_args(gradient, graph, per_sample_steps):
    """The equation z' = c z + b gives z(1) = z0 e^c + b (e^c - 1) / c, with c of each sample, b of each channel."""
    c, b = tf.constant([[0.3], [-0.7], [1.1]], tf.float64), tf.constant([0.2, -0.4], tf.float64)

    def f(t, z, coefficients, sign):
        return coefficients["c"] * z + tf.cast(sign, z.dtype) * coefficients["b"]

    def solve(z0, c, b):
        args = ({"c": c, "b": b}, tf.constant(1))
        return odeint(f, z0, (0, 1), args=args, gradient=gradient, per_sample_steps=per_sample_steps, **TOLERANCES).z[
            -1
        ]

    def exact(z0, c, b):
        return z0 * tf.exp(c) + b * (tf.exp(c) - 1) / c

    y, gradients = differentiate(solve, (Z0, c, b), graph)
    expected, expected_gradients = differentiate(exact, (Z0, c, b), False)
    np.testing.assert_allclose(y, expected, rtol=1e-7)
    for actual, reference in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(actual, reference, rtol=1e-5)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("size", [1, 200])
def test_gradients_of_tensors_in_the_closure(gradient, graph, size):
    """The equation z' = c z with a c in the closure: dz(1)/dc = z0 e^c. TensorFlow treats small constants apart."""
    c, z0 = tf.fill([size], tf.constant(0.3, tf.float64)), tf.ones([size], tf.float64)

    def solve(c):
        return odeint(lambda t, z: c * z, z0, (0, 1), gradient=gradient, **TOLERANCES).z[-1]

    y, (c_gradient,) = differentiate(solve, (c,), graph)
    np.testing.assert_allclose(y, np.full(size, np.exp(0.3)), rtol=1e-7)
    np.testing.assert_allclose(c_gradient, np.full(size, np.exp(0.3)), rtol=1e-5)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_hypernetwork(gradient):
    """The weights of f come from another network: the gradient of its weights w is that of z0 e^(w x)."""
    network = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype="float64")
    x = tf.constant([[0.4]], tf.float64)
    with tf.GradientTape() as tape:
        z = odeint(lambda t, z, c: c * z, Z0, (0, 1), args=(network(x),), gradient=gradient, **TOLERANCES).z[-1]
    expected = 0.4 * np.exp(0.4) * Z0.numpy().sum()
    np.testing.assert_allclose(tape.gradient(z, network.kernel.value), [[expected]], rtol=1e-5)


def test_variables_and_numbers_as_args():
    """A `tf.Variable` has a gradient; a float takes the dtype of z; another value does not retrace f."""
    traces, c = [], tf.Variable(0.5, dtype=tf.float64)

    def f(t, z, c, k):
        traces.append(1)
        return k * c * z

    with tf.GradientTape() as tape:
        z = odeint(f, Z0, (0, 1), args=(c, 2.0), **TOLERANCES).z[-1]
    np.testing.assert_allclose(tape.gradient(z, c), 2 * np.exp(1) * Z0.numpy().sum(), rtol=1e-6)
    count = len(traces)
    np.testing.assert_allclose(odeint(f, Z0, (0, 1), args=(c, 0.5), **TOLERANCES).z[-1], Z0 * np.exp(0.25), rtol=1e-7)
    assert len(traces) == count


@pytest.mark.parametrize(
    ("args", "message"), [(tf.ones([2]), "tuple"), ((object(),), "expected tensors"), (("a",), "numeric")]
)
def test_invalid_args_raise(args, message):
    with pytest.raises(UsageError, match=message):
        odeint(lambda t, z, c: z, Z0, (0, 1), args=args)
