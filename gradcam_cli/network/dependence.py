"""Which tensors of a traced graph depend on a tensor, and which a tensor depends on."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_SHAPES = frozenset("Shape ShapeN Size Rank".split())


def tensors_downstream(*tensors: tf.Tensor) -> set[Any]:
    """Return the references of all tensors of the graph that depend on any of some tensors, these included."""
    downstream = {tensor.ref() for tensor in tensors}
    for operation in tensors[0].graph.get_operations():
        if any(tensor.ref() in downstream for tensor in operation.inputs):
            downstream.update(tensor.ref() for tensor in operation.outputs)
    return downstream


def depends_around(y: tf.Tensor, x: tf.Tensor, tensor: tf.Tensor) -> bool:
    """Return whether y depends on x also by paths that do not pass a tensor; a dependence on shapes does not count."""
    reached = {x.ref()}
    for operation in x.graph.get_operations():
        if operation.type not in _SHAPES and any(each.ref() in reached for each in operation.inputs):
            reached.update(each.ref() for each in operation.outputs if each.ref() != tensor.ref())
    return y.ref() in reached


def tensors_upstream(y: tf.Tensor) -> set[Any]:
    """Return the references of all tensors that y depends on, y included."""
    upstream, pending = set(), [y]
    while pending:
        tensor = pending.pop()
        if tensor.ref() not in upstream:
            upstream.add(tensor.ref())
            pending += tensor.op.inputs
    return upstream
