"""The type of a rule, and the rule for unknown operations.

A rule maps the places of an operation's inputs (None for an input that does not depend on the image) to those of its
outputs: one `Places` for all outputs, or one for each. A rule returns None if it does not know; then the places are
unproven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import OTHER, axis
from gradcam_cli.network.provenance.constants import constant_value, function_body
from gradcam_cli.network.provenance.places import Places


class State:
    """What is known about the tensors of a graph.

    Args:
        places: the places of its inputs that depend on the image, by `tensor.ref()`.
        constants: the values of its other inputs, as far as they are known.
    """

    def __init__(self, places: dict[Any, Places], constants: dict[Any, np.ndarray] | None = None) -> None:
        self._places, self._constants = dict(places), constants or {}

    def places(self, tensor: tf.Tensor) -> Places | None:
        """Return the places of a tensor, or None if it does not depend on the image."""
        return self._places.get(tensor.ref())

    def value(self, tensor: tf.Tensor) -> Any:
        """Return the value, an array, of a small tensor that does not depend on the image, or None if unknown."""
        return None if tensor.ref() in self._places else constant_value(tensor, self._constants)

    def update(self, tensors: Sequence[tf.Tensor], places: Sequence[Places | None]) -> None:
        """Add the places of the outputs of an operation."""
        self._places |= {tensor.ref(): each for tensor, each in zip(tensors, places, strict=False) if each}


Inputs = Sequence[Places | None]
Outputs = Places | Sequence[Places | None] | None
Rule = Callable[[Any, Inputs, State], Outputs]


WEIGHTED_SUMS = frozenset(
    "MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput "
    "Conv3DBackpropInputV2".split()
)
"""Operations that apply weights."""
LOOPS = ("While", "StatelessWhile")


def unknown(operation: Any, inputs: Inputs, _: State) -> list[Places]:
    """Keep the axes of an input whose shape differs at most in the channels; otherwise they are unknown. Unproven."""
    known = next((places for places in inputs if places and places.axes is not None), None)
    first = next(places for places in inputs if places is not None)
    learned = applies_weights(operation) or any(places.learned for places in inputs if places)
    results = []
    for tensor in operation.outputs:
        shape, axes = static_shape(tensor), None
        if known and known.axes and shape and [factors.size_of(a) for a in known.axes[:-1]] == list(shape[:-1]):
            axes = (*known.axes[:-1], axis(OTHER, shape[-1]))
        results.append((known or first)._replace(axes=axes, proven=False, learned=learned))
    return results


def applies_weights(operation: Any) -> bool:
    """Return whether an operation is a weighted sum, or a loop over weighted sums, as of a recurrent layer."""
    if operation.type not in LOOPS:
        return operation.type in WEIGHTED_SUMS
    body = function_body(operation, "body")
    return body is not None and any(inner.type in WEIGHTED_SUMS for inner in body.get_operations())


def static_shape(tensor: tf.Tensor) -> tuple[int, ...] | None:
    """Return the shape of a tensor, or None if a dimension is unknown."""
    return tuple(tensor.shape) if tensor.shape.is_fully_defined() else None


def rule_table(rules: dict[str, Rule]) -> dict[str, Rule]:
    """Return the rules by operation; a key names several operations, separated by spaces."""
    return {name: rule for names, rule in rules.items() for name in names.split()}
