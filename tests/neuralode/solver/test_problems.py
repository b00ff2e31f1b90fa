"""States and gradients against closed forms."""

import numpy as np
import pytest
import tensorflow as tf
from ode_problems import PROBLEMS, SKEW, exact_states, initial_values, loss, tensors
from quick_cases import first_quick
from scipy.linalg import expm, expm_frechet

from gradcam_cli.neuralode.solver.odeint import odeint

TIGHT = {"rtol": 1e-8, "atol": 1e-10}
QUICK = ("1 ", "3 ", "4 ", "6 ", "8 ", "11")
DIRECTIONS = [pytest.param(False, id="forward"), pytest.param(True, id="reverse", marks=pytest.mark.slow)]
NAMES = [pytest.param(name, marks=[] if name[:2] in QUICK else pytest.mark.slow) for name in PROBLEMS]
SOLVERS = ["dopri5", pytest.param("tsit5", marks=pytest.mark.slow), pytest.param("dopri8", marks=pytest.mark.extended)]


def differentiate(solve, theta, t, z0):
    """Return the states, and the gradients of the loss with respect to theta, t and z0."""
    with tf.GradientTape() as tape:
        tape.watch([theta, t, z0])
        z = solve(theta, t, z0)
        value = loss(z)
    return tf.nest.flatten(z), tf.nest.flatten(tape.gradient(value, [theta, t, z0], unconnected_gradients="zero"))


def assert_close(actual, expected, tolerance):
    """Compare with a tolerance that is relative above 1 and absolute below."""
    for x, y in zip(actual, expected, strict=True):
        scale = np.maximum(1, abs(y.numpy()))
        assert (abs(x.numpy() - y.numpy()) / scale).max() < tolerance


def check(name, reverse, **options):
    """Compare the states of a problem, and all gradients, with its closed form."""
    problem = PROBLEMS[name]
    t, z0 = initial_values(problem, reverse)
    theta = [tf.Variable(x, dtype=tf.float64) for x in problem.theta]

    def solution(theta, t, z0):
        return odeint(lambda t, z: problem.f(theta, t, z), z0, t, **{**TIGHT, **options}).z

    z, gradients = differentiate(solution, theta, t, z0)
    exact = differentiate(lambda *inputs: exact_states(problem, *inputs), tensors(problem.theta), t, z0)
    assert_close(z, exact[0], 1e-6)
    assert_close(gradients, exact[1], 1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("reverse", DIRECTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_adjoint_gradients_equal_closed_forms(name, reverse, solver):
    """States and derivatives with respect to z0, the parameters and every time, in both directions of time."""
    check(name, reverse, solver=solver)


@pytest.mark.slow
@pytest.mark.parametrize("solver", first_quick(["dopri5", "tsit5", "dopri8"]))
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_discrete_gradients_equal_closed_forms(name, reverse, solver):
    """The same with discrete gradients."""
    check(name, reverse, solver=solver, gradient="discrete")


def test_sensitivities_of_exponential_growth():
    """dy/dy0 = e^aT, dy/da = T y, dy/dt1 = a y, dy/dt0 = -a y of y' = a y."""
    a, y0, t = tf.Variable(0.4, dtype=tf.float64), tf.constant(2.0, tf.float64), tf.constant([0.5, 2.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([y0, t])
        y = odeint(lambda t, y: a * y, y0, t, **TIGHT).z[-1]
    y0_gradient, a_gradient, t_gradient = tape.gradient(y, [y0, a, t])
    exact = 2 * np.exp(0.4 * 1.5)
    np.testing.assert_allclose([y, y0_gradient, a_gradient], [exact, np.exp(0.4 * 1.5), 1.5 * exact], rtol=1e-7)
    np.testing.assert_allclose(t_gradient, [-0.4 * exact, 0.4 * exact], rtol=1e-7)


def test_gradient_equals_the_derivative_of_the_matrix_exponential():
    """dL/dA is the Frechet derivative of expm at A^T in the direction v z0^T; dL/dz0 = expm(A^T) v."""
    A, z0 = tf.Variable(SKEW), tf.constant(np.linspace(-1, 1, 10))
    v = np.cos(np.arange(10.0))
    with tf.GradientTape() as tape:
        tape.watch(z0)
        value = tf.reduce_sum(v * odeint(lambda t, z: tf.linalg.matvec(A, z), z0, (0.0, 1.0), **TIGHT).z[-1])
    A_gradient, z0_gradient = tape.gradient(value, [A, z0])
    np.testing.assert_allclose(z0_gradient, expm(SKEW.T) @ v, atol=1e-6)
    np.testing.assert_allclose(A_gradient, expm_frechet(SKEW.T, np.outer(v, z0), compute_expm=False), atol=1e-6)


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_single_time_returns_z0(gradient):
    z0 = tf.constant([1.0, 2.0])
    a = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        tape.watch(z0)
        z = odeint(lambda t, z: a * z, z0, [0.7], gradient=gradient).z
        value = tf.reduce_sum(z * [[5.0, 7.0]])
    np.testing.assert_array_equal(z, [[1, 2]])
    z0_gradient, a_gradient = tape.gradient(value, [z0, a])
    np.testing.assert_array_equal(z0_gradient, [5, 7])
    assert a_gradient == 0
