"""Dense output: orders of the continuous extensions, function evaluations, gradients, `Solution.interpolate`."""

import numpy as np
import pytest
import tensorflow as tf
from quick_cases import first_quick
from scipy.integrate import RK23, RK45

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.continuous_extension import continuous_extension, extension_weights
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.order_conditions import elementary_weights, tree_density, trees, vertices_of
from gradcam_cli.neuralode.solver.tableaus import SOLVERS

ADAPTIVE = [name for name, tableau in SOLVERS.items() if tableau.adaptive]
# Constant steps of 0.25: the tolerance accepts all, and max_step limits them.
CONSTANT_STEPS = {"rtol": 1e3, "first_step": 0.25, "max_step": 0.25}


def pendulum(t, z):
    return tf.stack([z[1], -tf.sin(z[0]) + tf.cos(3 * t)])


Z0 = tf.constant([1.0, 0.5], tf.float64)


def residual(tableau, extension, x, order):
    """Return the largest residual of the continuous order conditions at the fraction x."""
    weights = extension_weights(extension, x)
    conditions = [tree for size in range(1, order + 1) for tree in trees(size)]
    return max(
        abs(weights @ elementary_weights(tableau.a, tree) - x ** vertices_of(tree) / tree_density(tree))
        for tree in conditions
    )


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=list(SOLVERS))
def test_extensions_satisfy_exactly_the_conditions_of_their_order(solver):
    """At four fractions of the step; at the end, the weights are those of the step."""
    for x in (0.2, 0.5, 0.7, 1.0):
        assert residual(solver, solver.extension, x, solver.dense_order) < 1e-12
    assert max(residual(solver, solver.extension, x, solver.dense_order + 1) for x in (0.2, 0.5, 0.7)) > 1e-6
    np.testing.assert_allclose(extension_weights(solver.extension, 1.0), solver.b, atol=1e-12)


def test_extensions_equal_those_of_scipy_or_have_a_smaller_error():
    """bosh3 has one cubic. dopri5 has a family of quartics: ours has smaller residuals of order 5 than Shampine's."""
    np.testing.assert_allclose(SOLVERS["bosh3"].extension, RK23.P.T, atol=1e-13)
    dopri5 = SOLVERS["dopri5"]
    fractions = np.linspace(0.05, 0.95, 19)
    ours, shampine = (
        np.sqrt(np.mean([residual(dopri5, extension, x, 5) ** 2 for x in fractions]))
        for extension in (dopri5.extension, RK45.P.T)
    )
    assert max(residual(dopri5, RK45.P.T, x, 4) for x in fractions) < 1e-12
    assert ours < 1.02 * shampine


def test_impossible_extension_raises():
    euler = SOLVERS["euler"]
    with pytest.raises(ValueError, match="order 2"):
        continuous_extension(euler.a, euler.b, 2, 2, False)


@pytest.mark.parametrize("name", SOLVERS)
def test_measured_order_inside_a_step(name):
    """In a single step, the error inside falls with h^(order + 1)."""
    order = SOLVERS[name].dense_order
    sizes = np.array([0.4, 0.2, 0.1]) * (2 if order > 4 else 1)
    errors = []
    for h in sizes:
        times = h * np.linspace(0.1, 0.9, 9)
        exact = odeint(pendulum, Z0, [0, *times], solver="dopri5", rtol=1e-13, atol=1e-14, max_step=h / 40).z[1:]
        inside = odeint(pendulum, Z0, (0, h), solver=name, step_size=2.0, dense=True).interpolate(times)
        errors.append(abs(inside - exact).numpy().max())
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert order + 0.6 < slope < order + 2.5


@pytest.mark.parametrize("per_sample_steps", [False, True])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_thousand_times_cost_no_function_evaluations(name, per_sample_steps):
    """The evaluations for 1,000 times equal those for 2; all states are as accurate as the tolerance."""
    z0 = tf.constant([[1.0, 0.5], [-0.3, 2.0], [3.0, 0.0]], tf.float64)
    frequencies = tf.constant([[1.0], [3.0], [0.2]], tf.float64)

    def f(t, z):
        return frequencies * tf.stack([z[:, 1], -z[:, 0]], axis=1)

    times = np.linspace(0, 4, 1000)
    tolerance = 1e-4 if name == "heun2" else 1e-6
    options = {"solver": name, "rtol": tolerance, "atol": tolerance, "per_sample_steps": per_sample_steps}
    two, many = odeint(f, z0, (0, 4), **options), odeint(f, z0, times, **options)
    assert two.nfe == many.nfe
    angle = frequencies.numpy()[:, 0] * times[:, np.newaxis]
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = z0.numpy().T
    exact = np.stack([x * cosine + y * sine, y * cosine - x * sine], axis=-1)
    assert abs(many.z - exact).numpy().max() < 100 * tolerance
    np.testing.assert_array_equal(many.z[-1], two.z[-1])
    np.testing.assert_array_equal(many.z[0], z0)


@pytest.mark.parametrize("mode", ["graph", "xla", "reverse"])
def test_traced_and_reversed_solves_equal_the_eager_one(mode):
    times = np.linspace(0, 2, 40)
    eager = odeint(pendulum, Z0, times).z
    if mode == "reverse":
        back = odeint(pendulum, eager[-1], times[::-1], rtol=1e-9, atol=1e-11).z
        np.testing.assert_allclose(back[::-1], eager, atol=1e-4)
        return
    traced = tf.function(lambda: odeint(pendulum, Z0, times, max_steps=100).z, jit_compile=mode == "xla")()
    np.testing.assert_allclose(traced, eager, rtol=1e-12)


def test_each_sample_may_have_its_own_times():
    """With per-sample steps, t has a column for each sample; its gradient, too."""
    z0 = tf.constant([[1.0], [2.0]], tf.float64)
    t = tf.constant([[0.0, 1.0], [0.5, 1.1], [2.0, 3.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(t)
        z = odeint(lambda t, z: -t * z, z0, t, per_sample_steps=True, rtol=1e-9, atol=1e-11).z
        value = tf.reduce_sum(z)
    exact = z0.numpy().T * np.exp((t[0] ** 2 - t**2) / 2)
    np.testing.assert_allclose(z[..., 0], exact, rtol=1e-6)
    expected = -t * exact
    np.testing.assert_allclose(tape.gradient(value, t)[1:], expected[1:], rtol=1e-6)


@pytest.mark.parametrize("per_sample_steps", first_quick([True, False]))
@pytest.mark.parametrize("name", first_quick(["dopri5", "bosh3", "tsit5", "dopri8", "heun2"]))
def test_discrete_gradient_of_interpolated_states_is_exact(name, per_sample_steps):
    """For steps that do not change, finite differences equal the gradients of z0, the parameter and the times."""
    a = tf.Variable(0.8, dtype=tf.float64)
    z0 = tf.constant([[1.0, 0.5], [0.2, -1.0]], tf.float64)
    middle = 0.45 if name == "heun2" else 0.5  # the end of a step, where the extension of heun2 has a kink
    t = tf.constant([0.0, 0.1, 0.3, 0.35, middle, 0.9, 0.95], tf.float64)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(7, 2, 2))

    def value(z0, t):
        options = {**CONSTANT_STEPS, "solver": name, "per_sample_steps": per_sample_steps, "gradient": "discrete"}
        z = odeint(lambda t, z: tf.sin(a * z[:, ::-1] + t), z0, t, **options).z
        return tf.reduce_sum(weights * z**2)

    with tf.GradientTape() as tape:
        tape.watch([z0, t])
        loss = value(z0, t)
    z0_gradient, t_gradient, a_gradient = tape.gradient(loss, [z0, t, a])
    h, direction = 1e-5, tf.constant(rng.normal(size=z0.shape))
    slope = (value(z0 + h * direction, t) - value(z0 - h * direction, t)) / (2 * h)
    np.testing.assert_allclose(tf.reduce_sum(z0_gradient * direction), slope, rtol=1e-8)
    for i in range(1, 7):  # a change of the first time would move all steps
        e = tf.one_hot(i, 7, h, 0.0, dtype=tf.float64)
        slope = (value(z0, t + e) - value(z0, t - e)) / (2 * h)
        np.testing.assert_allclose(t_gradient[i], slope, rtol=1e-7, atol=1e-8)
    a.assign_add(h)
    up = value(z0, t)
    a.assign_sub(2 * h)
    np.testing.assert_allclose(a_gradient, (up - value(z0, t)) / (2 * h), rtol=1e-8)


@pytest.mark.parametrize("gradient", first_quick(["adjoint", "discrete"]))
def test_gradients_at_many_times_equal_closed_forms(gradient):
    """For z' = a z cos(t) and a loss that depends on all of 30 states."""
    a, z0 = tf.Variable(0.7, dtype=tf.float64), tf.constant([1.0, -2.0], tf.float64)
    t = tf.constant(np.linspace(0.1, 3, 30))
    weights = np.random.default_rng(1).normal(size=(30, 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([z0, t])
        z = odeint(lambda t, z: a * z * tf.cos(t), z0, t, rtol=1e-9, atol=1e-11, gradient=gradient).z
        value = tf.reduce_sum(weights * tf.sin(z))
        exact = z0 * tf.exp(a * (tf.sin(t) - tf.sin(t[0])))[:, tf.newaxis]
        exact_value = tf.reduce_sum(weights * tf.sin(exact))
    for x, y in zip(tape.gradient(value, [z0, a, t]), tape.gradient(exact_value, [z0, a, t]), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_adjoint_passes_over_times_that_the_loss_ignores():
    """A loss of the last of 200 states costs as many backward evaluations as a solve with two times."""
    counts = []
    for times in ((0, 2), np.linspace(0, 2, 200)):
        with tf.GradientTape() as tape:
            tape.watch(Z0)
            z = odeint(pendulum, Z0, times, backward_callback=counts.append).z[-1]
        gradient = tape.gradient(z, Z0)
    assert counts[0] == counts[1]
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("per_sample_steps", [False, True])
@pytest.mark.parametrize("structure", ["tensor", "tuple"])
def test_interpolate_equals_requested_states(structure, per_sample_steps):
    """`Solution.interpolate` at single and several times, in the structure of z0."""
    x, v = tf.constant([[1.0], [2.0]], tf.float64), tf.constant([[0.5], [0.0]], tf.float64)
    z0 = (x, v) if structure == "tuple" else tf.concat([x, v], axis=1)

    def f(t, z):
        return (z[1], -z[0]) if structure == "tuple" else tf.stack([z[:, 1], -z[:, 0]], axis=1)

    times = np.linspace(0, 3, 17)
    options = {"per_sample_steps": per_sample_steps}
    requested = odeint(f, z0, times, **options).z
    solution = odeint(f, z0, (0, 3), dense=True, **options)
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), solution.interpolate(times), requested
    )
    single = solution.interpolate(1.5)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b[8], atol=1e-12), single, requested)


def test_interpolate_refuses_what_would_be_wrong():
    """Times outside the solve, a solve without dense=True, and its derivative."""
    with tf.GradientTape() as tape:
        tape.watch(Z0)
        z = odeint(pendulum, Z0, (0, 1), dense=True).interpolate(0.5)
    with pytest.raises(UsageError, match="no gradient"):
        tape.gradient(z, Z0)
    with pytest.raises(UsageError, match="from 0 to 1"):
        odeint(pendulum, Z0, (0, 1), dense=True).interpolate([0.5, 1.5])
    with pytest.raises(UsageError, match="dense=True"):
        odeint(pendulum, Z0, (0, 1)).interpolate(0.5)
    with pytest.raises(UsageError, match="XLA"):
        odeint(pendulum, Z0, (0, 1), dense=True, jit_compile=True)
