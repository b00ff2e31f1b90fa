"""How reshapes, transpositions, concatenations and splits change the places of tensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.arithmetic_rules import combined_all
from gradcam_cli.network.provenance.axes import BATCH, COPIES, LOCATED, OTHER, TOKENS, axis
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.rule import Inputs, Outputs, State, rule_table, static_shape
from gradcam_cli.network.provenance.spans import Span

EPSILON = 1e-6
"""Difference of two edges, in pixels, below which they are the same."""


def _reshape(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, shape = inputs[0], static_shape(operation.outputs[0])
    if places is None or places.axes is None or shape is None:
        return None
    axes = factors.reshape(places.axes, shape)
    if axes is None:
        return places.unproven()
    result = places._replace(axes=axes)
    for i, found in enumerate(axes):
        if len(found) > 1 and found[-1].kind == COPIES:  # each cell repeated, as an upsampling to the nearest neighbor
            kind = next((kind for kind in places.kinds if found[:-1] == places.located(kind)), None)
            if kind:
                span = result.span(kind).resized(factors.size_of(found))
                result = result.with_span(kind, span).with_axis(i, axis(kind, span.cells))
    return result


def _tile(operation: Any, inputs: Inputs, state: State) -> Places | None:
    """Repeat a tensor along axes of size 1, as `tf.repeat` does behind the axis that it repeats."""
    places, counts = inputs[0], state.value(operation.inputs[1])
    if places is None or places.axes is None or counts is None:
        return None
    for i, count in enumerate(counts):
        if count != 1 and places.axes[i]:
            return None
        if count != 1:
            places = places.with_axis(i, axis(COPIES, int(count)))
    return places


def _transpose(operation: Any, inputs: Inputs, state: State) -> Places | None:
    places, order = inputs[0], state.value(operation.inputs[1])
    if places is None or places.axes is None or order is None:
        return None
    return places._replace(axes=tuple(places.axes[i] for i in order))


def _join(operation: Any, inputs: Inputs, state: State) -> Places | None:
    """Concatenate along the channels; with constants along rows or columns, or before and after all tokens."""
    position = state.value(operation.inputs[-1])
    tensors, parts = list(operation.inputs[:-1]), list(inputs[:-1])
    located = [places for places in parts if places and places.is_located()]
    if position is None or not located or located[0].axes is None:
        return None
    position, first = int(position) % len(located[0].axes), located[0]
    if not factors.contains(located[0].axes[position], LOCATED):
        return _join_channels(parts, position, operation.outputs[0].shape[position])
    i = next(i for i, places in enumerate(parts) if places is first)
    before, after = (_total_size(group, position, state) for group in (tensors[:i], tensors[i + 1 :]))
    if len(located) > 1 or before is None or after is None:
        return None
    size = before + factors.size_of(located[0].axes[position]) + after
    if located[0].axes[position] == first.tokens:
        return first.with_axis(position, axis(TOKENS, size))._replace(prefix=before)
    return first.changed(position, lambda span: span.padded(before, after), size)


def _join_channels(parts: Inputs, position: int, size: int | None) -> Places:
    result = combined_all([places for places in parts if places and places.is_located()])
    others = any(places and not places.is_located() for places in parts)
    joined = result.with_axis(position, axis(OTHER, size or 1)) if result.axes else result
    return joined._replace(proven=result.proven and not others)


def _total_size(tensors: Sequence[tf.Tensor], position: int, state: State) -> int | None:
    """Return the sum of the sizes of constant tensors along an axis."""
    sizes = [tensor.shape[position] for tensor in tensors]
    for i, tensor in enumerate(tensors):
        if sizes[i] is None and (value := state.value(tensor)) is not None:
            sizes[i] = value.shape[position]
    return None if None in sizes else sum(sizes)


def _stack(operation: Any, inputs: Inputs, _: State) -> Places | None:
    known = [places for places in inputs if places]
    result = combined_all(known)
    if result.axes is None:
        return None
    position = operation.get_attr("axis") % (len(result.axes) + 1)
    same = all(places.axes == known[0].axes for places in known)
    proven = all(places.proven for places in known)
    if same and len(known) == len(operation.inputs) and (whole := _stacked_cells(known)):
        kind, span = whole
        result, new = known[0].with_span(kind, span), axis(kind, span.cells)
    else:
        new, proven = axis(OTHER, len(operation.inputs)), proven and same
    axes = (*result.axes[:position], new, *result.axes[position:])  # type: ignore[index]  # they have axes
    return result._replace(axes=axes, proven=proven, learned=any(places.learned for places in known))


def _stacked_cells(parts: Sequence[Places]) -> tuple[str, Span] | None:
    """Return the kind and the span of cells that follow one another, each taken from a tensor by its index; or None."""
    for i, kind in enumerate(parts[0].kinds):
        spans = [places.spans[i] for places in parts]
        others = {places.spans[:i] + places.spans[i + 1 :] for places in parts}
        follow = all(abs(a.stop - b.start) < EPSILON for a, b in itertools.pairwise(spans))
        lone = all(span.cells == 1 and span.start < span.stop for span in spans)
        if len(spans) > 1 and lone and follow and len(others) == 1:
            return kind, Span(len(spans), spans[0].start, spans[-1].stop)
    return None


def _unstack(operation: Any, inputs: Inputs, _: State) -> Outputs:
    places = inputs[0]
    if places is None or places.axes is None:
        return None
    position = operation.get_attr("axis") % len(places.axes)
    return [places.single(position, index) for index in range(len(operation.outputs))]


def _split(operation: Any, inputs: Inputs, state: State) -> Places | None:
    """Split along an axis that is neither rows nor columns."""
    values = 1 if operation.type == "Split" else 0
    position = state.value(operation.inputs[0 if operation.type == "Split" else 2])
    places, shape = inputs[values], static_shape(operation.outputs[0])
    if places is None or places.axes is None or position is None or shape is None:
        return None
    position = int(position) % len(places.axes)
    if factors.contains(places.axes[position], (*LOCATED, BATCH)):
        return places.unproven()
    return places.with_axis(position, axis(OTHER, shape[position]))


SHAPE_RULES = rule_table(
    {
        "Reshape Squeeze ExpandDims": _reshape,
        "Tile": _tile,
        "Transpose": _transpose,
        "ConcatV2": _join,
        "Pack": _stack,
        "Unpack": _unstack,
        "Split SplitV": _split,
    }
)
