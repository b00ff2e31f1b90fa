"""Order conditions of Runge-Kutta methods, one for each rooted tree.

A tree is the tuple of its root's subtrees: () is a single vertex, ((),) a root with one child.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod

import numpy as np

Tree = tuple["Tree", ...]
"""A rooted tree."""


@cache
def trees(order: int) -> tuple[Tree, ...]:
    """Return all rooted trees with `order` vertices: 1, 1, 2, 4, 9, 20, 48, 115 for orders 1 to 8."""
    return tuple(_forests(order - 1, order - 1))


def _forests(vertices: int, max_size: int) -> Iterator[Tree]:
    """Yield the multisets of trees with `vertices` vertices in total and at most `max_size` vertices each."""
    if vertices == 0:
        yield ()
    for size in range(min(vertices, max_size), 0, -1):
        for index, first in enumerate(trees(size)):
            for rest in _forests(vertices - size, size):
                if all(vertices_of(tree) < size or trees(size).index(tree) >= index for tree in rest):
                    yield (first, *rest)


@cache
def vertices_of(tree: Tree) -> int:
    """Return the number of vertices of a tree."""
    return 1 + sum(map(vertices_of, tree))


@cache
def tree_density(tree: Tree) -> int:
    """Return gamma(tree), the product of the sizes of the subtrees rooted at each vertex."""
    return vertices_of(tree) * prod(map(tree_density, tree))


def elementary_weights(a: np.ndarray, tree: Tree) -> np.ndarray:
    """Return Phi_i(tree), (stages,): product over the subtrees u of sum_j a_ij Phi_j(u).

    Source:
        Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.2.
    """
    weights: np.ndarray = np.prod([np.ones(len(a)), *(a @ elementary_weights(a, u) for u in tree)], axis=0)
    return weights


def order_condition_error(a: np.ndarray, b: np.ndarray, order: int) -> float:
    """Return the largest residual of the order conditions up to an order.

    max over the trees with at most `order` vertices of |gamma(tree) sum_i b_i Phi_i(tree) - 1|
    """
    return max(
        abs(tree_density(tree) * float(b @ elementary_weights(a, tree)) - 1)
        for size in range(1, order + 1)
        for tree in trees(size)
    )
