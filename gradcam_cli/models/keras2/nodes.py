"""The calls of layers in a functional model: lists in Keras 2, objects with arguments in Keras 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcam_cli.errors import ModelError

CONSTANT = "_CONSTANT_VALUE"
"""In the place of a layer's name: the first argument of an operation is a constant, as in `1 - x`."""
UNKNOWN_HINT = "open the file with the TensorFlow that wrote it, and replace the operation by a layer"


def translate_node(node: Any) -> dict[str, Any]:
    """Return a call of a layer as Keras 3 writes it.

    Args:
        node: `[["layer", node, output, arguments], ...]`: one or several tensors, and keyword arguments.

    Raises:
        ModelError: the node has another form.
    """
    parts = [node] if is_reference(node) else node
    if not isinstance(parts, list) or not parts or not all(map(is_reference, parts)):
        raise ModelError("a layer of Keras 2 has inputs that cannot be read", UNKNOWN_HINT)
    tensors = [tensor(part) for part in parts]
    arguments: dict[str, Any] = {}
    for part in parts:
        arguments |= part[3] if len(part) == 4 and isinstance(part[3], dict) else {}
    first = tensors[0] if len(tensors) == 1 else tensors
    kwargs = {name: tensor(value) if is_reference(value) else value for name, value in arguments.items()}
    return {"args": [first], "kwargs": kwargs}


def first_and_others(node: Any) -> tuple[Any, dict[str, Any]]:
    """Return the first argument of the call of an operation, and its keyword arguments.

    Raises:
        ModelError: the node has another form.
    """
    part: Any = node
    while isinstance(part, list) and len(part) == 1:
        part = part[0]
    if isinstance(part, list) and len(part) == 4 and part[0] == CONSTANT and isinstance(part[3], dict):
        return argument(part[2]), dict(part[3])
    if is_reference(part):
        arguments = part[3] if len(part) == 4 else {}
        if isinstance(arguments, dict):
            return tensor(part), dict(arguments)
    raise ModelError("an operation of Keras 2 has inputs that cannot be read", UNKNOWN_HINT)


def argument(value: Any) -> Any:
    """Return an argument: a tensor `["layer", node, output]`, a number, or a constant tensor."""
    if is_reference(value):
        return tensor(value)
    if isinstance(value, list):
        return {"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}}
    return value


def is_reference(value: Any) -> bool:
    """Return whether a value refers to the output of a layer: `["layer", node, output]`, with or without arguments."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and value[0] != CONSTANT
        and all(isinstance(index, int) for index in value[1:3])
    )


def tensor(reference: Sequence[Any]) -> dict[str, Any]:
    """Return a reference to the output of a layer as Keras 3 writes it."""
    history = [reference[0], reference[1], reference[2]]
    return {"class_name": "__keras_tensor__", "config": {"shape": [], "dtype": "float32", "keras_history": history}}


def call(arguments: list[Any]) -> dict[str, Any]:
    """Return the call of an operation with these arguments."""
    return {"args": arguments, "kwargs": {}}
