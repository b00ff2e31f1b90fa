"""Error norm, step factor and first step, against values computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.step_size import SolverOptions, initial_step_size, trial_step_size


def f64(*x):
    return tf.constant(x, tf.float64)


def test_error_norm_by_hand():
    """Scales are 0.1 + 0.5 max(|z|, |z'|) = 1.1, 0.6, 2.1; ratios 1, 2, 3; the root mean square is sqrt(14/3)."""
    shared, per_sample = SolverOptions(rtol=0.5, atol=0.1), SolverOptions(rtol=0.5, atol=0.1, per_sample_steps=True)
    error, z, z1 = f64([1.1], [-1.2], [6.3]), f64([2.0], [1.0], [-4.0]), f64([-1.0], [0.5], [3.0])
    assert float(shared.error_norm([error], [z], [z1])) == pytest.approx(np.sqrt(14 / 3))
    np.testing.assert_allclose(per_sample.error_norm([error], [z], [z1]), [1, 2, 3])
    split = [[x[:1], x[1:]] for x in (error, z, z1)]
    assert float(shared.error_norm(*split)) == pytest.approx(np.sqrt(14 / 3))


@pytest.mark.parametrize(("solver", "order"), [("heun2", 2), ("bosh3", 3), ("dopri5", 5), ("tsit5", 5), ("dopri8", 8)])
def test_step_factor_by_hand(solver, order):
    """The factor is 0.9 e^(-1/order), clipped to [0.2, 10], and 0.2 for an error that is not finite."""
    factor = SolverOptions(solver=solver).step_factor(f64(1.0, 2.0, 0.0, 1e30, float("nan"), float("inf")))
    np.testing.assert_allclose(
        factor, [0.9, 0.9 * 2 ** (-1 / order), min(10, 0.9 * 1e10 ** (1 / order)), 0.2, 0.2, 0.2]
    )


def test_first_step_by_hand():
    """Hairer's rule on y' = -2y, y0 = 1, with scale 1: h0 = 0.01/2, d1 = 2, d2 = 4, h = (0.01/4)^(1/6)."""
    options, y0 = SolverOptions(rtol=0.5, atol=0.5), [f64(1.0)]
    h0 = trial_step_size(options, [f64(-2.0)], y0, f64(9.0)[0])
    assert float(h0) == pytest.approx(0.005)
    slopes, states = ([f64(-2.0)], [f64(-2 * 0.99)]), (y0, [f64(0.99)])
    expected = min(100 * 0.005, (0.01 / 4) ** (1 / 6))
    assert float(initial_step_size(options, slopes, states, h0)) == pytest.approx(expected)


def test_close_requested_times_do_not_shorten_later_steps():
    """A requested time 1e-9 after another costs a single additional step."""

    def f(t, y):
        return -y

    y0 = f64(1.0)
    plain = odeint(f, y0, (0, 5, 10), first_step=0.5)
    crowded = odeint(f, y0, (0, 5, 5 + 1e-9, 10), first_step=0.5)
    assert int(crowded.num_accepted_steps) <= int(plain.num_accepted_steps) + 1


def test_number_of_steps_follows_the_order():
    """With a method of order 3, a tolerance 1,000 times smaller needs about 10 times the steps."""
    y0 = f64(1.0)
    loose, tight = (
        int(odeint(lambda t, y: y * tf.cos(t), y0, (0, 20), solver="bosh3", rtol=r, atol=r).num_accepted_steps)
        for r in (1e-5, 1e-8)
    )
    assert 7 < tight / loose < 14
