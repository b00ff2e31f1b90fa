"""How the output of a layer is arranged over the image, and its conversion to an upright grid (n, u, v, k)."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, COLUMN, LOCATED, ROW, TOKENS, axis
from gradcam_cli.network.provenance.places import Places


class Grid(NamedTuple):
    """The arrangement of a layer's output over the model input.

    Attributes:
        u: number of rows of cells.
        v: number of columns of cells.
        rows: (start, stop), the pixel edges of the model input between which the rows lie, start < stop.
        columns: the same for the columns.
        proven: whether each cell is known to be computed from its neighborhood.
        prefix: number of tokens before those of the cells, or None if the output is (n, u, v, k).
        transposed: whether the output has the columns before the rows, or its tokens run down the columns.
        flipped: the axes, 1 and 2 of (n, u, v, k), that run from the bottom or from the right.
    """

    u: int
    v: int
    rows: tuple[float, float]
    columns: tuple[float, float]
    proven: bool = True
    prefix: int | None = None
    transposed: bool = False
    flipped: tuple[int, ...] = ()

    def extract(self, output: tf.Tensor) -> tf.Tensor:
        """Convert a layer's output to (n, u, v, k), with rows from top to bottom and columns from left to right."""
        A = output
        if self.prefix is not None:
            cells = A[:, self.prefix : self.prefix + self.u * self.v]
            shape = (self.v, self.u) if self.transposed else (self.u, self.v)
            A = tf.reshape(cells, (-1, *shape, output.shape[-1]))
        if self.transposed:
            A = tf.transpose(A, (0, 2, 1, 3))
        return tf.reverse(A, self.flipped) if self.flipped else A

    def insert(self, output: tf.Tensor, A: tf.Tensor) -> tf.Tensor:
        """Return a layer's output with its cells replaced by A, (n, u, v, k); the inverse of `extract`."""
        if self.flipped:
            A = tf.reverse(A, self.flipped)
        if self.transposed:
            A = tf.transpose(A, (0, 2, 1, 3))
        if self.prefix is None:
            return A
        cells = tf.reshape(A, (-1, self.u * self.v, output.shape[-1]))
        before, after = output[:, : self.prefix], output[:, self.prefix + self.u * self.v :]
        return tf.concat([before, cells, after], 1)


def grid_of(places: Places) -> Grid | None:
    """Return the arrangement of a layer's output: (n, u, v, k), (n, v, u, k) or (n, tokens, k); None for any other."""
    if places.axes is None or len(places.axes) not in (3, 4):
        return None
    u, v = places.rows.cells, places.columns.cells
    flipped = tuple(i for i, span in ((1, places.rows), (2, places.columns)) if span.pixels_per_cell < 0)
    rows, columns = (tuple(sorted(span.interval)) for span in (places.rows, places.columns))
    grid = Grid(u, v, rows, columns, places.proven, flipped=flipped)  # type: ignore[arg-type]
    if places.kind_of(0) != BATCH or factors.contains(places.axes[-1], LOCATED):
        return None
    if len(places.axes) == 3:
        if places.axes[1] == axis(ROW, u) + axis(COLUMN, v):
            return grid._replace(prefix=0)
        if places.axes[1] == axis(COLUMN, v) + axis(ROW, u):
            return grid._replace(prefix=0, transposed=True)
        return grid._replace(prefix=places.prefix) if places.kind_of(1) == TOKENS else None
    if places.axes[1:3] == (axis(ROW, u), axis(COLUMN, v)):
        return grid
    return grid._replace(transposed=True) if places.axes[1:3] == (axis(COLUMN, v), axis(ROW, u)) else None


def presumed_grid(shape: tuple[int, ...], input_shape: tuple[int, int, int]) -> Grid:
    """Return the arrangement of an output (n, u, v, k) of unknown origin: all of the image, to be measured."""
    return Grid(shape[1], shape[2], (0, input_shape[0]), (0, input_shape[1]), proven=False)


def describe(places: Places) -> str:
    """Return what the axes of a tensor run over: `(batch, tokens, other)`."""
    if places.axes is None:
        return "an unknown order"
    names = [" x ".join(factor.kind for factor in found) or "1" for found in places.axes]
    return f"axes ({', '.join(names)})"
