"""Where the adjoint fails, the discrete gradient, checkpoints, vector tolerances, empty batches and Jacobians."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from quick_cases import first_quick

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.discrete_adjoint import MIN_SEGMENT, stored_states
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.status import NotReversibleError, SolverError, failure_message


def contraction(t, z):
    """Return -50 z^3 - 50 z. With E = e^100t, z^2 = z0^2 / (E + (E - 1) z0^2)."""
    return -50 * z**3 - 50 * z


def lorenz(t, z):
    x, y, w = tf.unstack(z)
    return tf.stack([10 * (y - x), x * (28 - w) - y, x * y - 8 / 3 * w])


def gradient_of(f, z0, t, **options):
    """Return the gradient of the sum of the last state, and the numbers of function evaluations."""
    counts, z0 = [], tf.constant(z0, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(z0)
        solution = odeint(f, z0, t, backward_callback=counts.append, **options)
        value = tf.reduce_sum(solution.z[-1])
    return tape.gradient(value, z0), solution, counts[0]


@pytest.mark.parametrize("f", [contraction, lorenz])
def test_failed_adjoint_names_the_discrete_gradient(f):
    """In the hint of the error, and in a graph in the message."""
    z0, t = [1.0, 2.0, 20.0], (0.0, 15.0 if f is lorenz else 1.0)
    with pytest.raises(SolverError, match="backward solve") as raised:
        gradient_of(f, z0, t)
    assert "gradient='discrete'" in raised.value.hint
    with pytest.raises(tf.errors.InvalidArgumentError) as traced:
        tf.function(lambda: gradient_of(f, z0, t, max_steps=2000)[0], autograph=False)()
    assert "gradient=discrete" in failure_message(traced.value)


def test_backward_solve_that_does_not_return_is_refused():
    """For z' = -25 z (z - 1), z(1) = 1 to rounding: a solve back to z(0) = 0.5 finds another start, without failing."""

    def logistic(t, z):
        return -25 * z * (z - 1)

    with pytest.raises(NotReversibleError, match="the gradient would be wrong") as raised:
        gradient_of(logistic, [0.5], (0.0, 1.0))
    assert "discrete" in raised.value.hint
    gradient, *_ = gradient_of(logistic, [0.5], (0.0, 0.4), gradient="discrete", rtol=1e-9, atol=1e-13)
    u = np.exp(10)  # z = z0 u / (1 + z0 (u - 1)), dz/dz0 = u / (1 + z0 (u - 1))^2
    np.testing.assert_allclose(gradient, [u / (0.5 + 0.5 * u) ** 2], rtol=1e-4)


def test_discrete_gradient_of_a_contraction_equals_the_closed_form():
    """At t = 0.05, where the gradient is still of order 1e-3."""
    z0, E = np.array([1.0, 2.0, -0.5]), np.exp(5.0)
    gradient, *_ = gradient_of(contraction, z0, (0.0, 0.05), gradient="discrete", rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradient, E * (E + (E - 1) * z0**2) ** -1.5, rtol=1e-6)


def test_discrete_gradient_of_lorenz_equals_finite_differences():
    z0, h, d = np.array([1.0, 2.0, 20.0]), 1e-6, np.array([0.3, -0.2, 0.1])
    gradient, *_ = gradient_of(lorenz, z0, (0.0, 3.0), gradient="discrete", rtol=1e-10, atol=1e-10)
    up, down = (
        odeint(lorenz, tf.constant(z0 + s * h * d), (0.0, 3.0), solver="dopri8", rtol=1e-13, atol=1e-13).z[-1]
        for s in (1, -1)
    )
    np.testing.assert_allclose(gradient.numpy() @ d, tf.reduce_sum(up - down) / (2 * h), rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 15, 16, 17, 100, 390])
def test_checkpoints_do_not_change_the_gradient(steps):
    """Euler's method with n steps for z' = z: dz/dz0 = (1 + 1/n)^n for any number of segments.

    n steps are differentiated, each segment recomputes all but its last step, and all but the last segment are
    computed twice.
    """
    gradient, solution, backward = gradient_of(
        lambda t, z: z, [1.0], (0, 1), solver="euler", step_size=1 / steps, gradient="discrete"
    )
    assert solution.num_accepted_steps == steps
    np.testing.assert_allclose(gradient, [(1 + 1 / steps) ** steps], rtol=1e-12)
    length = max(16, int(np.ceil(np.sqrt(steps))))
    segments = int(np.ceil(steps / length))
    assert backward == steps + (steps - segments) + (segments - 1) * length
    assert backward < 3 * steps + 1


def test_number_of_stored_states_is_the_square_root_of_the_steps():
    """The traced backward solve allocates arrays of these sizes, and none of another size above them."""
    assert stored_states(10_000) == (101, 101)
    assert stored_states(100) == (11, MIN_SEGMENT)
    for max_steps in (10_000, 100):
        sizes = set()

        def run(max_steps=max_steps):
            z0 = tf.ones([2], tf.float64)
            with tf.GradientTape() as tape:
                tape.watch(z0)
                z = odeint(contraction, z0, (0, 0.1), gradient="discrete", max_steps=max_steps).z
            return tape.gradient(z, z0)

        graph = tf.function(run, autograph=False).get_concrete_function().graph
        definition = graph.as_graph_def()
        for function in definition.library.function:
            constants = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in function.node_def if n.op == "Const"}
            for node in function.node_def:
                if node.op == "TensorListReserve" and node.input[1].split(":")[0] in constants:
                    sizes.add(int(constants[node.input[1].split(":")[0]]))
        assert set(stored_states(max_steps)) <= sizes
        assert sizes <= {*stored_states(max_steps), max_steps, 2}  # the times of the steps, and of the states


@pytest.mark.parametrize("gradient", first_quick(["adjoint", "discrete"]))
def test_jacobian_of_the_states(gradient):
    """`tape.jacobian` of (x e^a, y e^b) is diagonal for z0 and the parameters; vectorized, it is right or raises."""
    rates, z0 = tf.Variable([0.5, -0.2], dtype=tf.float64), tf.constant([1.0, 2.0], tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z0)
        z = odeint(lambda t, z: rates * z, z0, (0, 1), rtol=1e-9, atol=1e-11, gradient=gradient).z[-1]
    for vectorized in (False, True):
        with contextlib.suppress(tf.errors.OpError, ValueError) if vectorized else contextlib.nullcontext():
            of_z0, of_rates = tape.jacobian(z, [z0, rates], experimental_use_pfor=vectorized)
            np.testing.assert_allclose(of_z0, np.diag(np.exp([0.5, -0.2])), atol=1e-6)
            np.testing.assert_allclose(of_rates, np.diag(np.exp([0.5, -0.2]) * [1, 2]), atol=1e-6)


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
@pytest.mark.parametrize("options", [{}, {"per_sample_steps": True}, {"solver": "rk4"}, {"rtol": [1e-3, 1e-4, 1e-5]}])
def test_empty_batch(options, gradient):
    """The states and the gradient of no samples are empty; the parameters have a zero gradient."""
    a, z0 = tf.Variable(2.0, dtype=tf.float64), tf.zeros([0, 3], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(z0)
        z = odeint(lambda t, z: -a * z, z0, (0, 0.5, 1), gradient=gradient, **options).z
        value = tf.reduce_sum(z)
    assert z.shape == (3, 0, 3)
    z0_gradient, a_gradient = tape.gradient(value, [z0, a])
    assert z0_gradient.shape == (0, 3)
    assert a_gradient == 0


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
def test_vector_tolerances(gradient):
    """A tight tolerance of a small component bounds its error; a scalar one ignores the component.

    x' = -x and y' = cos(50 t) 1e-6, so y = 1e-6 sin(50 t) / 50.
    """

    def f(t, z):
        return tf.stack([-z[..., 0], 1e-6 * tf.cos(50 * t) + 0 * z[..., 1]], axis=-1)

    z0 = tf.constant([[1.0, 0.0], [2.0, 0.0]], tf.float64)
    errors, counts = [], []
    for atol in (1e-5, [1e-5, 1e-13]):
        z0_gradient, s, _ = gradient_of(f, z0, (0, 1), rtol=1e-6, atol=atol, gradient=gradient)
        np.testing.assert_allclose(z0_gradient, [[np.exp(-1), 1]] * 2, rtol=1e-4)
        errors.append(abs(s.z[-1, 0, 1] - 1e-6 * np.sin(50) / 50))
        counts.append(int(s.nfe))
    assert errors[1] < 1e-11 < errors[0]
    assert counts[1] > 2 * counts[0]
    in_tuple = odeint(
        lambda t, z: (-z[0], 1e-6 * tf.cos(50 * t) + 0 * z[1]),
        (z0[:, 0], z0[:, 1]), (0, 1), rtol=1e-6, atol=(1e-5, 1e-13),
    )  # fmt: skip
    np.testing.assert_allclose(in_tuple.z[1], s.z[..., 1], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adjoint_solver": "rk4"}, "adjoint_solver=rk4 has no error estimate"),
        ({"adjoint_solver": "euler", "solver": "tsit5"}, "adjoint_solver=euler has no error estimate"),
        ({"atol": [1e-3, 1e-4]}, "atol: expected a number, or arrays that broadcast"),
        ({"rtol": (1e-3, 1e-3, -1.0)}, "rtol: expected a positive"),
        ({"rtol": (1e-3, 1e-3, 1e-3), "adjoint_seminorm": False}, "scalar tolerances"),
    ],
)
def test_options_that_exclude_each_other_raise(options, message):
    with pytest.raises(UsageError, match=message):
        odeint(lorenz, tf.ones([3], tf.float64), (0, 1), **options)


@pytest.mark.parametrize(
    "options", [{"solver": "rk4", "adjoint_solver": "dopri5"}, {"step_size": 0.05, "adjoint_solver": "rk4"}]
)
def test_backward_solver_beside_fixed_forward_steps(options):
    """An adaptive backward solver after fixed steps, and another one with the same fixed steps."""
    gradient, *_ = gradient_of(lambda t, z: tf.cos(t) * z, [2.0], np.linspace(0, 2, 41), **options)
    np.testing.assert_allclose(gradient, [np.exp(np.sin(2))], rtol=1e-5)
