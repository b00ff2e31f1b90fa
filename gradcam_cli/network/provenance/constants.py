"""Values of tensors in a traced graph that depend only on constants: shapes, paddings, conditions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

MAX_DEPTH, MAX_ELEMENTS = 30, 10_000_000


def constant_value(tensor: tf.Tensor, known: Mapping[Any, np.ndarray], depth: int = 0) -> Any:
    """Return the value, an array, of a small tensor that depends only on constants and static shapes, or None.

    Args:
        tensor: a tensor of a graph.
        known: values of placeholders, by `tensor.ref()`.
        depth: number of operations between the tensor and the one whose value is needed.
    """
    value = known.get(tensor.ref()) if tensor.ref() in known else tf.get_static_value(tensor)
    if value is not None or depth > MAX_DEPTH:
        return value
    operation = tensor.op
    if operation.type in ("Placeholder", "ReadVariableOp") or not operation.inputs or len(operation.outputs) != 1:
        return None
    if operation.type in ("Shape", "Size") and not operation.inputs[0].shape.is_fully_defined():
        return None
    inputs = [constant_value(each, known, depth + 1) for each in operation.inputs]
    if any(each is None for each in inputs):
        return None
    if operation.type == "Fill" and np.prod(inputs[0]) > MAX_ELEMENTS:
        return None
    return _evaluate(operation, inputs)


def _evaluate(operation: Any, inputs: list[Any]) -> np.ndarray | None:
    """Run a single operation on constants."""
    function = getattr(tf.raw_ops, operation.type, None)
    if function is None:
        return None
    names = [argument.name for argument in operation.op_def.input_arg]
    lists = [argument.number_attr for argument in operation.op_def.input_arg]
    arguments = dict(zip(names, [inputs] if lists[0] else inputs, strict=False))
    accepted = inspect.signature(function).parameters
    attributes = {entry.name: operation.get_attr(entry.name) for entry in operation.op_def.attr}
    arguments |= {name: value for name, value in attributes.items() if name in accepted}
    try:
        with tf.init_scope():
            result: np.ndarray = function(**arguments).numpy()
    except Exception:  # an operation that does not run outside its graph
        return None
    return result


def function_body(operation: Any, attribute: str = "f") -> Any:
    """Return the graph of the function that an operation calls, or None."""
    try:
        name = operation.get_attr(attribute).name
        return getattr(operation.graph._get_function(name), "graph", None)
    except (ValueError, AttributeError):
        return None
