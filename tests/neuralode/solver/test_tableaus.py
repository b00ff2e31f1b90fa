"""The tableaus check themselves, and catch a slip."""

from dataclasses import replace

import numpy as np
import pytest

from gradcam_cli.neuralode.solver.order_conditions import elementary_weights, order_condition_error, tree_density, trees
from gradcam_cli.neuralode.solver.tableaus import ORDER_CONDITION_TOLERANCE, SOLVERS


def test_trees_by_hand():
    """The four trees of order 4 with their densities, and the weights of one for the classical method."""
    assert [len(trees(order)) for order in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]
    tall, bushy = ((((),),),), ((), (), ())
    assert {tree_density(tree) for tree in trees(4)} == {4, 8, 12, 24}
    assert (tree_density(tall), tree_density(bushy)) == (24, 4)
    rk4 = SOLVERS["rk4"]
    np.testing.assert_array_equal(elementary_weights(rk4.a, bushy), rk4.c**3)
    np.testing.assert_array_equal(elementary_weights(rk4.a, tall), rk4.a @ rk4.a @ rk4.c)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=list(SOLVERS))
def test_orders_are_no_higher(solver):
    """Each method misses the conditions of the next order, as does its embedded one: the orders are exact."""
    assert order_condition_error(solver.a, solver.b, solver.order + 1) > 1e-3
    if solver.adaptive:
        assert order_condition_error(solver.a, solver.b_hat, solver.embedded_order + 1) > 1e-3
        assert solver.error_exponent == 1 / solver.order


def test_what_is_fsal():
    """The last stage of these is the next step's first; without the estimate it is left out."""
    assert {name for name, solver in SOLVERS.items() if solver.fsal} == {"bosh3", "dopri5", "tsit5"}
    assert {name: solver.without_error_estimate().stages for name, solver in SOLVERS.items()} == {
        "euler": 1, "midpoint": 2, "heun2": 2, "rk4": 4, "bosh3": 3, "dopri5": 6, "tsit5": 6, "dopri8": 13,
    }  # fmt: skip


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("part", ["a", "b", "c", "b_hat"])
def test_any_wrong_coefficient_is_caught(name, part):
    """Each coefficient that is not zero, wrong in its tenth digit, makes no tableau."""
    solver = SOLVERS[name]
    right = getattr(solver, part)
    for place in zip(*np.nonzero(right), strict=True) if right is not None else ():
        wrong = right.copy()
        wrong[place] += 1e-9
        with pytest.raises(ValueError, match=name):
            replace(solver, **{part: wrong})


def test_wrong_shapes_and_orders_are_caught():
    euler = SOLVERS["euler"]
    with pytest.raises(ValueError, match="order 2"):
        replace(euler, order=2)
    with pytest.raises(ValueError, match="sizes"):
        replace(euler, b=np.ones(2))
    with pytest.raises(ValueError, match="lower triangular"):
        replace(euler, a=np.ones((1, 1)), c=np.ones(1))
    assert ORDER_CONDITION_TOLERANCE < 1e-12
