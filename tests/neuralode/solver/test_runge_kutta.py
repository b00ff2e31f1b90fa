"""Steps: measured orders, residual networks, function evaluations, requested times, per-sample steps."""

import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.tableaus import SOLVERS

pytestmark = pytest.mark.slow

T = 2.2


def cosine(t, y):
    return y * tf.cos(t)


def logistic(t, y):
    return y * (1 - y / 4)


STEPS = {1: (20000, 30000), 2: (300, 600), 3: (64, 128, 256), 4: (16, 32, 64), 5: (8, 16, 32), 8: (5, 7)}
"""For each order, numbers of steps with errors between 1e-4 and 1e-12."""

NEWTON = {"rtol": 1e-12, "atol": 1e-13}
"""With fixed steps, these set the accuracy of Newton's method only."""

EXACT = {cosine: np.exp(np.sin(T)), logistic: 4 / (1 + 3 * np.exp(-T))}


@pytest.mark.parametrize("f", [cosine, pytest.param(logistic, marks=pytest.mark.slow)], ids=["cosine", "logistic"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in ("heun2", "rk4", "dopri5", "dopri8") else pytest.mark.slow) for n in SOLVERS],
)
def test_error_follows_the_order(name, f):
    """The slope of log error against log step is the nominal order."""
    order, y0 = SOLVERS[name].order, tf.constant(1.0, tf.float64)
    counts = np.array(STEPS[order])
    errors = [
        abs(odeint(f, y0, (0, T), solver=name, step_size=T / n, max_steps=100_000, **NEWTON).z[-1].numpy() - EXACT[f])
        for n in counts
    ]
    assert min(errors) > 1e-12
    assert max(errors) < 1e-4
    assert np.polyfit(np.log(T / counts), np.log(errors), 1)[0] > order - 0.3


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_ten_euler_steps_of_exponential_growth(gradient):
    """Ten steps of 0.1 give y = dy/dy0 = 1.1^10 for y' = y, with ten function evaluations."""
    y0 = tf.constant(1.0, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(y0)
        solution = odeint(lambda t, y: y, y0, (0, 1), solver="euler", step_size=0.1, gradient=gradient)
        y = solution.z[-1]
    np.testing.assert_allclose([y, tape.gradient(y, y0)], 1.1**10, rtol=1e-14)
    assert solution.nfe == 10


def test_euler_steps_equal_a_residual_network():
    """Steps of size 1 are the layers h + f(h), with equal states and weight gradients."""
    rng = np.random.default_rng(0)
    W, h0 = tf.Variable(rng.normal(size=(3, 3)) / 3), tf.constant(rng.normal(size=(4, 3)))

    def f(t, h):
        return tf.tanh(h @ W + t)

    with tf.GradientTape(persistent=True) as tape:
        z = odeint(f, h0, (0, 3), solver="euler", step_size=1.0, gradient="discrete").z[-1]
        h = h0
        for layer in range(3):
            h = h + f(tf.constant(layer, tf.float64), h)
        loss, expected_loss = tf.reduce_sum(z**2), tf.reduce_sum(h**2)
    np.testing.assert_allclose(z, h, rtol=1e-14)
    np.testing.assert_allclose(tape.gradient(loss, W), tape.gradient(expected_loss, W), rtol=1e-12)


def test_number_of_function_evaluations():
    """dopri5 (FSAL) needs two before the first step, one with `first_step`, and six per step; dopri8 13 per step."""
    y0 = tf.constant([1.0, 2.0], tf.float64)
    for first_step, initial_nfe in ((None, 2), (0.1, 1)):
        s = odeint(cosine, y0, (0, 1, T), first_step=first_step)
        assert s.nfe == initial_nfe + 6 * (s.num_accepted_steps + s.num_rejected_steps)
        s = odeint(cosine, y0, (0, 1, T), solver="dopri8", first_step=first_step)
        assert s.nfe == initial_nfe + 13 * (s.num_accepted_steps + s.num_rejected_steps)
    s = odeint(cosine, y0, (0, 1, T), solver="rk4")
    assert (s.nfe, s.num_accepted_steps, s.num_rejected_steps) == (8, 2, 0)


@pytest.mark.parametrize("solver", ["dopri5", "rk4"])
def test_f_is_evaluated_at_the_requested_times_exactly(solver):
    """Adaptive steps end at the last time, fixed steps at each time."""
    evaluated = []

    def f(t, y):
        tf.numpy_function(lambda t: evaluated.append(float(t)), [t], [])
        return y * tf.cos(5 * t)

    times = [0.1, 0.3, 0.7000001, 1.9]
    odeint(f, tf.constant(1.0, tf.float64), times, solver=solver)
    assert set(times if solver == "rk4" else times[::3]) <= set(evaluated)
    assert min(evaluated) == 0.1
    assert max(evaluated) == 1.9


def test_rejected_steps_do_not_change_the_result():
    """A first step that is too large is rejected."""
    y0 = tf.constant(1.0, tf.float64)
    s = odeint(lambda t, y: 20 * y * tf.cos(20 * t), y0, (0, T), rtol=1e-8, atol=1e-10, first_step=T)
    assert s.num_rejected_steps > 0
    np.testing.assert_allclose(s.z[-1], np.exp(np.sin(20 * T)), rtol=1e-6)


def test_per_sample_solve_equals_that_of_each_sample():
    """With per-sample steps, states, gradients and step counts do not depend on stiffer samples."""
    z0 = tf.constant([[0.1, 1.0], [3.0, 1.0], [9.0, 1.0]], tf.float64)

    def f(t, z):
        rate, x = z[:, :1], z[:, 1:]
        return tf.concat([tf.zeros_like(rate), -rate * (x - tf.cos(t))], axis=1)

    def solve(z0):
        with tf.GradientTape() as tape:
            tape.watch(z0)
            s = odeint(f, z0, (0, 1), per_sample_steps=True, rtol=1e-5, atol=1e-7)
            value = tf.reduce_sum(s.z[-1, :, 1])
        return s, tape.gradient(value, z0)

    batch, gradient = solve(z0)
    for i in range(3):
        single, single_gradient = solve(z0[i : i + 1])
        assert int(single.num_accepted_steps[0]) == int(batch.num_accepted_steps[i])
        np.testing.assert_allclose(batch.z[:, i], single.z[:, 0], rtol=1e-13)
        np.testing.assert_allclose(gradient[i], single_gradient[0], rtol=1e-12)
    assert len(set(batch.num_accepted_steps.numpy())) == 3


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_gradients_with_per_sample_steps_equal_closed_forms(gradient):
    """The gradients of the parameters and the times are sums over the samples."""
    a, t = tf.Variable([[0.5]], dtype=tf.float64), tf.constant([0.5, 1.0, 2.0], tf.float64)
    z0 = np.array([[1.0], [-2.0], [3.0]])
    with tf.GradientTape() as tape:
        tape.watch(t)
        s = odeint(
            lambda t, z: a * z * tf.cos(t), tf.constant(z0), t,
            per_sample_steps=True, rtol=1e-8, atol=1e-10, gradient=gradient,
        )  # fmt: skip
        weights = np.array([[1.0], [10.0], [100.0]])
        value = tf.reduce_sum(weights * s.z[-1])
    a_gradient, t_gradient = tape.gradient(value, [a, t])
    span = np.sin(2) - np.sin(0.5)
    z1 = (weights * z0).sum() * np.exp(0.5 * span)
    np.testing.assert_allclose(a_gradient, [[span * z1]], rtol=1e-6)
    np.testing.assert_allclose(t_gradient, [-0.5 * np.cos(0.5) * z1, 0, 0.5 * np.cos(2) * z1], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"solver": "rk5"}, "dopri5.*got rk5"),
        ({"rtol": -1.0}, "rtol: expected a positive"),
        ({"gradient": "none"}, "adjoint, discrete"),
        ({"t": (0, 1, 1)}, "increase or decrease"),
        ({"t": (0, float("nan"))}, "finite"),
        ({"t": 1.0}, "times"),
        ({"z0": tf.constant(1)}, "got int32"),
        ({"z0": (tf.constant(1.0), tf.constant(1.0, tf.float64))}, "float32, float64"),
        ({"per_sample_steps": True}, "scalar"),
        ({"f": lambda t, y: (y, y)}, "structure"),
        ({"f": lambda t, y: tf.stack([y, y])}, "shape"),
        ({"f": lambda t, y: tf.cast(y, tf.float32)}, "expected float64.*got float32"),
    ],
)
def test_invalid_arguments_raise(arguments, message):
    with pytest.raises(UsageError, match=message):
        odeint(**{"f": cosine, "z0": tf.constant(1.0, tf.float64), "t": (0, 1), **arguments})
