"""Differential equations with closed-form solutions, the references for the solver's states and gradients.

A closed form is the flow map z(t; t0, z0, theta), written in TensorFlow: its derivatives are the exact sensitivities.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

RNG = np.random.default_rng(0)
SKEW = 0.5 * RNG.normal(size=(10, 10))
SKEW = 2 * SKEW - (SKEW + SKEW.T)


class Problem(NamedTuple):
    """An equation, its solution, its initial state, the requested times, and its parameters."""

    f: object  # (theta, t, z) -> dz/dt
    exact: object  # (theta, t, t0, z0) -> z(t)
    z0: object
    t: tuple
    theta: tuple = ()


def sine_particular(t):
    c, s = tf.cos(2 * t), tf.sin(2 * t)
    return -(t**4) / 2 * c + t**3 / 2 * s + t**2 / 4 * c - t**3 + 2 * t**4 + (np.pi - 1 / 4) * t**2


def riccati(theta, t, t0, z0):
    u = z0 - t0
    return u / (1 - u * (t - t0)) + t


def fifth_power(theta, t, t0, z0):
    w = z0 - (theta[0] * t0 + theta[1])
    return theta[0] * t + theta[1] + w * (1 - 4 * w**4 * (t - t0)) ** -0.25


def rotation(theta, t, t0, z0):
    c, s = tf.cos(theta[0] * (t - t0)), tf.sin(theta[0] * (t - t0))
    return tf.stack([c * z0[0] - s * z0[1], s * z0[0] + c * z0[1]])


PROBLEMS = {
    "1 linear": Problem(
        lambda theta, t, z: theta[0] * z,
        lambda theta, t, t0, z0: z0 * tf.exp(theta[0] * (t - t0)),
        1.3,
        (0.2, 0.9, 2.0),
        (-0.7,),
    ),
    "2 cubic": Problem(
        lambda theta, t, z: -(z**3) / 2,
        lambda theta, t, t0, z0: z0 / tf.sqrt(1 + z0**2 * (t - t0)),
        1.0,
        (0.0, 1.0, 3.0),
    ),
    "3 cosine": Problem(
        lambda theta, t, z: theta[0] * z * tf.cos(t),
        lambda theta, t, t0, z0: z0 * tf.exp(theta[0] * (tf.sin(t) - tf.sin(t0))),
        1.0,
        (0.3, 2.0, 5.0),
        (1.0,),
    ),
    "4 logistic": Problem(
        lambda theta, t, z: theta[0] * z * (1 - z / theta[1]),
        lambda theta, t, t0, z0: theta[1] / (1 + (theta[1] / z0 - 1) * tf.exp(-theta[0] * (t - t0))),
        1.0,
        (0.0, 3.0, 9.0),
        (0.25, 20.0),
    ),
    "5 riccati": Problem(lambda theta, t, z: (z - t) ** 2 + 1, riccati, 0.5, (0.0, 0.5, 1.2)),
    "6 constant": Problem(
        lambda theta, t, z: theta[0] + (z - (theta[0] * t + theta[1])) ** 5,
        fifth_power,
        0.2 * 1.0 + 3.0,
        (1.0, 4.0, 8.0),
        (0.2, 3.0),
    ),
    "7 sine": Problem(
        lambda theta, t, z: 2 * z / t + t**4 * tf.sin(2 * t) - t**2 + 4 * t**3,
        lambda theta, t, t0, z0: sine_particular(t) + (z0 - sine_particular(t0)) * (t / t0) ** 2,
        float(sine_particular(tf.constant(1.0, tf.float64))),
        (1.0, 2.5, 8.0),
    ),
    "8 skew": Problem(
        lambda theta, t, z: tf.linalg.matvec(theta[0], z),
        lambda theta, t, t0, z0: tf.linalg.matvec(tf.linalg.expm(theta[0] * (t - t0)), z0),
        RNG.normal(size=10),
        (0.0, 0.4, 1.0),
        (SKEW,),
    ),
    "9 rotation": Problem(
        lambda theta, t, z: theta[0] * tf.stack([-z[1], z[0]]), rotation, np.array([1.0, 0.5]), (0.0, 1.0, 4.0), (1.5,)
    ),
    "10 quadratures": Problem(
        lambda theta, t, z: (-0.1 * tf.exp(-0.1 * t) + 0 * z[0], 0 * z[1], theta[0] + 0 * z[2]),
        lambda theta, t, t0, z0: (
            z0[0] + tf.exp(-0.1 * t) - tf.exp(-0.1 * t0),
            z0[1] + 0 * t,
            z0[2] + theta[0] * (t - t0),
        ),
        (1.0, 2.0, 3.0),
        (0.0, 2.0, 7.0),
        (0.6,),
    ),
    "11 diagonal": Problem(
        lambda theta, t, z: (theta[0] * z[0], (theta[1] * z[1][0],)),
        lambda theta, t, t0, z0: (
            z0[0] * tf.exp(theta[0] * (t - t0)),
            (z0[1][0] * tf.exp(theta[1] * (t - t0)),),
        ),
        (RNG.normal(size=(2, 3)), (RNG.normal(size=4),)),
        (0.0, 0.7, 1.5),
        (RNG.normal(size=(2, 3)), RNG.normal(size=4)),
    ),
}


def tensors(structure):
    return tf.nest.map_structure(lambda x: tf.constant(x, tf.float64), structure)


def initial_values(problem, reverse):
    """Return the times and the state at the first time; if `reverse`, for the solve backward in time."""
    t = tf.constant(problem.t[::-1] if reverse else problem.t, tf.float64)
    z0 = tensors(problem.z0)
    if reverse:
        z0 = problem.exact(tensors(problem.theta), t[0], t[-1], z0)
    return t, z0


def exact_states(problem, theta, t, z0):
    """Return the closed form at all times, in the structure of `Solution.z`."""
    states = [problem.exact(theta, t[i], t[0], z0) for i in range(t.shape[0])]
    return tf.nest.map_structure(lambda *z: tf.stack(z), *states)


def loss(z, seed=0):
    """Return a randomly weighted sum of all states."""
    rng = np.random.default_rng(seed)
    return tf.add_n([tf.reduce_sum(x * rng.uniform(0.5, 1.5, x.shape)) for x in tf.nest.flatten(z)])
