"""How slices, reversals and selections change the places of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, LOCATED, OTHER, TOKENS, axis
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.rule import Inputs, Rule, State, static_shape
from gradcam_cli.network.provenance.spans import Span

Index = slice | int | None
"""An entry of a slicing expression; None is a new axis."""


def _strided_slice(operation: Any, inputs: Inputs, state: State) -> Places | None:
    places, limits = inputs[0], [state.value(tensor) for tensor in operation.inputs[1:]]
    if places is None or places.axes is None or any(limit is None for limit in limits):
        return None
    masks = [operation.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")]
    return sliced(places, _entries([np.asarray(limit).tolist() for limit in limits], masks, len(places.axes)))


def _entries(limits: Sequence[Sequence[int]], masks: Sequence[int], rank: int) -> list[Index]:
    """Return the slicing expression that the limits (begin, end, step) and bit masks of a StridedSlice stand for."""
    begin_mask, end_mask, ellipsis, new_axis, shrink = masks
    entries: list[Index] = []
    for i, (begin, end, step) in enumerate(zip(*limits, strict=True)):
        bit = 1 << i
        if ellipsis & bit:
            later = sum(not new_axis >> j & 1 for j in range(i + 1, len(limits[0])))
            entries += [slice(None)] * (rank - sum(entry is not None for entry in entries) - later)
        elif new_axis & bit:
            entries.append(None)
        elif shrink & bit:
            entries.append(begin)
        else:
            entries.append(slice(None if begin_mask & bit else begin, None if end_mask & bit else end, step))
    return entries + [slice(None)] * (rank - sum(entry is not None for entry in entries))


def sliced(places: Places, entries: Sequence[Index]) -> Places:
    """Return the places of `tensor[entries]`."""
    position = 0
    for entry in entries:
        axes = places.axes
        if axes is None:
            return places
        if entry is None:
            places = places._replace(axes=(*axes[:position], (), *axes[position:]))
        elif isinstance(entry, int):
            places = places.single(position, entry)
            if places.axes == axes:  # of unknown places
                return places
            continue
        else:
            places = _cut(places, position, entry)
        position += 1
    return places


def _cut(places: Places, position: int, entry: slice) -> Places:
    """Return the places of a slice along one axis."""
    assert places.axes is not None  # noqa: S101  # callers check it
    size = factors.size_of(places.axes[position])
    chosen = range(size)[entry]
    if chosen == range(size):
        return places
    if places.kind_of(position) == TOKENS:
        return _cut_tokens(places, position, chosen)
    if not chosen:
        return places.unproven()
    last, step = chosen[-1], chosen.step
    low, high = (chosen[0], min(last + step, size)) if step > 0 else (max(last + step + 1, 0), chosen[0] + 1)

    def cut(span: Span) -> Span:
        kept = span.cropped(low, size - high).resized(len(chosen))
        return kept.reversed() if step < 0 else kept

    return places.changed(position, cut, len(chosen))


def _cut_tokens(places: Places, position: int, chosen: range) -> Places:
    """Return all places in order if exactly the further tokens are removed."""
    count = factors.size_of(places.tokens)
    if chosen == range(places.prefix, places.prefix + count):
        return places.with_axis(position, places.tokens)._replace(prefix=0)
    return places.with_axis(position, axis(OTHER, len(chosen)))._replace(proven=False)


def _slice(operation: Any, inputs: Inputs, state: State) -> Places | None:
    places, shape = inputs[0], static_shape(operation.outputs[0])
    begin = state.value(operation.inputs[1])
    if places is None or places.axes is None or shape is None or begin is None:
        return None
    return sliced(places, [slice(int(start), int(start) + size) for start, size in zip(begin, shape, strict=True)])


def _reverse(operation: Any, inputs: Inputs, state: State) -> Places | None:
    places, positions = inputs[0], state.value(operation.inputs[1])
    if places is None or places.axes is None or positions is None:
        return None
    reversed_axes = {int(i) % len(places.axes) for i in np.ravel(positions)}
    return sliced(places, [slice(None, None, -1 if i in reversed_axes else 1) for i in range(len(places.axes))])


def _gather(operation: Any, inputs: Inputs, state: State) -> Places | None:
    """Select entries of an axis that is neither rows nor columns."""
    places, position = inputs[0], state.value(operation.inputs[2])
    if places is None or places.axes is None or position is None or inputs[1] is not None:
        return None
    position = int(position) % len(places.axes)
    if factors.contains(places.axes[position], (*LOCATED, BATCH)) or operation.get_attr("batch_dims"):
        return places.unproven()
    new = tuple(axis(OTHER, size or 1) for size in operation.inputs[1].shape)
    return places._replace(axes=(*places.axes[:position], *new, *places.axes[position + 1 :]))


SLICING_RULES: dict[str, Rule] = {
    "StridedSlice": _strided_slice,
    "Slice": _slice,
    "ReverseV2": _reverse,
    "GatherV2": _gather,
}
