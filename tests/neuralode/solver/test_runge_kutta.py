"""Steps: measured orders, residual networks, how many evaluations, landing on the requested times."""

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
"""For each order, how many steps have errors between 1e-4 and 1e-12."""

EXACT = {cosine: np.exp(np.sin(T)), logistic: 4 / (1 + 3 * np.exp(-T))}


@pytest.mark.parametrize("f", [cosine, pytest.param(logistic, marks=pytest.mark.slow)], ids=["cosine", "logistic"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in ("heun2", "rk4", "dopri5", "dopri8") else pytest.mark.slow) for n in SOLVERS],
)
def test_measured_order(name, f):
    """The slope of log error against log step is the nominal order, where errors are from 1e-4 to 1e-12."""
    order, y0 = SOLVERS[name].order, tf.constant(1.0, tf.float64)
    counts = np.array(STEPS[order])
    errors = [
        abs(odeint(f, y0, (0, T), solver=name, step_size=T / n, max_steps=100_000).z[-1].numpy() - EXACT[f])
        for n in counts
    ]
    assert min(errors) > 1e-12
    assert max(errors) < 1e-4
    assert np.polyfit(np.log(T / counts), np.log(errors), 1)[0] > order - 0.3


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_ten_euler_steps_by_hand(gradient):
    """Ten steps of 0.1 take y' = y to 1.1^10, and so is dy/dy0, at ten evaluations."""
    y0 = tf.constant(1.0, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(y0)
        solution = odeint(lambda t, y: y, y0, (0, 1), solver="euler", step_size=0.1, gradient=gradient)
        y = solution.z[-1]
    np.testing.assert_allclose([y, tape.gradient(y, y0)], 1.1**10, rtol=1e-14)
    assert solution.nfe == 10


def test_euler_is_the_residual_network():
    """With step 1, h + f(h) layer by layer, with the gradients of the weights."""
    rng = np.random.default_rng(0)
    W, h0 = tf.Variable(rng.normal(size=(3, 3)) / 3), tf.constant(rng.normal(size=(4, 3)))

    def f(t, h):
        return tf.tanh(h @ W + t)

    with tf.GradientTape(persistent=True) as tape:
        solved = odeint(f, h0, (0, 3), solver="euler", step_size=1.0, gradient="discrete").z[-1]
        h = h0
        for layer in range(3):
            h = h + f(tf.constant(layer, tf.float64), h)
        ours, theirs = tf.reduce_sum(solved**2), tf.reduce_sum(h**2)
    np.testing.assert_allclose(solved, h, rtol=1e-14)
    np.testing.assert_allclose(tape.gradient(ours, W), tape.gradient(theirs, W), rtol=1e-12)


def test_evaluations_by_hand():
    """FSAL: two for the first slope and Hairer's probe, then six a step; with a given first step, one less."""
    y0 = tf.constant([1.0, 2.0], tf.float64)
    for first_step, begin in ((None, 2), (0.1, 1)):
        s = odeint(cosine, y0, (0, 1, T), first_step=first_step)
        assert s.nfe == begin + 6 * (s.num_accepted_steps + s.num_rejected_steps)
    s = odeint(cosine, y0, (0, 1, T), solver="dopri8", first_step=0.1)
    assert s.nfe == 13 * (s.num_accepted_steps + s.num_rejected_steps)
    s = odeint(cosine, y0, (0, 1, T), solver="rk4")
    assert (s.nfe, s.num_accepted_steps, s.num_rejected_steps) == (8, 2, 0)


def test_f_sees_the_requested_times_exactly():
    """The solver lands on each requested time: f is evaluated there, not beside it."""
    seen = []

    def f(t, y):
        tf.numpy_function(lambda t: seen.append(float(t)), [t], [])
        return y * tf.cos(5 * t)

    times = [0.1, 0.3, 0.7000001, 1.9]
    odeint(f, tf.constant(1.0, tf.float64), times)
    assert set(times) <= set(seen)
    assert min(seen) == 0.1
    assert max(seen) == 1.9


def test_rejected_steps_leave_no_trace():
    """A first step far too large is rejected, and the result is as good."""
    y0 = tf.constant(1.0, tf.float64)
    s = odeint(lambda t, y: 20 * y * tf.cos(20 * t), y0, (0, T), rtol=1e-8, atol=1e-10, first_step=T)
    assert s.num_rejected_steps > 0
    np.testing.assert_allclose(s.z[-1], np.exp(np.sin(20 * T)), rtol=1e-6)


def test_samples_of_their_own():
    """Uncoupled, each sample is solved as if it were alone, values and gradients, however stiff its neighbour is."""
    z0 = tf.constant([[0.1, 1.0], [3.0, 1.0], [40.0, 1.0]], tf.float64)

    def f(t, z):
        rate, x = z[:, :1], z[:, 1:]
        return tf.concat([tf.zeros_like(rate), -rate * (x - tf.cos(t))], axis=1)

    def solve(z0):
        with tf.GradientTape() as tape:
            tape.watch(z0)
            s = odeint(f, z0, (0, 1), per_sample_steps=True, rtol=1e-5, atol=1e-7)
            value = tf.reduce_sum(s.z[-1, :, 1])
        return s, tape.gradient(value, z0)

    together, gradient = solve(z0)
    for i in range(3):
        alone, own = solve(z0[i : i + 1])
        assert int(alone.num_accepted_steps[0]) == int(together.num_accepted_steps[i])
        np.testing.assert_allclose(together.z[:, i], alone.z[:, 0], rtol=1e-13)
        np.testing.assert_allclose(gradient[i], own[0], rtol=1e-12)
    assert len(set(together.num_accepted_steps.numpy())) == 3


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_gradients_of_samples_of_their_own(gradient):
    """Uncoupled gradients of the parameters and the times are the closed forms: sums over the samples."""
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
    of_a, of_t = tape.gradient(value, [a, t])
    span = np.sin(2) - np.sin(0.5)
    z1 = (weights * z0).sum() * np.exp(0.5 * span)
    np.testing.assert_allclose(of_a, [[span * z1]], rtol=1e-6)
    np.testing.assert_allclose(of_t, [-0.5 * np.cos(0.5) * z1, 0, 0.5 * np.cos(2) * z1], rtol=1e-6, atol=1e-5)


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
def test_what_cannot_be_meant(arguments, message):
    with pytest.raises(UsageError, match=message):
        odeint(**{"f": cosine, "z0": tf.constant(1.0, tf.float64), "t": (0, 1), **arguments})
