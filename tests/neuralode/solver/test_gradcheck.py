"""The table of gradient errors: small, falling with the tolerance, and large for a gradient that is wrong."""

import pytest
import tensorflow as tf

from gradcam_cli.neuralode.solver import adjoint
from gradcam_cli.neuralode.solver.gradcheck import PROBLEMS, gradcheck


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_table(name):
    """Two ways at three tolerances; at the tightest one, what finite differences leave."""
    example = PROBLEMS[name]()
    rows = gradcheck(*example)
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
def test_no_parameters():
    rows = gradcheck(lambda t, z: -z * tf.cos(t), [], tf.constant([1.0], tf.float64), tolerances=(1e-6,))
    assert [row.theta for row in rows] == [None, None]


@pytest.mark.slow
def test_a_wrong_adjoint_is_seen(monkeypatch):
    """Without the jumps of the inner times the adjoint is wrong, and the table says so."""
    right = adjoint.solve_adjoint

    def wrong(field, control, solved, g, *rest, **options):
        return right(
            field, control, solved, [x * tf.constant([1.0, 0.0, 1.0], x.dtype)[:, None] for x in g], *rest, **options
        )

    monkeypatch.setattr("gradcam_cli.neuralode.solver.traced_solver.solve_adjoint", wrong)
    rows = gradcheck(*PROBLEMS["logistic"](), tolerances=(1e-6,))
    assert rows[0].z0 < 1e-4
    assert rows[1].z0 > 1e-2
