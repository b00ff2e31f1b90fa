"""How the output of a layer is arranged over the image, and its conversion to an upright grid (n, u, v, k)."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import tensorflow as tf

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, LOCATED, TOKENS
from gradcam_cli.network.provenance.places import Places


class Grid(NamedTuple):
    """The arrangement of a layer's output over the model input.

    Attributes:
        cells: (u, v), the number of rows and of columns of cells; one number for each spatial axis of the input.
        edges: (start, stop) for each of these axes: the edges, in pixels of the model input, between which the cells
            lie, start < stop.
        proven: whether each cell is known to be computed from its neighborhood.
        prefix: number of tokens before those of the cells, or None if the output is (n, u, v, k).
        order: for each spatial axis of the output, or of the order of its tokens, the axis of `cells` that it runs
            over: (1, 0) if the columns come before the rows.
        flipped: the axes of (n, u, v, k) that run from the bottom or from the right.
    """

    cells: tuple[int, ...]
    edges: tuple[tuple[float, float], ...]
    proven: bool = True
    prefix: int | None = None
    order: tuple[int, ...] = (0, 1)
    flipped: tuple[int, ...] = ()

    @property
    def num_cells(self) -> int:
        """The number of all cells."""
        return math.prod(self.cells)

    def extract(self, output: tf.Tensor) -> tf.Tensor:
        """Convert a layer's output to (n, u, v, k), with rows from top to bottom and columns from left to right."""
        A = output
        if self.prefix is not None:
            cells = A[:, self.prefix : self.prefix + self.num_cells]
            A = tf.reshape(cells, (-1, *(self.cells[i] for i in self.order), output.shape[-1]))
        if not self._is_ordered:
            A = tf.transpose(A, self._permutation(tuple(self.order.index(i) for i in range(len(self.order)))))
        return tf.reverse(A, self.flipped) if self.flipped else A

    def insert(self, output: tf.Tensor, A: tf.Tensor) -> tf.Tensor:
        """Return a layer's output with its cells replaced by A, (n, u, v, k); the inverse of `extract`."""
        if self.flipped:
            A = tf.reverse(A, self.flipped)
        if not self._is_ordered:
            A = tf.transpose(A, self._permutation(self.order))
        if self.prefix is None:
            return A
        cells = tf.reshape(A, (-1, self.num_cells, output.shape[-1]))
        before, after = output[:, : self.prefix], output[:, self.prefix + self.num_cells :]
        return tf.concat([before, cells, after], 1)

    @property
    def _is_ordered(self) -> bool:
        return self.order == tuple(range(len(self.cells)))

    @staticmethod
    def _permutation(order: tuple[int, ...]) -> tuple[int, ...]:
        """Return a permutation of the spatial axes as one of all axes."""
        return (0, *(1 + i for i in order), 1 + len(order))


def grid_of(places: Places) -> Grid | None:
    """Return the arrangement of a layer's output: (n, u, v, k), (n, v, u, k) or (n, tokens, k); None for any other."""
    if places.axes is None or places.kind_of(0) != BATCH or factors.contains(places.axes[-1], LOCATED):
        return None
    flipped = tuple(i for i, span in enumerate(places.spans, 1) if span.pixels_per_cell < 0)
    edges = tuple((min(span.interval), max(span.interval)) for span in places.spans)
    orders = list(itertools.permutations(range(len(places.spans))))
    grid = Grid(tuple(span.cells for span in places.spans), edges, places.proven, order=orders[0], flipped=flipped)
    inner, located = places.axes[1:-1], [places.located(kind) for kind in places.kinds]
    for order in orders:
        if inner == tuple(located[i] for i in order):
            return grid._replace(order=order)
    for order in orders:
        if inner == (sum((located[i] for i in order), ()),):
            return grid._replace(prefix=0, order=order)
    return grid._replace(prefix=places.prefix) if len(inner) == 1 and places.kind_of(1) == TOKENS else None


def presumed_grid(shape: tuple[int, ...], input_shape: tuple[int, ...]) -> Grid:
    """Return the arrangement of an output (n, u, v, k) of unknown origin: all of the image, to be measured."""
    order = tuple(range(len(input_shape) - 1))
    return Grid(tuple(shape[1:-1]), tuple((0, side) for side in input_shape[:-1]), proven=False, order=order)


def describe(places: Places) -> str:
    """Return what the axes of a tensor run over: `(batch, tokens, other)`."""
    if places.axes is None:
        return "an unknown order"
    names = [" x ".join(factor.kind for factor in found) or "1" for found in places.axes]
    return f"axes ({', '.join(names)})"
