"""The graph of a functional model of Keras 2: the calls of its layers, its inputs and its outputs."""

from __future__ import annotations

from typing import Any

from gradcam_cli.models.keras2.nodes import is_reference, translate_node
from gradcam_cli.models.keras2.operations import OPERATION_LAYERS, translate_operation


def translate_graph(config: dict[str, Any]) -> None:
    """Translate the calls, inputs and outputs of a functional model, in place.

    Raises:
        ModelError: a call cannot be read, or an operation is unknown.
    """
    listed = config.get("layers")
    layers = [layer for layer in listed if isinstance(layer, dict)] if isinstance(listed, list) else []
    sequential = {layer.get("name") for layer in layers if layer.get("class_name") == "Sequential"}
    models = sequential | {layer.get("name") for layer in layers if layer.get("class_name") in ("Functional", "Model")}
    for layer in layers:
        nodes = layer.get("inbound_nodes")
        if isinstance(nodes, list):
            _shift_calls(nodes, models)
            if layer.get("class_name") in OPERATION_LAYERS:
                translate_operation(layer)
            else:
                layer["inbound_nodes"] = [translate_node(node) if isinstance(node, list) else node for node in nodes]
    for key in ("input_layers", "output_layers"):
        _shift_calls(config.get(key), sequential)  # Keras 3 shifts those of functional models itself
        config[key] = _without_list(config.get(key))


def _shift_calls(value: Any, names: set[Any]) -> None:
    """Count the calls of models from 0 in all references: in Keras 2, call 0 was that of the model itself."""
    remaining = [value]
    while remaining:
        part = remaining.pop()
        if is_reference(part):
            if part[0] in names and part[1] > 0:
                part[1] -= 1
            remaining.extend(part[3:])
        elif isinstance(part, list):
            remaining.extend(part)
        elif isinstance(part, dict):
            remaining.extend(part.values())


def _without_list(tensors: Any) -> Any:
    """Return the only input or output without its list: Keras 2 wrote lists, and models without them."""
    return tensors[0] if isinstance(tensors, list) and len(tensors) == 1 and is_reference(tensors[0]) else tensors
