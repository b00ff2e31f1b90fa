"""The solver check: options of the variants, and when an accuracy change counts as solver dependence."""

import pytest

from gradcam_cli.neuralode.training.solver_check import SolverResult, SolverVariant


def test_variant_replaces_the_options_of_the_training():
    """Fixed steps divide the interval of the block; a tolerance replaces a fixed step size of the training."""
    assert SolverVariant("rk4", steps=4).options(interval=2.0) == {"solver": "rk4", "step_size": 0.5}
    options = SolverVariant("dopri5", tol=1e-5).options(interval=2.0)
    assert options == {"solver": "dopri5", "rtol": 1e-5, "atol": 1e-5, "step_size": None}


@pytest.mark.parametrize(
    ("solver", "tol", "steps", "change", "expected"),
    [
        ("tsit5", 1e-3, None, -0.006, True),
        ("tsit5", 1e-3, None, 0.006, True),
        ("tsit5", 1e-3, None, -0.005, False),
        ("rk4", None, 4, -0.3, True),
        ("euler", None, 1, -0.3, False),
    ],
)
def test_accuracy_change_above_half_a_point_is_solver_dependence(solver, tol, steps, change, expected):
    """A change of more than half a percentage point counts, except with a single Euler step."""
    assert SolverResult(solver, tol, steps, False, 0.9, change, 14).is_solver_dependent == expected
