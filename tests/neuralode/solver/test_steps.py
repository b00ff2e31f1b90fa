"""The steps themselves: `return_steps`, `max_step` and `jump_t`."""

import numpy as np
import pytest
import tensorflow as tf
from quick_cases import first_quick

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.odeint import odeint

Z0 = tf.constant([1.0, 0.5], tf.float64)


def pendulum(t, z):
    return tf.stack([z[1], -tf.sin(z[0]) + tf.cos(3 * t)])


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_return_steps_returns_each_step_with_gradients(gradient):
    """The states of z' = a z at the steps taken; their sum has the closed-form gradient."""
    a, z0 = tf.Variable(0.5, dtype=tf.float64), tf.constant([1.0, 2.0], tf.float64)
    with tf.GradientTape() as tape:
        s = odeint(lambda t, z: a * z, z0, (0.5, 3.0), return_steps=True, gradient=gradient)
        value = tf.reduce_sum(s.z)
    assert len(s.times) == len(s.z) == s.num_accepted_steps + 1
    assert (s.times[0], s.times[-1]) == (0.5, 3.0)
    growth = np.exp(0.5 * (s.times - 0.5))
    np.testing.assert_allclose(s.z, growth[:, np.newaxis] * z0, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(value, a), ((s.times - 0.5) * growth * 3).numpy().sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "t", "message"),
    [
        ({"return_steps": True}, tf.constant([0.0, 1.0], tf.float64), "two numbers"),
        ({"return_steps": True}, (0, 0.5, 1), "two numbers"),
        ({"return_steps": True, "jit_compile": True}, (0, 1), "XLA"),
        ({"max_step": 0.1, "solver": "rk4"}, (0, 1), "max_step requires adaptive"),
        ({"jump_t": [0.5], "step_size": 0.1}, (0, 1), "jump_t requires adaptive"),
        ({"jump_t": [float("nan")]}, (0, 1), "finite"),
        ({"max_step": -1.0}, (0, 1), "max_step: expected a positive"),
    ],
)
def test_invalid_options_raise(options, t, message):
    with pytest.raises(UsageError, match=message):
        odeint(pendulum, Z0, t, **options)


def test_no_step_is_larger_than_max_step():
    s = odeint(pendulum, Z0, (0, 2), return_steps=True, max_step=0.03)
    assert np.diff(s.times).max() <= 0.03 + 1e-12
    assert s.num_accepted_steps == 67


@pytest.mark.parametrize("dtype", first_quick(["float32", "float64"]))
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_steps_end_at_the_jumps_of_f(gradient, direction, dtype):
    """Steps end at the jumps of f, which is 1, then -z, then 2, and f is never evaluated beyond them.

    z(3) = (z0 + 1) e^-1 + 2, or backward from z(3) to 0, (z(3) - 2) e - 1. Without jump_t, the same solve needs more
    than twice the function evaluations.
    """

    def f(t, z):
        return tf.where(t < 1, tf.ones_like(z), tf.where(t < 2, -z, 2 * tf.ones_like(z)))

    z0 = tf.constant([1.0, -0.5], dtype)
    times = (0.0, 3.0) if direction == 1 else (3.0, 0.0)
    exact = (z0 + 1) * np.exp(-1) + 2 if direction == 1 else (z0 - 2) * np.e - 1
    solutions = []
    for jump_t in ((2.0, 1.0, 7.0), ()):
        with tf.GradientTape() as tape:
            tape.watch(z0)
            s = odeint(f, z0, times, jump_t=jump_t, gradient=gradient, rtol=1e-5, atol=1e-7)
            z = s.z[-1]
        solutions.append((s, abs(z - exact).numpy().max(), tape.gradient(z, z0)))
    (s, error, z0_gradient), (without, _, _) = solutions
    assert error < 3e-5
    np.testing.assert_allclose(z0_gradient, np.exp(-direction) * np.ones(2), rtol=1e-4)
    assert 2 * s.nfe < without.nfe
    assert s.num_rejected_steps <= 3
