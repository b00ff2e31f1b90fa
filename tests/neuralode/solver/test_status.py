"""Failed solves: named errors, few function evaluations, and NaN instead of states."""

import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import GradcamError
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.status import (
    NotFiniteError,
    SolverError,
    Status,
    StepUnderflowError,
    TooManyStepsError,
    failure_message,
)

pytestmark = pytest.mark.slow

ONE = tf.constant([1.0, 0.5], tf.float64)


def square(t, y):
    return y * y


def broken(t, y):
    return y * tf.where(t > 0.3, tf.constant(float("nan"), y.dtype), 1.0)


def nan(t, y):
    return y * float("nan")


def linear(t, y):
    return y


FAILURES = {
    # f, options, error, status, maximum nfe, range of t
    "pole": (square, {}, StepUnderflowError, Status.STEP_UNDERFLOW, 2500, (0.999, 1.001)),
    "pole dopri8": (square, {"solver": "dopri8"}, StepUnderflowError, Status.STEP_UNDERFLOW, 2500, (0.999, 1.001)),
    "pole fixed": (square, {"solver": "rk4", "step_size": 0.1}, NotFiniteError, Status.NOT_FINITE, 100, (0.9, 2.0)),
    "nan": (nan, {}, NotFiniteError, Status.NOT_FINITE, 100, (0, 0)),
    "nan later": (broken, {}, NotFiniteError, Status.NOT_FINITE, 150, (0.29, 0.3)),
    "nan fixed": (broken, {"solver": "euler", "step_size": 0.1}, NotFiniteError, Status.NOT_FINITE, 5, (0.3, 0.5)),
    "limit": (linear, {"max_steps": 3, "rtol": 1e-10}, TooManyStepsError, Status.TOO_MANY_STEPS, 30, (0, 2)),
    "limit fixed": (
        linear, {"solver": "rk4", "step_size": 0.01, "max_steps": 20},
        TooManyStepsError, Status.TOO_MANY_STEPS, 80, (0.19, 0.21),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in ("pole", "nan", "nan later", "limit") else pytest.mark.slow) for n in FAILURES],
)
def test_named_error_with_time_step_and_hint(name):
    """The error has the class, t, dt, direction, step and a hint."""
    f, options, error, _, _, (low, high) = FAILURES[name]
    with pytest.raises(error) as raised:
        odeint(f, ONE, (0, 2), **options)
    assert isinstance(raised.value, GradcamError)
    assert low <= raised.value.t <= high
    assert raised.value.dt > 0
    assert raised.value.steps > 0
    for part in ("forward solve", "t = ", "dt = ", "time increasing", "step "):
        assert part in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "limit fixed" else pytest.mark.slow) for name in FAILURES]
)
def test_status_after_few_function_evaluations(name):
    """Under XLA the solution has the status, after a limited number of function evaluations."""
    f, options, _, status, max_nfe, _ = FAILURES[name]
    solution = tf.function(lambda: odeint(f, ONE, (0, 2), **options), jit_compile=True)()
    assert int(solution.status) == status
    assert int(solution.nfe) <= max_nfe


def test_error_backward_in_time_has_a_negative_step():
    with pytest.raises(StepUnderflowError, match="time decreasing") as raised:
        odeint(lambda t, y: -y * y, ONE, (0, -2))
    assert raised.value.dt < 0
    assert -1.001 < raised.value.t < -0.999


SAMPLES = tf.constant([[0.1], [1.0], [0.2]], tf.float64)


@pytest.mark.parametrize(
    ("f", "z0", "t", "options"),
    [
        (square, ONE, (0, 2), {}),
        (nan, ONE, (0, -2), {}),
        (linear, ONE, (0, -2), FAILURES["limit fixed"][1]),
        (square, SAMPLES, (0, 2), {"per_sample_steps": True}),
        (square, ONE, (0, 2), {"jit_compile": True}),
    ],
)
def test_graph_raises_invalid_argument_with_the_error_name(f, z0, t, options):
    """The message of the op contains the class, cause, t and sample of the eager error."""
    with pytest.raises(SolverError) as eager:
        odeint(f, z0, t, **options)
    with pytest.raises(tf.errors.InvalidArgumentError) as graph:
        tf.function(lambda: odeint(f, z0, t, **options).z)()
    error = eager.value
    sample = 1 if z0 is SAMPLES else 0
    assert (" of sample 1" in error.message) == bool(sample)
    message = failure_message(graph.value)
    assert type(error).__name__ in graph.value.message
    assert message.startswith("forward solve: ")
    assert error.message.split(": ")[1] in message
    values = [float(x) for x in message.split("sample = ")[1].split(", ")]
    np.testing.assert_allclose(values, [error.t, error.dt, error.steps, sample], rtol=1e-4)


def test_message_of_another_error_is_its_first_line():
    assert failure_message(ValueError("first [x]\nsecond")) == "first [x]"
    assert failure_message(ValueError()) == "ValueError"


def test_xla_compiles_a_function_with_assertions():
    """A traced function still raises after it was compiled inside another function."""
    run = tf.function(lambda z0: odeint(square, z0, (0, 2)).z[-1])
    np.testing.assert_allclose(run(ONE / 4), [0.5, 1 / 6], rtol=1e-5)
    compiled = tf.function(lambda z0: run(z0), jit_compile=True)
    np.testing.assert_allclose(compiled(ONE / 4), [0.5, 1 / 6], rtol=1e-5)
    assert np.isnan(compiled(ONE)).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="StepUnderflowError: forward solve: the step size"):
        run(ONE)


def test_xla_returns_nan_and_raise_if_failed_raises():
    """States and gradients are NaN; `raise_if_failed` raises the error of an eager solve."""
    w = tf.Variable(1.0, dtype=tf.float64)

    @tf.function(jit_compile=True)
    def run(gradient):
        with tf.GradientTape() as tape:
            tape.watch(ONE)
            s = odeint(lambda t, y: w * y * y, ONE, (0, 0.5, 2), gradient=gradient, max_steps=500)
            value = tf.reduce_sum(s.z[1])
        return s, tape.gradient(value, [ONE, w])

    for gradient in ("adjoint", "discrete"):
        s, gradients = run(gradient)
        assert all(np.isnan(x).all() for x in (s.z, *gradients))
        with pytest.raises(StepUnderflowError, match="time increasing"):
            s.raise_if_failed()
    good = tf.function(lambda: odeint(linear, ONE, (0, 1)), jit_compile=True)()
    good.raise_if_failed()
    np.testing.assert_allclose(good.z[-1], np.exp(1) * ONE, rtol=1e-5)


def test_only_failed_samples_are_nan():
    """With per-sample steps, the solver completes the other samples, and the error names the failed sample."""
    y0 = tf.constant([[0.1], [1.0], [0.2]], tf.float64)
    with pytest.raises(StepUnderflowError, match="sample 1"):
        odeint(square, y0, (0, 2), per_sample_steps=True)
    s = tf.function(lambda: odeint(square, y0, (0, 2), per_sample_steps=True), jit_compile=True)()
    np.testing.assert_allclose(s.z[-1, ::2, 0], [0.1 / 0.8, 0.2 / 0.6], rtol=1e-5)
    assert np.isnan(s.z[-1, 1, 0])


def test_failed_backward_solve_is_named():
    """Eager mode raises a SolverError, a graph an InvalidArgumentError; XLA returns NaN."""
    options = {"adjoint_rtol": 1e-12, "adjoint_atol": 1e-12, "max_steps": 20}

    def run():
        with tf.GradientTape() as tape:
            tape.watch(ONE)
            z = odeint(lambda t, y: tf.sin(3 * y), ONE, (0, 2), rtol=1e-3, atol=1e-3, **options).z[-1]
        return tape.gradient(z, ONE)

    with pytest.raises(TooManyStepsError, match=r"backward solve.*time decreasing"):
        run()
    with pytest.raises(tf.errors.InvalidArgumentError, match="TooManyStepsError: backward solve"):
        tf.function(run)()
    assert np.isnan(tf.function(run, jit_compile=True)()).all()


def test_nan_gradient_of_the_loss_raises():
    with tf.GradientTape() as tape:
        tape.watch(ONE)
        z = odeint(linear, ONE, (0, 1)).z[-1]
        value = tf.reduce_sum(tf.sqrt(z - z))
    with pytest.raises(NotFiniteError, match="backward"):
        tape.gradient(value, ONE)


def test_step_outside_the_domain_of_f_is_retried():
    """A step to where f is NaN is retried with a smaller size; y' = -sqrt y, y(0) = 1 has y = (1 - t/2)^2."""
    y0 = tf.constant(1.0, tf.float64)
    s = odeint(lambda t, y: -tf.sqrt(y), y0, (0, 1.9), first_step=4.0)
    np.testing.assert_allclose(s.z[-1], (1 - 1.9 / 2) ** 2, rtol=1e-4)


@pytest.mark.parametrize("start", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("end", [0.5, 0.011, -0.5])
def test_end_of_the_domain_of_f_fails_after_few_evaluations(start, end):
    """The number of non-finite steps near the end of the domain is limited."""

    def f(t, y):
        return y * tf.where(t / end > 1, tf.constant(float("nan"), y.dtype), 1.0)

    y0 = tf.constant([start], tf.float64)
    s = tf.function(lambda: odeint(f, y0, (0, 4 * end)), jit_compile=True)()
    assert int(s.status) == Status.NOT_FINITE
    assert int(s.nfe) <= 150
    assert 0.97 <= float(s.t) / end <= 1


@pytest.mark.parametrize(("end", "first_step"), [(1.99, 4.0), (1.999, None)])
def test_solve_close_to_the_end_of_the_domain_succeeds(end, first_step):
    """The solution of y' = -sqrt y ends at t = 2. More than 12 steps cross it, but t passes each of their times."""
    s = odeint(lambda t, y: -tf.sqrt(y), tf.constant(1.0, tf.float64), (0, end), first_step=first_step)
    assert int(s.num_rejected_steps) > 12
    np.testing.assert_allclose(s.z[-1], (1 - end / 2) ** 2, rtol=1e-2)


def test_step_across_an_isolated_singularity_succeeds():
    """The right-hand side y sin(s)/s with s = t - 1/2 is 0/0 at the end of the first step only."""
    y0 = tf.constant(1.0, tf.float64)
    s = odeint(lambda t, y: y * tf.sin(t - 0.5) / (t - 0.5), y0, (0, 2), first_step=0.5)
    integral = 0.4931074180430667 + 1.3246835311721197  # Si(0.5) + Si(1.5)
    np.testing.assert_allclose(s.z[-1], np.exp(integral), rtol=1e-5)
