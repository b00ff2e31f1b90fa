"""Paths through a traced graph, and the recomputation of its end from another tensor."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gradcam_cli.network.dependence import tensors_downstream, tensors_upstream


def operations_between(start: tf.Tensor, end: tf.Tensor) -> list[Any]:
    """Return the operations on all paths from one tensor to another, without that of `start`, in their order."""
    on_paths = tensors_downstream(start) & tensors_upstream(end)
    operations = start.graph.get_operations()
    return [op for op in operations if op is not start.op and any(tensor.ref() in on_paths for tensor in op.outputs)]


def bottlenecks(start: tf.Tensor, end: tf.Tensor) -> list[tf.Tensor]:
    """Return the tensors that all paths from `start` to `end` pass, in their order."""
    between = operations_between(start, end)
    position = {operation: i for i, operation in enumerate(between)}
    result, furthest = [], 0
    for i, operation in enumerate([start.op, *between], -1):
        if i == furthest and len(operation.outputs) == 1 and operation.type != "Identity":
            result.append(operation.outputs[0])
        consumers = [consumer for tensor in operation.outputs for consumer in tensor.consumers()]
        furthest = max([furthest, *(position[consumer] for consumer in consumers if consumer in position)])
    return result


def recomputed(end: tf.Tensor, start: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Return `end` as the graph computes it with `value` in the place of `start`; operations are added to the graph."""
    between = set(operations_between(start, end))
    copied = tf.compat.v1.GraphDef(versions=tf.Graph().as_graph_def().versions)
    inputs: dict[str, tf.Tensor] = {}
    for operation in between:
        node = copied.node.add()
        node.CopyFrom(operation.node_def)
        node.attr.pop("_class", None)  # the colocation with an operation that is not copied
        node.input[:] = [tensor.name for tensor in operation.inputs]
        inputs |= {tensor.name: tensor for tensor in operation.inputs if tensor.op not in between}
    inputs = {name: value if tensor is start else tensor for name, tensor in inputs.items()}
    (result,) = tf.graph_util.import_graph_def(copied, input_map=inputs, return_elements=[end.name], name="recomputed")
    return result
