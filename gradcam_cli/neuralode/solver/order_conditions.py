"""Rooted trees, which number the conditions a Runge-Kutta method of an order must meet.

A tree is the tuple of the trees that hang on its root: () is the root alone, ((),) has one leaf, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod

import numpy as np

Tree = tuple["Tree", ...]


@cache
def trees(order: int) -> tuple[Tree, ...]:
    """Return all rooted trees with so many vertices: 1, 1, 2, 4, 9, 20, 48, 115 for orders 1 to 8."""
    return tuple(_forests(order - 1, order - 1))


def _forests(vertices: int, max_size: int) -> Iterator[Tree]:
    """Yield the multisets of trees with so many vertices together, none of them larger than that."""
    if vertices == 0:
        yield ()
    for size in range(min(vertices, max_size), 0, -1):
        for place, first in enumerate(trees(size)):
            for rest in _forests(vertices - size, size):
                if all(vertices_of(tree) < size or trees(size).index(tree) >= place for tree in rest):
                    yield (first, *rest)


@cache
def vertices_of(tree: Tree) -> int:
    """Return how many vertices a tree has."""
    return 1 + sum(map(vertices_of, tree))


@cache
def tree_density(tree: Tree) -> int:
    """Return gamma, the product over all vertices of the size of what hangs on them, themselves included."""
    return vertices_of(tree) * prod(map(tree_density, tree))


def elementary_weights(a: np.ndarray, tree: Tree) -> np.ndarray:
    """Return Phi_i(tree), (stages,): prod over the branches u of sum_j a_ij Phi_j(u).

    Source:
        Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.2.
    """
    weights: np.ndarray = np.prod([np.ones(len(a)), *(a @ elementary_weights(a, u) for u in tree)], axis=0)
    return weights


def order_condition_error(a: np.ndarray, b: np.ndarray, order: int) -> float:
    """Return how far a method misses the conditions up to an order.

    max over the trees of at most that many vertices of |gamma(tree) sum_i b_i Phi_i(tree) - 1|
    """
    return max(
        abs(tree_density(tree) * float(b @ elementary_weights(a, tree)) - 1)
        for size in range(1, order + 1)
        for tree in trees(size)
    )
