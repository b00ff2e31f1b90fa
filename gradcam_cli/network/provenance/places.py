"""What is known about the places of a tensor: which axes run over rows and columns, and what these cover."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, LOCATED, OTHER, SPATIAL, TOKENS, Axes, Axis, axis
from gradcam_cli.network.provenance.spans import Span


class Places(NamedTuple):
    """The places of a tensor that depends on the model input.

    Attributes:
        axes: what each axis runs over, or None if unknown.
        spans: the part of the model input that all rows cover, and all columns: one span for each spatial axis of the
            input.
        prefix: number of tokens before those of the places, on an axis of `TOKENS`.
        proven: whether each place is computed only from its neighborhood, and from averages over all places.
        learned: whether weights were applied.
    """

    axes: Axes | None
    spans: tuple[Span, ...]
    prefix: int = 0
    proven: bool = True
    learned: bool = False

    @classmethod
    def of_input(cls, x: tf.Tensor) -> Places:
        """Return the places of the model input, (n, h, w, c) or with another number of spatial axes."""
        n, *sides, c = x.shape
        located = map(axis, SPATIAL[len(sides)], sides)
        return cls((axis(BATCH, n), *located, axis(OTHER, c)), tuple(Span(side, 0, side) for side in sides))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the spatial axes of the model input, in the order of `spans`."""
        return SPATIAL[len(self.spans)]

    def span(self, kind: str) -> Span:
        """Return the span of a kind."""
        return self.spans[self.kinds.index(kind)]

    def located(self, kind: str) -> Axis:
        """Return the axis that runs over all places of a kind."""
        return axis(kind, self.span(kind).cells)

    @property
    def tokens(self) -> Axis:
        """The axis that runs over all places in row-major order."""
        return tuple(factor for kind in self.kinds for factor in self.located(kind))

    def kind_of(self, position: int) -> str | None:
        """Return what an axis runs over: all rows, all columns, tokens, the batch, or other; None for a mixture."""
        assert self.axes is not None  # noqa: S101  # callers check it
        found = self.axes[position]
        if not found:
            return OTHER
        kinds = [kind for kind in self.kinds if found == self.located(kind)]
        if kinds:
            return kinds[0]
        return found[0].kind if len(found) == 1 and found[0].kind in (BATCH, OTHER, TOKENS) else None

    def is_located(self) -> bool:
        """Return whether an axis runs over rows, columns or tokens."""
        return any(factors.contains(found, LOCATED) for found in self.axes or ())

    def unproven(self, axes: Axes | None = None) -> Places:
        """Return the same places, unproven, with these axes."""
        return self._replace(axes=axes, proven=False)

    def with_span(self, kind: str, span: Span) -> Places:
        """Replace the span of a kind."""
        i = self.kinds.index(kind)
        return self._replace(spans=(*self.spans[:i], span, *self.spans[i + 1 :]))

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
        if kind in self.kinds:
            span = change(self.span(str(kind)))
            return self.with_span(str(kind), span).with_axis(position, axis(str(kind), span.cells))
        changed = self.with_axis(position, axis(OTHER, size))
        return changed._replace(proven=False) if factors.contains(self.axes[position], (*LOCATED, BATCH)) else changed

    def single(self, position: int, index: int) -> Places:
        """Return the places of `tensor[..., index, ...]`: one cell of a kind, without an axis.

        Args:
            position: of the axis that is indexed.
            index: may be negative.
        """
        assert self.axes is not None  # noqa: S101  # callers check it
        kind, rest = self.kind_of(position), self.axes[:position] + self.axes[position + 1 :]
        if kind not in self.kinds:
            located = factors.contains(self.axes[position], (*LOCATED, BATCH))
            return self.unproven() if located else self._replace(axes=rest)
        span = self.span(str(kind))
        index %= span.cells
        return self.with_span(str(kind), span.cropped(index, span.cells - index - 1))._replace(axes=rest)

    def resampled(self, shape: Sequence[int], resample: Callable[[Span, int, int], Span]) -> Places | None:
        """Return the places after a convolution, pooling or resizing of (n, rows, columns, k).

        A spatial axis of size 1 stands for a kind with a single cell that no other axis has. All further axes of size 1
        are neutral: TensorFlow computes with a signal (n, t, k) as with an image (n, 1, t, k).

        Args:
            shape: shape of the result.
            resample: maps a span, its position among the spatial axes of the tensor, and the new number of cells to the
                new span.

        Returns:
            The places, or None if the spatial axes are not rows and columns, each once.
        """
        if self.axes is None or len(self.axes) != len(shape) or factors.contains(self.axes[-1], LOCATED):
            return None
        inner = range(1, len(self.axes) - 1)
        if not any(self.axes[i] for i in inner):  # an average over all places
            return self._replace(axes=(self.axes[0], *(axis(OTHER, size) for size in shape[1:])))
        found = {i: self.kind_of(i) for i in inner if self.axes[i]}
        missing = [kind for kind in self.kinds if kind not in found.values()]
        if any(self.span(kind).cells != 1 for kind in missing) or len({*found.values()} & {*self.kinds}) < len(found):
            return None
        empty = [i for i in inner if not self.axes[i]]
        found |= dict(zip(empty[::-1], missing[::-1], strict=False))
        result = self
        for i in inner:
            if (kind := found.get(i)) is not None:
                span = resample(self.span(kind), i - 1, shape[i])
                result = result.with_span(kind, span).with_axis(i, axis(kind, span.cells))
            elif shape[i] != 1:
                return None
        return result.with_axis(len(self.axes) - 1, axis(OTHER, shape[-1]))
