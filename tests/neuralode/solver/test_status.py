"""A solve that fails says so, by name, soon, and never with a number that could be taken for a result."""

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
    # f, options, error, status, evaluations at most, where
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
def test_named_error_within_few_evaluations(name):
    """The error has its name, t, dt, direction, step and a hint, and the solver gave up early."""
    f, options, error, _, _, (low, high) = FAILURES[name]
    with pytest.raises(error) as caught:
        odeint(f, ONE, (0, 2), **options)
    assert isinstance(caught.value, GradcamError)
    assert low <= caught.value.t <= high
    assert caught.value.dt > 0
    assert caught.value.steps > 0
    for part in ("forward solve", "t = ", "dt = ", "time increasing", "step "):
        assert part in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "limit fixed" else pytest.mark.slow) for name in FAILURES]
)
def test_status_within_few_evaluations(name):
    """Under XLA the status says the same, and how few evaluations it took."""
    f, options, _, status, most, _ = FAILURES[name]
    solution = tf.function(lambda: odeint(f, ONE, (0, 2), **options), jit_compile=True)()
    assert int(solution.status) == status
    assert int(solution.nfe) <= most


def test_backward_in_time():
    """From the other side the pole is named with a negative step."""
    with pytest.raises(StepUnderflowError, match="time decreasing") as caught:
        odeint(lambda t, y: -y * y, ONE, (0, -2))
    assert caught.value.dt < 0
    assert -1.001 < caught.value.t < -0.999


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
def test_in_a_function_as_an_op_error(f, z0, t, options):
    """A `tf.function` fails with the same sentence: name, sample, what, t, dt, direction, step and hint."""
    with pytest.raises(SolverError) as eager:
        odeint(f, z0, t, **options)
    with pytest.raises(tf.errors.InvalidArgumentError) as graph:
        tf.function(lambda: odeint(f, z0, t, **options).z)()
    error = eager.value
    assert f"{type(error).__name__}: {error.message}; hint: {error.hint}" in graph.value.message
    assert (" of sample 1" in error.message) == (z0 is SAMPLES)


def test_xla_compiles_what_was_traced_to_run_by_itself():
    """A function with its assertion, traced and run, is compiled within another; its sentence is still told outside."""
    run = tf.function(lambda z0: odeint(square, z0, (0, 2)).z[-1])
    np.testing.assert_allclose(run(ONE / 4), [0.5, 1 / 6], rtol=1e-5)
    compiled = tf.function(lambda z0: run(z0), jit_compile=True)
    np.testing.assert_allclose(compiled(ONE / 4), [0.5, 1 / 6], rtol=1e-5)
    assert np.isnan(compiled(ONE)).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="StepUnderflowError: forward solve: the step size"):
        run(ONE)


def test_xla_answers_nan_and_check_raises():
    """Under XLA values and gradients are NaN, and `check` raises what an eager run does."""
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


def test_only_the_sample_that_failed_is_nan():
    """Where each sample has steps of its own, the others are solved to the end, and the error names the one."""
    y0 = tf.constant([[0.1], [1.0], [0.2]], tf.float64)
    with pytest.raises(StepUnderflowError, match="sample 1"):
        odeint(square, y0, (0, 2), per_sample_steps=True)
    s = tf.function(lambda: odeint(square, y0, (0, 2), per_sample_steps=True), jit_compile=True)()
    np.testing.assert_allclose(s.z[-1, ::2, 0], [0.1 / 0.8, 0.2 / 0.6], rtol=1e-5)
    assert np.isnan(s.z[-1, 1, 0])


def test_failure_of_the_backward_solve():
    """It is named as the backward one: as an exception eagerly, as an op error in a function, as NaN under XLA."""
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


def test_a_gradient_that_is_nan_is_said():
    """A loss whose gradient is NaN is an error, not a NaN weight."""
    with tf.GradientTape() as tape:
        tape.watch(ONE)
        z = odeint(linear, ONE, (0, 1)).z[-1]
        value = tf.reduce_sum(tf.sqrt(z - z))
    with pytest.raises(NotFiniteError, match="backward"):
        tape.gradient(value, ONE)


def test_recovers_from_an_f_that_is_not_defined_everywhere():
    """A step too far into where f is NaN is tried again, smaller: y' = -sqrt y from 1 is (1 - t/2)^2."""
    y0 = tf.constant(1.0, tf.float64)
    s = odeint(lambda t, y: -tf.sqrt(y), y0, (0, 1.9), first_step=4.0)
    np.testing.assert_allclose(s.z[-1], (1 - 1.9 / 2) ** 2, rtol=1e-4)


@pytest.mark.parametrize("start", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("end", [0.5, 0.011, -0.5])
def test_an_f_that_ends_is_named_soon(start, end):
    """Steps that come near the end of f again and again are not tried for ever: 12 that fail, each with a good one."""

    def f(t, y):
        return y * tf.where(t / end > 1, tf.constant(float("nan"), y.dtype), 1.0)

    y0 = tf.constant([start], tf.float64)
    s = tf.function(lambda: odeint(f, y0, (0, 4 * end)), jit_compile=True)()
    assert int(s.status) == Status.NOT_FINITE
    assert int(s.nfe) <= 150
    assert 0.97 <= float(s.t) / end <= 1


@pytest.mark.parametrize(("end", "first_step"), [(1.99, 4.0), (1.999, None)])
def test_comes_near_where_f_is_not_defined(end, first_step):
    """The equation y' = -sqrt y is tried beyond its end at t = 2 more than 12 times, but each such place is passed."""
    s = odeint(lambda t, y: -tf.sqrt(y), tf.constant(1.0, tf.float64), (0, end), first_step=first_step)
    assert int(s.num_rejected_steps) > 12
    np.testing.assert_allclose(s.z[-1], (1 - end / 2) ** 2, rtol=1e-2)


def test_a_lone_gap_is_passed():
    """The equation y' = y sin(s)/s with s = t - 1/2 is 0/0 at the end of the first step, and nowhere else."""
    y0 = tf.constant(1.0, tf.float64)
    s = odeint(lambda t, y: y * tf.sin(t - 0.5) / (t - 0.5), y0, (0, 2), first_step=0.5)
    integral = 0.4931074180430667 + 1.3246835311721197  # Si(0.5) + Si(1.5)
    np.testing.assert_allclose(s.z[-1], np.exp(integral), rtol=1e-5)
