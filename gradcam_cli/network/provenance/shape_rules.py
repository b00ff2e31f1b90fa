"""How reshapes, transpositions, concatenations and splits change the places of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.arithmetic_rules import combined_all
from gradcam_cli.network.provenance.axes import BATCH, COLUMN, LOCATED, OTHER, ROW, TOKENS, axis
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.rule import Inputs, State, rule_table, static_shape


def _reshape(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places, shape = inputs[0], static_shape(operation.outputs[0])
    if places is None or places.axes is None or shape is None:
        return None
    axes = factors.reshape(places.axes, shape)
    return places._replace(axes=axes) if axes is not None else places.unproven()


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
    if located[0].axes[position] == axis(ROW, first.rows.cells) + axis(COLUMN, first.columns.cells):
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
    axes = (*result.axes[:position], axis(OTHER, len(operation.inputs)), *result.axes[position:])
    same = all(places.axes == known[0].axes for places in known)
    return result._replace(axes=axes, proven=all(places.proven for places in known) and same)


def _unstack(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places = inputs[0]
    if places is None or places.axes is None:
        return None
    position = operation.get_attr("axis") % len(places.axes)
    if factors.contains(places.axes[position], (*LOCATED, BATCH)):
        return places.unproven()
    return places._replace(axes=places.axes[:position] + places.axes[position + 1 :])


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
        "Transpose": _transpose,
        "ConcatV2": _join,
        "Pack": _stack,
        "Unpack": _unstack,
        "Split SplitV": _split,
    }
)
