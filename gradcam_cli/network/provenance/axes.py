"""Axes of tensors as products of factors: batch, rows of the image, columns of the image, other.

A reshape splits, merges and regroups factors, and a transposition permutes axes. So an axis with the single factor
"all rows" is known to run over the rows of the image, however often the tensor was reshaped in between. A signal has
places in time instead, and a volume also a depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

BATCH, TIME, DEPTH, ROW, COLUMN, TOKENS, OTHER = "batch", "time", "depth", "row", "column", "tokens", "other"
COPIES = "copies"
"""The kind of an axis of equal values."""
SPATIAL = {1: (TIME,), 2: (ROW, COLUMN), 3: (DEPTH, ROW, COLUMN)}
"""The kinds of the axes of a model input between the batch and the channels, by their number."""
LOCATED = (TIME, DEPTH, ROW, COLUMN, TOKENS)
"""Kinds that run over places of the input; `TOKENS` are all places in row-major order among further tokens."""


class Factor(NamedTuple):
    """A part of an axis.

    Attributes:
        kind: `BATCH`, `TOKENS`, `OTHER`, `COPIES`, or one of `SPATIAL`.
        size: number of its values, at least 2.
        stride: distance of two neighboring values, in values of its kind.
    """

    kind: str
    size: int
    stride: int = 1


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]
"""One axis for each dimension; an axis of size 1 has no factors."""


def axis(kind: str, size: int) -> Axis:
    """Return the axis of all values of a kind."""
    return (Factor(kind, size),) if size > 1 else ()


def size_of(axis: Axis) -> int:
    """Return the number of values of an axis."""
    product = 1
    for factor in axis:
        product *= factor.size
    return product


def contains(axis: Axis, kinds: Sequence[str]) -> bool:
    """Return whether an axis has a factor of one of the kinds."""
    return any(factor.kind in kinds for factor in axis)


def reshape(axes: Axes, shape: Sequence[int]) -> Axes | None:
    """Regroup the factors of all axes, in row-major order, into a new shape.

    Returns:
        The axes, or None if a new axis would cut a factor unevenly.
    """
    factors = [factor for axis in axes for factor in axis]
    result = []
    for size in shape:
        chosen, remaining = [], size
        while remaining > 1:
            if not factors:
                return None
            factor = factors.pop(0)
            if factor.size > remaining:
                if factor.size % remaining:
                    return None
                inner = factor.size // remaining
                factors.insert(0, Factor(factor.kind, inner, factor.stride))
                factor = Factor(factor.kind, remaining, factor.stride * inner)
            if remaining % factor.size:
                return None
            chosen.append(factor)
            remaining //= factor.size
        result.append(tuple(_merged(chosen)))
    return tuple(result) if not factors else None


def _merged(factors: Sequence[Factor]) -> Iterator[Factor]:
    """Merge neighboring factors of one kind that together are one factor: (4, stride 8), (8, stride 1) -> 32."""
    pending: Factor | None = None
    for factor in factors:
        if (
            pending
            and pending.kind == factor.kind
            and (factor.kind == OTHER or pending.stride == factor.size * factor.stride)
        ):
            pending = Factor(factor.kind, pending.size * factor.size, factor.stride if factor.kind != OTHER else 1)
        else:
            if pending:
                yield pending
            pending = factor
    if pending:
        yield pending._replace(stride=1) if pending.kind == OTHER else pending


def broadcast(first: Axes, second: Axes) -> tuple[Axes, bool]:
    """Return the axes of an elementwise operation on two tensors, and whether all of them agree.

    Axes of size 1 take the other tensor's axis. Where two axes differ, the one with rows, columns or images is kept.
    """
    rank = max(len(first), len(second))
    padded = [((),) * (rank - len(axes)) + axes for axes in (first, second)]
    result, agree = [], True
    for a, b in zip(*padded, strict=True):
        if not a or not b or a == b:
            result.append(a or b)
        else:
            result.append(a if contains(a, (*LOCATED, BATCH)) else b)
            agree = agree and not (contains(a, (*LOCATED, BATCH)) and contains(b, (*LOCATED, BATCH)))
    return tuple(result), agree
