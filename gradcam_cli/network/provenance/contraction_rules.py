"""How matrix products change the places of tensors: a product over channels keeps places, attention mixes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, LOCATED, OTHER, Axis, axis
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.rule import Inputs, Rule, State


def _matrix_product(operation: Any, inputs: Inputs, _: State) -> Places | None:
    """MatMul and BatchMatMul: the last two axes are a matrix each; earlier axes are paired."""
    ranks = [tensor.shape.rank for tensor in operation.inputs]
    if None in ranks:
        return None
    letters = "abcdefghij"[: max(ranks) - 2]
    prefix = "" if operation.type == "MatMul" else letters
    swapped = [operation.get_attr(name) for name in _transposition_names(operation.type)]
    terms = [
        prefix[len(prefix) - rank + 2 :] + (matrix[::-1] if swap else matrix)
        for rank, matrix, swap in zip(ranks, ("xy", "yz"), swapped, strict=True)
    ]
    return contracted(operation, inputs, terms, prefix + "xz")


def _transposition_names(kind: str) -> tuple[str, str]:
    return ("transpose_a", "transpose_b") if kind == "MatMul" else ("adj_x", "adj_y")


def _einsum(operation: Any, inputs: Inputs, _: State) -> Places | None:
    terms, _, result = operation.get_attr("equation").decode().partition("->")
    return None if "." in terms else contracted(operation, inputs, terms.split(","), result)


def contracted(operation: Any, inputs: Inputs, terms: Sequence[str], result: str) -> Places | None:
    """Return the places of an Einstein summation.

    An index that is summed over places mixes them: the result is then unproven.

    Args:
        operation: its inputs have static shapes.
        inputs: places of its inputs.
        terms: the indices of each input, one letter for each axis.
        result: the indices of the result.
    """
    known = [places for places in inputs if places is not None]
    if any(places.axes is None for places in known) or any(len(set(term)) < len(term) for term in terms):
        return None
    indices: dict[str, Axis] = {}
    for tensor, places, term in zip(operation.inputs, inputs, terms, strict=True):
        found = places.axes if places else tuple(axis(OTHER, size or 1) for size in tensor.shape)
        for letter, new in zip(term, found or (), strict=True):
            old = indices.get(letter, ())
            indices[letter] = old if factors.contains(old, (*LOCATED, BATCH)) or not new else new
    summed = [indices[letter] for letter in indices if letter not in result]
    mixed = any(factors.contains(found, (*LOCATED, BATCH)) for found in summed)
    first = next((places for places in known if places.is_located()), known[0])
    return first._replace(
        axes=tuple(indices[letter] for letter in result),
        proven=all(places.proven for places in known) and not mixed,
        learned=True,
    )


CONTRACTION_RULES: dict[str, Rule] = {
    "MatMul": _matrix_product,
    "BatchMatMul": _matrix_product,
    "BatchMatMulV2": _matrix_product,
    "BatchMatMulV3": _matrix_product,
    "Einsum": _einsum,
}
