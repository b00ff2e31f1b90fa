"""The rules for the sizes of steps, against numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.step_size import SolverOptions, initial_step_size, trial_step_size


def f64(*x):
    return tf.constant(x, tf.float64)


def test_error_norm_by_hand():
    """Scales are 0.1 + 0.5 max(|z|, |z'|) = 1.1, 0.6, 2.1; ratios 1, 2, 3; their root mean square sqrt(14/3)."""
    coupled, uncoupled = SolverOptions(rtol=0.5, atol=0.1), SolverOptions(rtol=0.5, atol=0.1, per_sample_steps=True)
    error, z, z1 = f64([1.1], [-1.2], [6.3]), f64([2.0], [1.0], [-4.0]), f64([-1.0], [0.5], [3.0])
    assert float(coupled.error_norm([error], [z], [z1])) == pytest.approx(np.sqrt(14 / 3))
    np.testing.assert_allclose(uncoupled.error_norm([error], [z], [z1]), [1, 2, 3])
    halves = [[x[:1], x[1:]] for x in (error, z, z1)]
    assert float(coupled.error_norm(*halves)) == pytest.approx(np.sqrt(14 / 3))


@pytest.mark.parametrize(("solver", "order"), [("heun2", 2), ("bosh3", 3), ("dopri5", 5), ("tsit5", 5), ("dopri8", 8)])
def test_factor_by_hand(solver, order):
    """0.9 e^(-1/order), from 0.2 to 10; the least for what is not finite."""
    factor = SolverOptions(solver=solver).step_factor(f64(1.0, 2.0, 0.0, 1e30, float("nan"), float("inf")))
    np.testing.assert_allclose(
        factor, [0.9, 0.9 * 2 ** (-1 / order), *[min(10, 0.9 * 1e10 ** (1 / order))], 0.2, 0.2, 0.2]
    )


def test_first_step_by_hand():
    """Hairer's rule on y' = -2y, y0 = 1, with scale 1: h0 = 0.01/2, d1 = 2, d2 = 4, h = (0.01/4)^(1/6)."""
    control, one = SolverOptions(rtol=0.5, atol=0.5), [f64(1.0)]
    h0 = trial_step_size(control, [f64(-2.0)], one, f64(9.0)[0])
    assert float(h0) == pytest.approx(0.005)
    slopes, states = ([f64(-2.0)], [f64(-2 * 0.99)]), (one, [f64(0.99)])
    expected = min(100 * 0.005, (0.01 / 4) ** (1 / 6))
    assert float(initial_step_size(control, slopes, states, h0)) == pytest.approx(expected)


def test_requested_times_do_not_shorten_the_steps_after_them():
    """A requested time close behind another costs one step, not a climb back from a tiny step size."""

    def f(t, y):
        return -y

    y0 = f64(1.0)
    plain = odeint(f, y0, (0, 5, 10), first_step=0.5)
    crowded = odeint(f, y0, (0, 5, 5 + 1e-9, 10), first_step=0.5)
    assert int(crowded.num_accepted_steps) <= int(plain.num_accepted_steps) + 1


def test_the_work_grows_with_the_tolerance_as_the_order_says():
    """For a method of order 3 a tolerance 1,000 times smaller takes about ten times the steps."""
    y0 = f64(1.0)
    loose, tight = (
        int(odeint(lambda t, y: y * tf.cos(t), y0, (0, 20), solver="bosh3", rtol=r, atol=r).num_accepted_steps)
        for r in (1e-5, 1e-8)
    )
    assert 7 < tight / loose < 14
