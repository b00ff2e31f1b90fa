"""Variables, inner functions and traces of f."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.odeint import odeint

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("gradient", ["adjoint", pytest.param("discrete", marks=pytest.mark.slow)])
def test_unused_parameters_have_zero_gradient(gradient):
    """The gradient is exactly zero for a variable, an embedding row and a layer that f reads without effect."""
    used, unused = tf.Variable(0.5), tf.Variable([3.0, 4.0])
    table = tf.Variable([[1.0], [2.0]])
    dense = keras.layers.Dense(1)

    def f(t, z):
        dense(unused[None])
        return used * z * tf.gather(table, 1)[0] + 0 * tf.reduce_sum(unused)

    z0 = tf.constant([1.0])
    with tf.GradientTape() as tape:
        value = odeint(f, z0, (0, 1), gradient=gradient).z[-1]
    used_gradient, unused_gradient, table_gradient, kernel_gradient = tape.gradient(
        value, [used, unused, table, dense.kernel]
    )
    np.testing.assert_allclose(used_gradient, 2 * np.exp(1), rtol=1e-4)
    np.testing.assert_allclose(table_gradient, [[0], [0.5 * np.exp(1)]], rtol=1e-4)
    np.testing.assert_array_equal(unused_gradient, [0, 0])
    assert kernel_gradient is None or not kernel_gradient.numpy().any()


def test_traces_are_cached_while_f_is_alive():
    """A bound method is traced once; the cache does not keep its object alive."""
    traces = []

    class Owner:
        def f(self, t, z):
            traces.append(1)
            return -z

    owner, z0 = Owner(), tf.constant([1.0])
    odeint(owner.f, z0, (0, 1))
    first = len(traces)
    for _ in range(3):
        odeint(owner.f, z0, (0, 2))
    assert len(traces) == first
    reference = weakref.ref(owner)
    del owner
    gc.collect()
    assert reference() is None


def test_equal_arguments_do_not_retrace():
    """A list of times, equal tolerances of other types, and a known batch size do not retrace f."""
    traces = []

    def f(t, z):
        traces.append(1)
        return -z

    def solve(n, t, rtol):
        count = len(traces)
        odeint(f, tf.ones([n, 2]), t, rtol=rtol, atol=rtol)
        return len(traces) - count

    solve(8, [0, 1], 1e-3)
    assert solve(8, [0, 1], 1e-3) == 0
    assert solve(8, (0.0, 2.0), float("1e-3")) == 0
    assert solve(8, np.array([0, 3]), np.float64(1e-3)) == 0
    assert solve(5, [0, 1], 1e-3) <= 1
    assert solve(8, [0, 1], 1e-3) == solve(5, [0, 1], 1e-3) == 0


def test_inner_function_that_reads_variables_raises():
    """The gradient of a variable that a `tf.function` inside f reads would be lost, so tracing raises."""
    w, z0 = tf.Variable(0.7, dtype="float64"), tf.constant([1.0], "float64")
    inner = tf.function(lambda z: w * z)

    class Layer(keras.Layer):
        def __init__(self):
            super().__init__(dtype="float64")
            self.w = self.add_weight(shape=(), initializer="ones", name="w")
            self.inner = tf.function(lambda z: self.w * z)
            self.built = True

        def call(self, t, z):
            return self.inner(z) + self.w * z

    for f in (lambda t, z: inner(z), lambda t, z: inner(z) + w * z, Layer()):
        with pytest.raises(UsageError, match=r"inner tf\.function"):
            odeint(f, z0, (0, 1))
        with pytest.raises(Exception, match=r"inner tf\.function"):
            tf.function(lambda f=f: odeint(f, z0, (0, 1)).z, autograph=False)()
    np.testing.assert_allclose(inner(z0), [0.7])


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
@pytest.mark.parametrize("graph", [False, True])
def test_functions_and_solves_inside_f(gradient, graph):
    """A `tf.function` with tensor arguments, `tf.recompute_grad` and an odeint inside f have exact gradients.

    z' = w z gives z(1) = e^w, with derivative e^w. The odeint inside f gives z' = (e^w - 1) z.
    """
    w, z0 = tf.Variable(0.7, dtype="float64"), tf.constant([1.0], "float64")
    product = tf.function(lambda w, z: w * z)
    e, fixed = np.exp(0.7), {"solver": "rk4", "step_size": 0.1}
    cases = [
        (lambda t, z: product(1.0 * w, z), e),
        (lambda t, z: tf.recompute_grad(lambda z: w * z)(z), e),
        (lambda t, z: odeint(lambda s, y: w * y, z, (0, 1), **fixed).z[-1] - z, np.exp(e - 1) * e),
    ]
    for f, expected in cases:

        def run(f=f):
            with tf.GradientTape() as tape:
                z = odeint(f, z0, (0, 1), gradient=gradient, **fixed).z[-1]
            return tape.gradient(z, w)

        np.testing.assert_allclose(tf.function(run)() if graph else run(), expected, rtol=1e-4)
