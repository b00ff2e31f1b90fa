"""Stiff problems with the implicit solvers: against scipy, closed forms and finite differences."""

import numpy as np
import pytest
import tensorflow as tf
from quick_cases import first_quick
from scipy.integrate import solve_ivp
from scipy.linalg import expm, expm_frechet

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.events import odeint_event
from gradcam_cli.neuralode.solver.implicit_step import predictor
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.status import NotConvergedError, NotFiniteError, SolverError, Status
from gradcam_cli.neuralode.solver.tableaus import SOLVERS

IMPLICIT = [name for name, tableau in SOLVERS.items() if tableau.implicit]
TIGHT = {"rtol": 1e-9, "atol": 1e-11}
MU, RATE = 1000.0, 1e6
A = np.array([[-1000.0, 999.0], [0.0, -1.0]])
"""Eigenvalues -1 and -1000."""


def van_der_pol(t, z, stack=tf.stack):
    return stack([z[1], MU * (1 - z[0] ** 2) * z[1] - z[0]])


def robertson(t, z, stack=tf.stack):
    production, decay, exchange = 0.04 * z[0], 3e7 * z[1] ** 2, 1e4 * z[1] * z[2]
    return stack([exchange - production, production - exchange - decay, decay])


def relaxation(t, z):
    return -RATE * (z - tf.cos(t))


def linear(t, z):
    return tf.linalg.matvec(tf.constant(A), z)


PROBLEMS = {
    "van der Pol": (van_der_pol, [2.0, 0.0], 2000.0),
    "Robertson": (robertson, [1.0, 0.0, 0.0], 1e5),
}


def test_names_and_stability_of_the_implicit_solvers():
    """L-stable: 1 + x b (I - x A)^-1 1 is at most 1 on the imaginary axis, and 0 at -infinity."""
    assert IMPLICIT == ["kvaerno3", "kvaerno5"]
    for name in IMPLICIT:
        tableau = SOLVERS[name]
        ones = np.ones(tableau.stages)

        def stability(x, tableau=tableau, ones=ones):
            return 1 + x * tableau.b @ np.linalg.solve(np.eye(tableau.stages) - x * tableau.a, ones)

        assert max(abs(stability(1j * y)) for y in np.logspace(-3, 4, 200)) < 1 + 1e-12
        assert abs(stability(-1e8)) < 1e-6


def test_predictor_is_exact_for_slopes_that_are_parabolas_in_time():
    """From the third slope on."""
    tableau = SOLVERS["kvaerno5"]
    slopes = 1 - 2 * tableau.c + 3 * tableau.c**2
    np.testing.assert_allclose((predictor(tableau) @ slopes)[3:], slopes[3:], rtol=1e-12)


@pytest.mark.parametrize("name", PROBLEMS)
def test_stiff_problems_equal_scipy_with_at_most_twice_its_evaluations(name):
    """kvaerno5 at two tolerances, against Radau and BDF; the reference is Radau at a tolerance of 1e-11."""
    f, z0, end = PROBLEMS[name]

    def reference(method, rtol, atol):
        return solve_ivp(lambda t, z: f(t, z, np.stack), (0, end), z0, method, rtol=rtol, atol=atol)

    exact = reference("Radau", 1e-11, 1e-14).y[:, -1]
    for rtol in (1e-4, 1e-6):
        solution = odeint(f, tf.constant(z0, tf.float64), (0, end), solver="kvaerno5", rtol=rtol, atol=1e-3 * rtol)
        scipy_solutions = [reference(method, rtol, 1e-3 * rtol) for method in ("Radau", "BDF")]
        assert int(solution.nfe) <= 2 * min(x.nfev for x in scipy_solutions)
        assert int(solution.njev) <= 2 * max(x.njev for x in scipy_solutions)
        np.testing.assert_allclose(solution.z[-1], exact, rtol=20 * rtol)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_kvaerno3_solves_stiff_problems(name):
    f, z0, end = PROBLEMS[name]
    exact = solve_ivp(lambda t, z: f(t, z, np.stack), (0, end), z0, "Radau", rtol=1e-11, atol=1e-14).y[:, -1]
    z = odeint(f, tf.constant(z0, tf.float64), (0, end), solver="kvaerno3", rtol=1e-4, atol=1e-7).z[-1]
    np.testing.assert_allclose(z, exact, rtol=2e-3)


@pytest.mark.parametrize("solver", IMPLICIT)
def test_large_steps_damp_a_fast_component(solver):
    """For z' = -1e6 (z - cos t), steps of 0.1 forget z0; the exact solution is within 1e-6 of cos t."""
    z0 = tf.constant([0.0, 5.0], tf.float64)
    z = odeint(relaxation, z0, (0, 2), solver=solver, step_size=0.1).z[-1]
    np.testing.assert_allclose(z, np.cos(2), atol=2e-6)
    adaptive = odeint(relaxation, z0, (0, 2), solver=solver, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(adaptive.z[-1], (RATE**2 * np.cos(2) + RATE * np.sin(2)) / (RATE**2 + 1), atol=1e-6)
    assert adaptive.nfe < 2000
    assert adaptive.njev <= 2


@pytest.mark.parametrize("per_sample_steps", first_quick([False, True]))
@pytest.mark.parametrize("solver", first_quick(IMPLICIT))
def test_discrete_gradients_of_a_stiff_linear_problem_equal_closed_forms(solver, per_sample_steps):
    """dL/dz0 = expm(A^T) w, dL/dA the Frechet derivative of expm, dL/dt1 = w . A z(1), for L = w . z(1)."""
    matrix, w = tf.Variable(A), np.array([1.0, 3.0])
    z0, t = tf.constant([[1.0, 2.0], [0.5, -1.0]], tf.float64), tf.constant([0.0, 1.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([z0, t])
        options = {"rtol": 1e-7, "atol": 1e-9, "per_sample_steps": per_sample_steps, "gradient": "discrete"}
        z = odeint(lambda t, z: tf.linalg.matvec(matrix, z), z0, t, solver=solver, **options).z[-1]
        value = tf.reduce_sum(w * z)
    exact = z0.numpy() @ expm(A).T
    np.testing.assert_allclose(z, exact, rtol=1e-6)
    of_z0, of_t, of_matrix = tape.gradient(value, [z0, t, matrix])
    np.testing.assert_allclose(of_z0, np.tile(expm(A.T) @ w, (2, 1)), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(of_t[1], (exact @ A.T @ w).sum(), rtol=1e-4)
    direction = np.outer(w, z0.numpy().sum(axis=0))
    np.testing.assert_allclose(of_matrix, expm_frechet(A.T, direction, compute_expm=False), rtol=1e-4, atol=1e-6)


def test_discrete_gradients_of_van_der_pol_equal_finite_differences():
    """Through the fast transition at t = 807: with respect to z0 and mu, over many checkpoints.

    The sizes of the steps are constants, although the transition moves. This multiplies the error of the solution by
    the ratio of the shift of the transition to its duration, about 1500 / 1e-3 for a change of z0 by 1.
    """
    mu, z0 = tf.Variable(MU, dtype=tf.float64), tf.constant([2.0, 0.0], tf.float64)

    def f(t, z):
        return tf.stack([z[1], mu * (1 - z[0] ** 2) * z[1] - z[0]])

    def solve(z0, **options):
        return odeint(f, z0, (0, 900), solver="kvaerno5", gradient="discrete", **options).z[-1][0]

    with tf.GradientTape() as tape:
        tape.watch(z0)
        value = solve(z0, **TIGHT)
    of_z0, of_mu = tape.gradient(value, [z0, mu])

    def exact(x, parameter):
        def rhs(t, z):
            return [z[1], parameter * (1 - z[0] ** 2) * z[1] - z[0]]

        return solve_ivp(rhs, (0, 900), [x, 0], "Radau", rtol=1e-11, atol=1e-13).y[0, -1]

    np.testing.assert_allclose(of_z0[0], (exact(2 + 1e-4, MU) - exact(2 - 1e-4, MU)) / 2e-4, rtol=1e-3)
    np.testing.assert_allclose(of_mu, (exact(2, MU + 0.1) - exact(2, MU - 0.1)) / 0.2, rtol=1e-3)


@pytest.mark.extended
def test_discrete_gradients_of_robertson_equal_finite_differences():
    """With respect to the three rates, for the first species at t = 1e5; the references are solves of scipy."""
    rates = np.array([0.04, 3e7, 1e4])

    def f(t, z, k, stack=tf.stack):
        production, decay, exchange = k[0] * z[0], k[1] * z[1] ** 2, k[2] * z[1] * z[2]
        return stack([exchange - production, production - exchange - decay, decay])

    k = tf.constant(rates)
    with tf.GradientTape() as tape:
        tape.watch(k)
        options = {"solver": "kvaerno5", "gradient": "discrete", "rtol": 1e-7, "atol": 1e-11}
        value = odeint(f, tf.constant([1.0, 0.0, 0.0], tf.float64), (0, 1e5), args=(k,), **options).z[-1][0]

    def exact(k):
        options = {"method": "Radau", "rtol": 1e-11, "atol": 1e-15}
        return solve_ivp(lambda t, z: f(t, z, k, np.stack), (0, 1e5), [1, 0, 0], **options).y[0, -1]

    steps = np.diag(1e-4 * rates)
    expected = [(exact(rates + step) - exact(rates - step)) / (2 * step.sum()) for step in steps]
    np.testing.assert_allclose(tape.gradient(value, k), expected, rtol=1e-4)


@pytest.mark.parametrize("solver", first_quick(IMPLICIT))
def test_adjoint_gradients_of_a_smooth_problem_equal_closed_forms(solver):
    """With shared and with per-sample steps, for z' = a z cos t; dL/da and dL/dt are quadratures."""
    z0, span = np.array([[1.0], [-2.0]]), np.sin(2) - np.sin(0.5)
    for per_sample_steps in (False, True):
        a, t = tf.Variable(0.5, dtype=tf.float64), tf.constant([0.5, 2.0], tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(t)
            options = {"rtol": 1e-8, "atol": 1e-10, "per_sample_steps": per_sample_steps, "solver": solver}
            value = tf.reduce_sum(odeint(lambda t, z, a=a: a * z * tf.cos(t), tf.constant(z0), t, **options).z[-1])
        of_a, of_t = tape.gradient(value, [a, t])
        z1 = z0.sum() * np.exp(0.5 * span)
        np.testing.assert_allclose(of_a, span * z1, rtol=1e-6)
        np.testing.assert_allclose(of_t, [-0.5 * np.cos(0.5) * z1, 0.5 * np.cos(2) * z1], rtol=1e-6)


def test_adjoint_of_a_stiff_problem_raises():
    """Solved backward, the fast component grows by e^1000."""
    z0 = tf.constant([1.0, 2.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(z0)
        value = tf.reduce_sum(odeint(linear, z0, (0, 1), solver="kvaerno5", max_steps=300).z[-1])
    with pytest.raises(SolverError) as raised:
        tape.gradient(value, z0)
    assert raised.value.hint.startswith("use gradient='discrete'")


@pytest.mark.slow
@pytest.mark.parametrize("solver", IMPLICIT)
def test_samples_with_their_own_steps_do_not_depend_on_stiffer_samples(solver):
    """Each sample has its own Jacobian and its own iteration."""
    z0 = tf.constant([[1.0, 1.0], [100.0, 1.0], [1e5, 1.0]], tf.float64)

    def f(t, z):
        rate, x = z[:, :1], z[:, 1:]
        return tf.concat([tf.zeros_like(rate), -rate * (x**3 - tf.cos(t))], axis=1)

    options = {"solver": solver, "per_sample_steps": True, "rtol": 1e-5, "atol": 1e-7}
    batch = odeint(f, z0, (0, 0.5, 1), **options)
    for i in range(3):
        single = odeint(f, z0[i : i + 1], (0, 0.5, 1), **options)
        assert int(single.num_accepted_steps[0]) == int(batch.num_accepted_steps[i])
        np.testing.assert_allclose(batch.z[:, i], single.z[:, 0], rtol=1e-12)
    assert len(set(batch.num_accepted_steps.numpy())) > 1


def test_newton_counts():
    """A linear f needs one Jacobian, and three evaluations in the first step of kvaerno3: two, and one per stage."""
    z0 = tf.constant([1.0, 2.0], tf.float64)
    one = odeint(linear, z0, (0, 1), solver="kvaerno3", step_size=1.0)
    assert (int(one.njev), int(one.num_accepted_steps)) == (1, 1)
    assert int(one.nfe) == 1 + 2 + 1 + 1
    assert int(odeint(linear, z0, (0, 1), solver="kvaerno5").njev) == 1
    assert int(odeint(linear, z0, (0, 1e-2)).njev) == 0


def test_newton_failures():
    """Adaptive steps shrink until Newton's method converges; a fixed step raises; NaN is named."""
    z0 = tf.constant([2.0, 0.0], tf.float64)
    shrunk = odeint(van_der_pol, z0, (0, 900), solver="kvaerno5", first_step=900.0, rtol=1e-4, atol=1e-6)
    assert shrunk.num_rejected_steps > 0
    assert np.isfinite(shrunk.z).all()
    with pytest.raises(NotConvergedError, match="Newton's method does not converge"):
        odeint(
            lambda t, z: 1e4 * tf.sin(1e3 * z), tf.constant([1.0], tf.float64), (0, 1), solver="kvaerno3", step_size=1.0
        )
    with pytest.raises(NotFiniteError):
        odeint(lambda t, z: z + float("nan"), tf.constant([1.0], tf.float64), (0, 1), solver="kvaerno5")
    assert max(Status) == Status.NOT_CONVERGED


@pytest.mark.extended
def test_a_gradient_of_steps_that_do_not_converge_again_raises(monkeypatch):
    """The steps of a discrete gradient are recomputed; one that Newton's method does not solve would make it wrong."""
    monkeypatch.setattr("gradcam_cli.neuralode.solver.step_replay.MAX_REPLAY_ITERATIONS", 1)
    z0 = tf.constant([2.0, 0.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(z0)
        z = odeint(lambda t, z: van_der_pol(t, z), z0, (0, 10), solver="kvaerno5", gradient="discrete").z[-1]
    with pytest.raises(NotConvergedError, match="backward solve"):
        tape.gradient(z, z0)


def test_size_limit_and_jumps():
    """The error names the solver, the size and the alternative; samples count separately with per-sample steps."""
    z0 = tf.zeros([4, 400], tf.float64)
    with pytest.raises(UsageError, match=r"kvaerno5.*at most 1000 elements, all samples together, got 1600") as raised:
        odeint(lambda t, z: -z, z0, (0, 1), solver="kvaerno5")
    assert "per_sample_steps=True" in raised.value.hint
    with pytest.raises(UsageError, match="adjoint_solver=kvaerno3"):
        odeint(lambda t, z: -z, z0, (0, 1), adjoint_solver="kvaerno3")
    assert odeint(lambda t, z: -z, z0, (0, 1), solver="kvaerno3", per_sample_steps=True, rtol=1e-2).nfe > 0
    traced = tf.function(
        lambda z: odeint(lambda t, z: -z, z, (0, 1), solver="kvaerno3").z, input_signature=[tf.TensorSpec([None, 3])]
    )
    np.testing.assert_allclose(traced(tf.ones([5, 3]))[-1], np.full((5, 3), np.exp(-1)), rtol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 1000 elements"):
        traced(tf.ones([700, 3]))
    with pytest.raises(UsageError, match="jump_t: kvaerno5 evaluates f after the end"):
        odeint(lambda t, z: -z, z0[0, :2], (0, 1), solver="kvaerno5", jump_t=[0.5])


@pytest.mark.extended
def test_jump_event_steps_and_interpolation():
    """A jump of f at 0.5; the event cos t = 0.5; states after the steps, and inside steps limited by max_step."""
    z0 = tf.constant([1.0], tf.float64)
    jump = odeint(
        lambda t, z: tf.where(t < 0.5, tf.ones_like(z), -tf.ones_like(z)), z0, (0, 1), solver="kvaerno3", jump_t=[0.5]
    )
    np.testing.assert_allclose(jump.z[-1], 1.0, atol=1e-9)
    event = odeint_event(relaxation, z0, (0, 2), lambda t, z: z[0] - 0.5, solver="kvaerno5", **TIGHT)
    np.testing.assert_allclose(event.t, np.arccos(0.5), atol=2e-6)
    times = np.linspace(0.1, 2, 50)
    for solver in IMPLICIT:
        dense = odeint(relaxation, z0, (0, 2), solver=solver, dense=True, max_step=0.1)
        np.testing.assert_allclose(dense.interpolate(times)[:, 0], np.cos(times), atol=5e-5)
        requested = odeint(relaxation, z0, np.concatenate([[0], times]), solver=solver, max_step=0.1)
        np.testing.assert_allclose(requested.z[1:], dense.interpolate(times), atol=1e-12)
        assert requested.nfe == dense.nfe
    steps = odeint(relaxation, z0, (0, 2), solver="kvaerno5", return_steps=True)
    np.testing.assert_allclose(steps.z[1:, 0], np.cos(steps.times[1:]), atol=2e-6)


@pytest.mark.parametrize("mode", ["graph", "xla", "float32", "empty", "reverse"])
def test_modes(mode):
    z0, options = tf.constant([1.0, 2.0], tf.float64), {"solver": "kvaerno5", "max_steps": 200}
    expected = odeint(linear, z0, (0, 1), **options).z[-1]
    if mode in ("graph", "xla"):
        traced = tf.function(lambda z: odeint(linear, z, (0, 1), jit_compile=mode == "xla", **options).z[-1])
        np.testing.assert_allclose(traced(z0), expected, rtol=1e-9)
    elif mode == "float32":
        z = odeint(
            lambda t, z: tf.linalg.matvec(tf.constant(A, tf.float32), z), tf.cast(z0, tf.float32), (0, 1), **options
        )
        np.testing.assert_allclose(z.z[-1], expected, rtol=1e-5)
    elif mode == "empty":
        for per_sample_steps in (False, True):
            z = odeint(linear, tf.zeros([0, 2], tf.float64), (0, 1), per_sample_steps=per_sample_steps, **options).z
            assert z.shape == (2, 0, 2)
    else:
        z = odeint(lambda t, z: -linear(t, z), z0, (0, -1), **options).z[-1]
        np.testing.assert_allclose(z, expected, rtol=1e-9)
