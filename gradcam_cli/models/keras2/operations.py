"""Operations on tensors in files of Keras 2 as operations of Keras 3.

Keras 2 stored `tf.math.add(x, y)` in a functional model as a layer `TFOpLambda` with the function's name, and
`x[:, 1:]` as a layer `SlicingOpLambda`. The first argument is in the node, all others are in its keyword arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcam_cli.errors import ModelError
from gradcam_cli.models.keras2.nodes import UNKNOWN_HINT, argument, call, first_and_others, tensor
from gradcam_cli.models.keras2.operation_table import NUMPY, OPERATIONS, Operation

OPERATION_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
"""Class names of operations in files of Keras 2."""
_JOINED = {"concat": "Concatenate", "stack": "Stack"}
Settings = dict[str, Any]


def translate_operation(layer: dict[str, Any]) -> None:
    """Replace a layer `TFOpLambda` or `SlicingOpLambda` by an operation of Keras 3, in place.

    Raises:
        ModelError: Keras 3 has no such operation, or it has arguments that cannot be translated.
    """
    config = layer.get("config")
    function = config.get("function") if isinstance(config, dict) else None
    nodes = layer.get("inbound_nodes")
    if not isinstance(config, dict) or not isinstance(function, str) or not isinstance(nodes, list) or not nodes:
        raise ModelError("an operation of Keras 2 has no function or no input")
    module, settings = NUMPY, Settings()
    if function == "__operators__.getitem":
        name, translated = "GetItem", [call(_slice_node(node)) for node in nodes]
    elif function in _JOINED:
        name = _JOINED[function]
        settings, translated = _joined(function, nodes)
    elif function in OPERATIONS:
        module, name = OPERATIONS[function][:2]
        settings, translated = _known(function, OPERATIONS[function], nodes)
    else:
        raise ModelError(f"the operation tf.{function} of Keras 2 has no counterpart here", UNKNOWN_HINT)
    layer.update(
        module=module,
        class_name=name,
        registered_name=None if module == "keras.layers" else name,
        config={"name": layer.get("name") or config.get("name"), **settings},
        inbound_nodes=translated,
    )


def _known(function: str, operation: Operation, nodes: Sequence[Any]) -> tuple[Settings, list[dict[str, Any]]]:
    """Return the settings and the calls of an operation of the table."""
    settings, calls = [], []
    for node in nodes:
        first, arguments = first_and_others(node)
        inputs = [first, *(argument(arguments.pop(name)) for name in operation.inputs if name in arguments)]
        if len(inputs) != 1 + len(operation.inputs):
            raise ModelError(f"the operation tf.{function} of Keras 2 has not {1 + len(operation.inputs)} inputs")
        settings.append(_settings(function, operation, arguments))
        calls.append(call(inputs))
    if any(found != settings[0] for found in settings):
        raise ModelError(f"the operation tf.{function} of Keras 2 is called with several settings", UNKNOWN_HINT)
    return settings[0], calls


def _settings(function: str, operation: Operation, arguments: dict[str, Any]) -> Settings:
    found = Settings(operation.fixed)
    for name, setting in operation.settings.items():
        value = arguments.pop(name, setting.default)
        try:
            found[setting.name] = setting.convert(value)
        except (TypeError, ValueError, KeyError):
            raise ModelError(f"tf.{function}: {name}={value!r} has no counterpart in Keras 3", UNKNOWN_HINT) from None
    for name, neutral in operation.neutral.items():
        if (value := arguments.pop(name, None)) not in (None, *neutral):
            raise ModelError(f"tf.{function}: {name}={value!r} has no counterpart in Keras 3", UNKNOWN_HINT)
    unknown = sorted(name for name, value in arguments.items() if name != "name" and value is not None)
    if unknown:
        raise ModelError(f"tf.{function}: the argument {unknown[0]} has no counterpart here", UNKNOWN_HINT)
    return found


def _joined(function: str, nodes: Sequence[Any]) -> tuple[Settings, list[dict[str, Any]]]:
    """Return the axis and the calls of an operation on a list of tensors."""
    axes, calls = set(), []
    for node in nodes:
        if not isinstance(node, list) or not all(isinstance(part, list) and len(part) in (3, 4) for part in node):
            raise ModelError(f"tf.{function}: its inputs cannot be read")
        arguments: dict[str, Any] = next((part[3] for part in node if len(part) == 4 and part[3]), {})
        axes.add(arguments.get("axis", 0))
        calls.append(call([[tensor(part) for part in node]]))
    if len(axes) != 1:
        raise ModelError(f"tf.{function} is called with several axes", UNKNOWN_HINT)
    return {"axis": axes.pop()}, calls


def _slice_node(node: Any) -> list[Any]:
    first, arguments = first_and_others(node)
    spec = arguments.get("slice_spec")
    return [first, [_slice_part(part) for part in (spec if isinstance(spec, list) else [spec])]]


def _slice_part(part: Any) -> Any:
    """Return a part of a slice: an index, `...`, or start, stop and step."""
    if isinstance(part, dict) and {"start", "stop", "step"} <= part.keys():
        bounds = {name: part[name] for name in ("start", "stop", "step")}
        if all(value is None or isinstance(value, int) for value in bounds.values()):
            return {"class_name": "__slice__", "config": bounds}
    elif isinstance(part, dict) and part.get("class_name") == "__ellipsis__":
        return {"class_name": "__ellipsis__", "config": {}}
    elif isinstance(part, int):
        return part
    raise ModelError("a slice of Keras 2 depends on a tensor", UNKNOWN_HINT)
