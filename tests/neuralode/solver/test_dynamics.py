"""Variables, inner functions and traces of f."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from quick_cases import first_quick

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


@pytest.mark.parametrize("gradient", first_quick(["discrete", "adjoint"]))
@pytest.mark.parametrize("graph", first_quick([True, False]))
def test_functions_and_solves_inside_f(gradient, graph):
    """A `tf.function`, `tf.recompute_grad` and an odeint inside f have exact gradients.

    z' = w z gives z(1) = e^w, with derivative e^w. The odeint inside f gives z' = (e^w - 1) z.
    """
    w, z0 = tf.Variable(0.7, dtype="float64"), tf.constant([1.0], "float64")
    product, reads_variable = tf.function(lambda w, z: w * z), tf.function(lambda z: w * z)

    @tf.function
    def with_autograph(t, z):
        if t >= 0:
            return w * z
        return -z

    e, fixed = np.exp(0.7), {"solver": "rk4", "step_size": 0.1}
    cases = [
        (lambda t, z: product(1.0 * w, z), e),
        (lambda t, z: reads_variable(z) / 2 + w * z / 2, e),
        (with_autograph, e),
        (lambda t, z: tf.recompute_grad(lambda z: w * z)(z), e),
        (lambda t, z: odeint(lambda s, y: w * y, z, (0, 1), **fixed).z[-1] - z, np.exp(e - 1) * e),
    ]
    for f, expected in cases:

        def run(f=f):
            with tf.GradientTape() as tape:
                z = odeint(f, z0, (0, 1), gradient=gradient, **fixed).z[-1]
            return tape.gradient(z, w)

        np.testing.assert_allclose(tf.function(run)() if graph else run(), expected, rtol=1e-4)


def test_frozen_layers_have_no_gradient():
    """Freezing and unfreezing a layer changes the gradients of the next solve: d e^(w1 + w2) / dw = e^(w1 + w2)."""

    class Sum(keras.Layer):
        def __init__(self):
            super().__init__(dtype="float64")
            self.first, self.second = (
                keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype="float64") for _ in "ab"
            )

        def call(self, t, z):
            return self.first(z) + self.second(z)

    f, z0 = Sum(), tf.constant([[1.0]], "float64")
    f(tf.constant(0.0), z0)
    for first, second in ((True, True), (False, True), (True, False), (False, False), (True, True)):
        f.first.trainable, f.second.trainable = first, second
        with tf.GradientTape() as tape:
            z = odeint(f, z0, (0, 1)).z[-1]
        for gradient, expected in zip(
            tape.gradient(z, [f.first.kernel.value, f.second.kernel.value]), (first, second), strict=True
        ):
            assert (gradient is not None) == expected
            if expected:
                np.testing.assert_allclose(gradient, [[np.exp(2)]], rtol=1e-4)


def test_stateless_scope_replaces_the_values_of_variables():
    """`stateless_call` solves with the values that it is given, and changes no cached trace: z(1) = z e^w."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    layer.build((None, 1))
    z0 = tf.ones([1, 1])
    for w in (0.5, 1.0):
        with keras.StatelessScope([(layer.kernel, tf.constant([[w]]))]):
            np.testing.assert_allclose(odeint(layer, z0, (0, 1)).z[-1], [[np.exp(w)]], rtol=1e-4)
        np.testing.assert_allclose(odeint(layer, z0, (0, 1)).z[-1], [[1]], rtol=1e-6)
