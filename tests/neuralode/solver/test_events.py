"""Events: their times, states and derivatives against closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.events import odeint_event

HEIGHT, GRAVITY = 10.0, 9.81


def make_ball():
    gravity = tf.Variable(GRAVITY, dtype=tf.float64)
    return gravity, lambda t, z: tf.stack([z[1], -gravity])


@pytest.mark.parametrize(
    ("options", "compiled"),
    [
        ({"gradient": "adjoint"}, False),
        pytest.param({"gradient": "adjoint"}, True, marks=pytest.mark.extended),
        pytest.param({"gradient": "discrete"}, False, marks=pytest.mark.extended),
        pytest.param({"gradient": "discrete"}, True, marks=pytest.mark.extended),
        pytest.param({"solver": "rk4", "step_size": 0.1}, False, marks=pytest.mark.extended),
        pytest.param({"solver": "rk4", "step_size": 0.1}, True, marks=pytest.mark.extended),
    ],
)
def test_falling_ball(options, compiled):
    """t* = sqrt(2h/g), v = -sqrt(2gh), and their derivatives with respect to h and g."""
    gravity, ball = make_ball()
    height = tf.constant(HEIGHT, tf.float64)

    def run():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(height)
            event = odeint_event(ball, tf.stack([height, 0.0]), (0, 5), lambda t, z: z[0], **options)
            t, v = event.t, event.z[1]
        return event, tape.gradient(t, [height, gravity]), tape.gradient(v, [height, gravity])

    event, t_gradient, v_gradient = (tf.function(run, autograph=False) if compiled else run)()
    t, v = np.sqrt(2 * HEIGHT / GRAVITY), -np.sqrt(2 * GRAVITY * HEIGHT)
    assert event.occurred
    np.testing.assert_allclose([event.t, event.z[1]], [t, v], rtol=1e-9)
    np.testing.assert_allclose(event.z[0], 0, atol=1e-9)
    np.testing.assert_allclose(t_gradient, [t / (2 * HEIGHT), -t / (2 * GRAVITY)], rtol=1e-9)
    np.testing.assert_allclose(v_gradient, [v / (2 * HEIGHT), v / (2 * GRAVITY)], rtol=1e-9)


@pytest.mark.parametrize("solver", ["bosh3", "dopri5", "tsit5", "dopri8"])
def test_event_is_as_accurate_as_the_tolerance(solver):
    """The solution of z' = -z reaches c at t* = log(z0/c), with dt*/dz0 = 1/z0 and dt*/dc = -1/c.

    c is a variable that only event_fn reads.
    """
    z0, c = tf.constant(2.0, tf.float64), tf.Variable(0.3, dtype=tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(z0)
        event = odeint_event(lambda t, z: -z, z0, (0, 9), lambda t, z: z - c, solver=solver, rtol=1e-7, atol=1e-9)
        t = event.t
    np.testing.assert_allclose(t, np.log(2 / 0.3), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(t, [z0, c]), [1 / 2, -1 / 0.3], rtol=1e-5)


def test_first_crossing_backward_in_time_and_in_the_time():
    """The function g = cos(t) changes its sign first at pi/2, or at -pi/2 backward; the tolerance does not matter."""
    for end in (9.0, -9.0):
        event = odeint_event(
            lambda t, z: z, tf.constant(1.0, tf.float64), (0, end), lambda t, z: tf.cos(t) + 0 * z, max_step=0.5
        )
        np.testing.assert_allclose(event.t, np.sign(end) * np.pi / 2, rtol=1e-12)


def test_samples_have_their_own_events():
    """Balls from 10 m and 2 m, and one that does not land; the gradient is that of each ball."""
    gravity, _ = make_ball()
    height = tf.constant([10.0, 2.0, 1000.0], tf.float64)

    def balls(t, z):
        return tf.stack([z[:, 1], -gravity * tf.ones_like(z[:, 0])], axis=1)

    with tf.GradientTape() as tape:
        tape.watch(height)
        z0 = tf.stack([height, tf.zeros_like(height)], axis=1)
        event = odeint_event(balls, z0, (0, 5), lambda t, z: z[:, 0], per_sample_steps=True)
        t = event.t
    expected = np.sqrt(2 * np.array([10.0, 2.0]) / GRAVITY)
    np.testing.assert_array_equal(event.occurred, [True, True, False])
    np.testing.assert_allclose(t, [*expected, 5], rtol=1e-9)
    np.testing.assert_allclose(tape.gradient(t, height), [*expected / [20, 4], 0], rtol=1e-9)
    np.testing.assert_allclose(event.z[2], [1000 - GRAVITY * 12.5, -GRAVITY * 5], rtol=1e-9)


def test_bouncing_ball_restarts_from_its_event():
    """A zero of g at the start is no event: with restitution 0.8, the second flight takes 1.6 sqrt(2h/g)."""
    _, ball = make_ball()
    first = odeint_event(ball, tf.constant([HEIGHT, 0.0], tf.float64), (0.0, 20.0), lambda t, z: z[0])
    start = tf.stack([tf.zeros([], tf.float64), -0.8 * first.z[1]])
    second = odeint_event(ball, start, (float(first.t), 20.0), lambda t, z: z[0])
    np.testing.assert_allclose(second.t - first.t, 1.6 * np.sqrt(2 * HEIGHT / GRAVITY), rtol=1e-8)


@pytest.mark.parametrize(
    ("t", "event_fn", "options", "message"),
    [
        ((0, 1, 2), lambda t, z: z[0], {}, "got 3 times"),
        ((0, 1), lambda t, z: z, {}, r"of shape \(\), got float64 of shape \(2,\)"),
        ((0, 1), lambda t, z: 1.0, {}, "expected float64"),
        ((0, 1), lambda t, z: z[0], {"dense": True}, "no argument dense"),
    ],
)
def test_invalid_arguments_raise(t, event_fn, options, message):
    _, ball = make_ball()
    with pytest.raises(UsageError, match=message):
        odeint_event(ball, tf.constant([1.0, 0.0], tf.float64), t, event_fn, **options)
