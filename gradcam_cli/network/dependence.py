"""Which tensors of a traced graph depend on a tensor, and which a tensor depends on."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def tensors_downstream(*tensors: tf.Tensor) -> set[Any]:
    """Return the references of all tensors of the graph that depend on any of some tensors, these included."""
    downstream = {tensor.ref() for tensor in tensors}
    for operation in tensors[0].graph.get_operations():
        if any(tensor.ref() in downstream for tensor in operation.inputs):
            downstream.update(tensor.ref() for tensor in operation.outputs)
    return downstream


def tensors_upstream(y: tf.Tensor) -> set[Any]:
    """Return the references of all tensors that y depends on, y included."""
    upstream, pending = set(), [y]
    while pending:
        tensor = pending.pop()
        if tensor.ref() not in upstream:
            upstream.add(tensor.ref())
            pending += tensor.op.inputs
    return upstream
