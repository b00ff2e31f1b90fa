"""Properties of the gradients: linearity, independence of the batch order, backward options, errors."""

import numpy as np
import pytest
import tensorflow as tf
from ode_networks import random_state, tanh_conv

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.odeint import odeint

pytestmark = pytest.mark.slow

T = tf.constant([0.0, 0.4, 1.0], tf.float64)


def test_two_equations_in_a_loss():
    """A loss of two chained solves has the closed-form gradients of both parameters."""
    a, b = tf.Variable(0.3, dtype=tf.float64), tf.Variable(-0.8, dtype=tf.float64)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            z = odeint(lambda t, z: a * z, tf.constant(2.0, tf.float64), (0, 1), rtol=1e-9).z[-1]
            z = odeint(lambda t, z: b * z * z, z, (0, 2), rtol=1e-9).z[-1]
        return z, tape.gradient(z, [a, b])

    z, (a_gradient, b_gradient) = gradients()
    middle = 2 * np.exp(0.3)
    exact = middle / (1 + 1.6 * middle)
    np.testing.assert_allclose(z, exact, rtol=1e-7)
    np.testing.assert_allclose(a_gradient, middle / (1 + 1.6 * middle) ** 2, rtol=1e-6)
    np.testing.assert_allclose(b_gradient, 2 * exact**2, rtol=1e-6)


def test_gradient_is_linear_in_the_cotangent():
    """Scaling the loss by 1e-6 scales the gradient by 1e-6: the steps do not depend on the scale."""
    f, z0 = tanh_conv(), random_state()
    results = []
    for scale in (1.0, 1e-6, 0.0):
        with tf.GradientTape() as tape:
            value = scale * tf.reduce_sum(odeint(f, z0, (0, 1), rtol=1e-3, atol=1e-3).z[-1] ** 3)
        results.append(tape.gradient(value, f.trainable_variables))
    for x, y, zero in zip(*results, strict=True):
        np.testing.assert_allclose(x * 1e-6, y, rtol=1e-9, atol=1e-18)
        assert not zero.numpy().any()


def test_states_do_not_depend_on_the_order_of_the_batch():
    f, z0 = tanh_conv(), random_state(4)
    order = [2, 0, 3, 1]
    z, permuted = (odeint(f, tf.gather(z0, indices), T).z for indices in (range(4), order))
    np.testing.assert_allclose(tf.gather(z, order, axis=1), permuted, rtol=1e-12)


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_gradient_of_changed_variables_raises(gradient):
    """Assigning a variable between the solve and its gradient would make the gradient wrong: it raises."""
    a, z0 = tf.Variable(0.5, dtype=tf.float64), tf.constant(1.0, tf.float64)

    def run(assign):
        with tf.GradientTape() as tape:
            z = odeint(lambda t, z: a * z, z0, (0, 1), gradient=gradient).z[-1]
        a.assign(assign)
        return tape.gradient(z, a)

    np.testing.assert_allclose(run(0.5), np.exp(0.5), rtol=1e-5)
    with pytest.raises(UsageError, match="variables of f changed"):
        run(100.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="variables of f changed"):
        tf.function(run)(3.0)


def test_backward_solver_and_tolerances_change_the_backward_solve():
    """A tighter tolerance needs more backward function evaluations; another solver a different number."""
    f, z0 = tanh_conv(), random_state()
    loose = {"rtol": 1e-3, "atol": 1e-3}
    counts = []
    for options in ({}, {"adjoint_rtol": 1e-9, "adjoint_atol": 1e-9}, {"adjoint_solver": "bosh3"}):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(odeint(f, z0, (0, 1), **loose, **options, backward_callback=counts.append).z[-1])
        tape.gradient(value, f.trainable_variables)
    assert counts[1] > 3 * counts[0]
    assert counts[2] != counts[0]


def test_full_norm_of_a_stiff_quadrature_needs_more_steps():
    """With adjoint_seminorm=False, the parameter gradient enters the error norm of the backward solve."""
    w, z0 = tf.Variable(1.0, dtype=tf.float64), tf.constant([1.0], tf.float64)
    counts, gradients = [], []
    for adjoint_seminorm in (True, False):
        with tf.GradientTape() as tape:
            z = odeint(
                lambda t, z: tf.cos(w * 30 * t) + 0 * z, z0, (0, 1),
                adjoint_seminorm=adjoint_seminorm, backward_callback=counts.append, adjoint_atol=1e-6,
            ).z[-1]  # fmt: skip
        gradients.append(tape.gradient(z, w))
    assert counts[1] > counts[0]
    np.testing.assert_allclose(gradients[1], np.cos(30) - np.sin(30) / 30, rtol=1e-5)


def test_second_derivative_raises():
    z0 = tf.constant(1.0)
    with tf.GradientTape() as outer:
        outer.watch(z0)
        with tf.GradientTape() as inner:
            inner.watch(z0)
            z = odeint(lambda t, z: -z * z, z0, (0, 1)).z[-1]
        first = inner.gradient(z, z0)
    with pytest.raises(UsageError, match="second derivative"):
        outer.gradient(first, z0)
