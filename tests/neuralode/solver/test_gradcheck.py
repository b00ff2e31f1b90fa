"""The gradient check: errors are small, fall with the tolerance, and are large for a wrong gradient."""

import pytest
import tensorflow as tf

from gradcam_cli.neuralode.solver import adjoint
from gradcam_cli.neuralode.solver.gradcheck import PROBLEMS, gradcheck


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in ("linear", "network") else pytest.mark.extended) for name in PROBLEMS],
)
def test_errors_fall_with_the_tolerance(name):
    """Both gradient methods at three tolerances; the tightest reaches the error of the finite differences."""
    rows = gradcheck(*PROBLEMS[name]())
    assert [(row.gradient, row.rtol) for row in rows] == [
        (gradient, rtol) for gradient in ("discrete", "adjoint") for rtol in (1e-3, 1e-6, 1e-9)
    ]
    for loose, middle, tight in (rows[:3], rows[3:]):
        for part in ("z0", "theta", "times"):
            assert getattr(loose, part) < 0.3
            assert getattr(middle, part) < 5e-4
            assert getattr(tight, part) < 2e-6
        assert loose.nfe_forward < tight.nfe_forward
        assert loose.nfe_backward < tight.nfe_backward


@pytest.mark.slow
def test_theta_error_is_none_without_parameters():
    rows = gradcheck(lambda t, z: -z * tf.cos(t), [], tf.constant([1.0], tf.float64), tolerances=(1e-6,))
    assert [row.theta for row in rows] == [None, None]


@pytest.mark.slow
def test_wrong_adjoint_has_large_errors(monkeypatch):
    """Without the jump at the inner time, the adjoint gradient is wrong by over 1 %."""
    correct = adjoint.solve_adjoint

    def wrong(dynamics, options, forward_options, solution, g, *rest, **flags):
        g = [x * tf.constant([1.0, 0.0, 1.0], x.dtype)[:, None] for x in g]
        return correct(dynamics, options, forward_options, solution, g, *rest, **flags)

    monkeypatch.setattr("gradcam_cli.neuralode.solver.traced_solver.solve_adjoint", wrong)
    rows = gradcheck(*PROBLEMS["logistic"](), tolerances=(1e-6,))
    assert rows[0].z0 < 1e-4
    assert rows[1].z0 > 1e-2
