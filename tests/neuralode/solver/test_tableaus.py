"""The tableaus satisfy their order conditions, and wrong coefficients raise."""

from dataclasses import replace

import numpy as np
import pytest

from gradcam_cli.neuralode.solver.butcher_tableau import ORDER_CONDITION_TOLERANCE
from gradcam_cli.neuralode.solver.order_conditions import elementary_weights, order_condition_error, tree_density, trees
from gradcam_cli.neuralode.solver.tableaus import SOLVERS


def test_rooted_trees_equal_known_numbers():
    """The number of trees of each order, the densities of order 4, and the elementary weights of rk4."""
    assert [len(trees(order)) for order in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]
    tall, bushy = ((((),),),), ((), (), ())
    assert {tree_density(tree) for tree in trees(4)} == {4, 8, 12, 24}
    assert (tree_density(tall), tree_density(bushy)) == (24, 4)
    rk4 = SOLVERS["rk4"]
    np.testing.assert_array_equal(elementary_weights(rk4.a, bushy), rk4.c**3)
    np.testing.assert_array_equal(elementary_weights(rk4.a, tall), rk4.a @ rk4.a @ rk4.c)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=list(SOLVERS))
def test_orders_are_exact(solver):
    """Each method and its embedded method violate the conditions of the next order."""
    assert order_condition_error(solver.a, solver.b, solver.order + 1) > 1e-3
    if solver.adaptive:
        assert order_condition_error(solver.a, solver.b_hat, solver.embedded_order + 1) > 1e-3
        assert solver.error_exponent == 1 / solver.order


def test_fsal_methods_and_number_of_stages():
    """Without the error estimate, FSAL methods have a stage less."""
    assert {name for name, solver in SOLVERS.items() if solver.fsal} == {
        "bosh3", "dopri5", "tsit5", "dopri8", "kvaerno3", "kvaerno5",
    }  # fmt: skip
    assert {name: solver.without_error_estimate().stages for name, solver in SOLVERS.items()} == {
        "euler": 1, "midpoint": 2, "heun2": 2, "rk4": 4, "bosh3": 3, "dopri5": 6, "tsit5": 6, "dopri8": 13,
        "kvaerno3": 4, "kvaerno5": 7,
    }  # fmt: skip


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("part", ["a", "b", "c", "b_hat"])
def test_wrong_coefficient_raises(name, part):
    """Changing any non-zero coefficient by 1e-9 violates a condition."""
    solver = SOLVERS[name]
    correct = getattr(solver, part)
    for index in zip(*np.nonzero(correct), strict=True) if correct is not None else ():
        wrong = correct.copy()
        wrong[index] += 1e-9
        with pytest.raises(ValueError, match=name):
            replace(solver, **{part: wrong})


def test_wrong_shape_or_order_raises():
    euler = SOLVERS["euler"]
    with pytest.raises(ValueError, match="order 2"):
        replace(euler, order=2)
    with pytest.raises(ValueError, match="sizes"):
        replace(euler, b=np.ones(2))
    with pytest.raises(ValueError, match="lower triangular"):
        replace(euler, a=np.ones((1, 1)), c=np.ones(1))
    assert ORDER_CONDITION_TOLERANCE < 1e-12
