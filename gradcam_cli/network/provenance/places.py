"""What is known about the places of a tensor: which axes run over rows and columns, and what these cover."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, COLUMN, LOCATED, OTHER, ROW, TOKENS, Axes, Axis, axis
from gradcam_cli.network.provenance.spans import Span


class Places(NamedTuple):
    """The places of a tensor that depends on the model input.

    Attributes:
        axes: what each axis runs over, or None if unknown.
        rows: the part of the model input that all rows cover.
        columns: the same for the columns.
        prefix: number of tokens before those of the places, on an axis of `TOKENS`.
        proven: whether each place is computed only from its neighborhood, and from averages over all places.
        learned: whether weights were applied.
    """

    axes: Axes | None
    rows: Span
    columns: Span
    prefix: int = 0
    proven: bool = True
    learned: bool = False

    @classmethod
    def of_input(cls, x: tf.Tensor) -> Places:
        """Return the places of the model input (n, h, w, c)."""
        n, h, w, c = x.shape
        axes = axis(BATCH, n), axis(ROW, h), axis(COLUMN, w), axis(OTHER, c)
        return cls(axes, Span(h, 0, h), Span(w, 0, w))

    def kind_of(self, position: int) -> str | None:
        """Return what an axis runs over: all rows, all columns, tokens, the batch, or other; None for a mixture."""
        assert self.axes is not None  # noqa: S101  # callers check it
        found = self.axes[position]
        for kind, span in ((ROW, self.rows), (COLUMN, self.columns)):
            if found and found == axis(kind, span.cells):
                return kind
        if not found:
            return OTHER
        return found[0].kind if len(found) == 1 and found[0].kind in (BATCH, OTHER, TOKENS) else None

    def is_located(self) -> bool:
        """Return whether an axis runs over rows, columns or tokens."""
        return any(factors.contains(found, LOCATED) for found in self.axes or ())

    def unproven(self, axes: Axes | None = None) -> Places:
        """Return the same places, unproven, with these axes."""
        return self._replace(axes=axes, proven=False)

    def with_span(self, kind: str, span: Span) -> Places:
        """Replace the span of `ROW` or `COLUMN`."""
        return self._replace(rows=span) if kind == ROW else self._replace(columns=span)

    def with_axis(self, position: int, new: Axis) -> Places:
        """Replace an axis."""
        assert self.axes is not None  # noqa: S101  # callers check it
        return self._replace(axes=(*self.axes[:position], new, *self.axes[position + 1 :]))

    def changed(self, position: int, change: Callable[[Span], Span], size: int) -> Places:
        """Change the span of an axis of all rows or all columns; another axis gets a new size.

        Args:
            position: index of the axis.
            change: maps the old span to the new one.
            size: new size of the axis.
        """
        assert self.axes is not None  # noqa: S101  # callers check it
        kind = self.kind_of(position)
        if kind in (ROW, COLUMN):
            span = change(self.rows if kind == ROW else self.columns)
            return self.with_span(kind, span).with_axis(position, axis(kind, span.cells))
        changed = self.with_axis(position, axis(OTHER, size))
        return changed._replace(proven=False) if factors.contains(self.axes[position], (*LOCATED, BATCH)) else changed

    def resampled(self, shape: Sequence[int], resample: Callable[[Span, int, int], Span]) -> Places | None:
        """Return the places after a convolution, pooling or resizing of (n, rows, columns, k).

        Args:
            shape: shape of the result.
            resample: maps a span, its position (0 or 1) and the new number of cells to the new span.

        Returns:
            The places, or None if the two spatial axes are neither rows and columns nor of size 1.
        """
        if self.axes is None or len(self.axes) != 4 or factors.contains(self.axes[3], LOCATED):
            return None
        if not (self.axes[1] or self.axes[2]):  # an average over all places
            return self._replace(axes=(self.axes[0], *(axis(OTHER, size) for size in shape[1:])))
        kinds = [self.kind_of(1), self.kind_of(2)]
        for i in (0, 1):
            missing = COLUMN if kinds[1 - i] == ROW else ROW
            if not self.axes[1 + i] and (self.rows if missing == ROW else self.columns).cells == 1:
                kinds[i] = missing
        if set(kinds) != {ROW, COLUMN}:
            return None
        result = self
        for i, kind in enumerate(kinds):
            span = resample(self.rows if kind == ROW else self.columns, i, shape[1 + i])
            result = result.with_span(str(kind), span).with_axis(1 + i, axis(str(kind), span.cells))
        return result.with_axis(3, axis(OTHER, shape[3]))
