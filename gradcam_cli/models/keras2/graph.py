"""The graph of a functional model of Keras 2: the calls of its layers, its inputs and its outputs."""

from __future__ import annotations

from typing import Any

from gradcam_cli.errors import ModelError
from gradcam_cli.models.config_check import parts
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
        if isinstance(layer.get("name"), str):
            layer["name"] = layer["name"].replace("/", "_")
        nodes = layer.get("inbound_nodes")
        if isinstance(nodes, list):
            _refuse_training(layer)
            _adapt_references(nodes, models)
            if layer.get("class_name") in OPERATION_LAYERS:
                translate_operation(layer)
            else:
                layer["inbound_nodes"] = [translate_node(node) if isinstance(node, list) else node for node in nodes]
    for key in ("input_layers", "output_layers"):
        _adapt_references(config.get(key), sequential)  # Keras 3 shifts those of functional models itself
        config[key] = _without_list(config.get(key))


def _refuse_training(layer: dict[str, Any]) -> None:
    """Raise ModelError if a layer is called with `training=True`, which Keras 3 ignores when a model predicts.

    The layers that only add noise in training are evaluated without it.
    """
    name = str(layer.get("class_name"))
    arguments = [part for part in parts(layer["inbound_nodes"]) if isinstance(part, dict)]
    training = any(part.get("training") is True for part in arguments)
    if training and not name.startswith("Random") and not name.endswith(("Dropout", "Noise")):
        raise ModelError(
            f"{name} {layer.get('name')} is called with training=True, which Keras 3 cannot express",
            "save a model that calls it with training=False",
        )


def _adapt_references(value: Any, names: set[Any]) -> None:
    """Adapt all references: Keras 3 has no `/` in names, and counts the calls of models from 0.

    In Keras 2, call 0 of a model was the model itself.
    """
    for part in filter(is_reference, parts(value)):
        if part[0] in names and part[1] > 0:
            part[1] -= 1
        part[0] = part[0].replace("/", "_")


def _without_list(tensors: Any) -> Any:
    """Return the only input or output without its list: Keras 2 wrote lists, and models without them."""
    return tensors[0] if isinstance(tensors, list) and len(tensors) == 1 and is_reference(tensors[0]) else tensors
