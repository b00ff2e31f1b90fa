"""Continuous extensions of Runge-Kutta methods, computed from the order conditions.

In a step of size h from (t, z) to z', the solution at the fraction x of the step is

    z(t + x h) = z + h sum_i b_i(x) k_i,    b_i(x) = sum_m B_mi x^m,    b_i(1) = b_i

It has order p if sum_i b_i(x) Phi_i(tree) = x^|tree| / gamma(tree) for all trees with up to p vertices. Where the
stages leave a choice, B minimizes the residuals of the next order: the integral over x of the sum of their squares.

Source:
    Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.6, theorem 6.1.
"""

from __future__ import annotations

import numpy as np

from gradcam_cli.neuralode.solver.order_conditions import Tree, elementary_weights, tree_density, trees, vertices_of

RANK_TOLERANCE = 1e-10
"""Singular values below this fraction of the largest count as zero."""


def continuous_extension(a: np.ndarray, b: np.ndarray, order: int, degree: int, smooth: bool) -> np.ndarray:
    """Return B, (degree, s) float64: row m - 1 holds the coefficients of x^m.

    Args:
        a: (s, s), the stages.
        b: (s,), the weights of z'.
        order: order p of the extension.
        degree: degree of the polynomials b_i(x), at least p.
        smooth: whether the derivatives at both ends are the first and the last slope, so that the solution has a
            continuous derivative. The last stage must be the slope at z'.

    Raises:
        ValueError: these stages have no extension of this order.
    """
    conditions, values = _conditions(a, b, order, degree, smooth)
    particular = np.linalg.lstsq(conditions, values, rcond=RANK_TOLERANCE)[0]
    if abs(conditions @ particular - values).max() > RANK_TOLERANCE:
        raise ValueError(f"no continuous extension of order {order} and degree {degree}")
    _, singular_values, rows = np.linalg.svd(conditions)
    null_space = rows[int((singular_values > RANK_TOLERANCE * singular_values[0]).sum()) :].T
    residual, target = _next_order_residual(a, order, degree)
    free = np.linalg.lstsq(residual @ null_space, target - residual @ particular, rcond=1e-6)[0]
    extension: np.ndarray = (particular + null_space @ free).reshape(degree, len(b))
    return extension


def extension_weights(extension: np.ndarray, x: float) -> np.ndarray:
    """Return b_i(x), (s,)."""
    weights: np.ndarray = x ** np.arange(1, len(extension) + 1) @ extension
    return weights


def _conditions(a: np.ndarray, b: np.ndarray, order: int, degree: int, smooth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear equations M B = v of the order conditions, the end value, and the slopes at both ends."""
    powers, stages = np.arange(1, degree + 1), np.eye(len(b))
    conditions = [tree for size in range(1, order + 1) for tree in trees(size)]
    exact = [[(m == vertices_of(tree)) / tree_density(tree) for tree in conditions] for m in powers]
    matrix = [np.kron(np.eye(degree), _tree_weights(a, conditions)), np.kron(np.ones(degree), stages)]
    values = [np.ravel(exact), b]
    if smooth:
        matrix += [np.kron(powers == 1, stages), np.kron(powers, stages)]
        values += [stages[0], stages[-1]]
    return np.vstack(matrix), np.concatenate(values)


def _next_order_residual(a: np.ndarray, order: int, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Return M, v: |M B - v|^2 is the integral of the squared residuals of order p + 1, by Gauss quadrature."""
    nodes, node_weights = np.polynomial.legendre.leggauss(degree + 2)
    nodes, root_weights = (nodes + 1) / 2, np.sqrt(node_weights / 2)
    conditions = list(trees(order + 1))
    weights, inverse_densities = _tree_weights(a, conditions), 1 / np.array([tree_density(tree) for tree in conditions])
    matrix = [w * np.kron(x ** np.arange(1, degree + 1), weights) for x, w in zip(nodes, root_weights, strict=True)]
    values = [w * x ** (order + 1) * inverse_densities for x, w in zip(nodes, root_weights, strict=True)]
    return np.vstack(matrix), np.concatenate(values)


def _tree_weights(a: np.ndarray, conditions: list[Tree]) -> np.ndarray:
    """Return Phi_i(tree), (trees, s)."""
    return np.array([elementary_weights(a, tree) for tree in conditions])
