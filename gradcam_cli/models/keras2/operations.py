"""Operations on tensors in files of Keras 2 as operations of Keras 3.

Keras 2 stored `tf.math.add(x, y)` in a functional model as a layer `TFOpLambda` with the function's name, and
`x[:, 1:]` as a layer `SlicingOpLambda`. The first argument is in the node, all others are in its keyword arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradcam_cli.errors import ModelError
from gradcam_cli.models.keras2.nodes import UNKNOWN_HINT, argument, call, first_and_others, tensor

OPERATION_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
"""Class names of operations in files of Keras 2."""
_NUMPY, _NN = "keras.src.ops.numpy", "keras.src.ops.nn"


class Operation(NamedTuple):
    """An operation of Keras 3.

    Attributes:
        module: its module.
        name: its class.
        inputs: names of the arguments of TensorFlow that are tensors or constants, in the order of Keras's.
        settings: Keras's argument of the operation for each other argument of TensorFlow, with its default value;
            a name that begins with `=` is an argument that must have the default value.
    """

    module: str
    name: str
    inputs: tuple[str, ...] = ()
    settings: dict[str, tuple[str, Any]] = {}  # noqa: RUF012  # read only


_REDUCTION: dict[str, tuple[str, Any]] = {"axis": ("axis", None), "keepdims": ("keepdims", False)}
_BINARY = {"math.add": "Add", "math.subtract": "Subtract", "math.multiply": "Multiply", "math.truediv": "TrueDivide"}
_OPERATORS = {"add": "Add", "sub": "Subtract", "mul": "Multiply", "truediv": "TrueDivide", "pow": "Power"}
_UNARY = {"math.abs": "Abs", "math.sqrt": "Sqrt", "math.square": "Square", "math.exp": "Exp", "math.log": "Log"}
_REDUCTIONS = {"math.reduce_mean": "Mean", "math.reduce_sum": "Sum", "math.reduce_max": "Max", "math.reduce_min": "Min"}
_ACTIVATIONS = {"nn.relu": "Relu", "nn.relu6": "Relu6", "math.sigmoid": "Sigmoid", "nn.sigmoid": "Sigmoid"}
_ACTIVATIONS |= {"nn.silu": "Silu", "nn.swish": "Silu", "nn.elu": "Elu", "nn.selu": "Selu", "math.softplus": "Softplus"}

OPERATIONS: dict[str, Operation] = {
    **{name: Operation(_NUMPY, kind, ("y",)) for name, kind in _BINARY.items()},
    **{f"__operators__.{name}": Operation(_NUMPY, kind, ("y",)) for name, kind in _OPERATORS.items()},
    "math.maximum": Operation(_NUMPY, "Maximum", ("y",)),
    "math.minimum": Operation(_NUMPY, "Minimum", ("y",)),
    "math.pow": Operation(_NUMPY, "Power", ("y",)),
    "math.negative": Operation(_NUMPY, "Negative"),
    "math.tanh": Operation(_NUMPY, "Tanh"),
    "nn.tanh": Operation(_NUMPY, "Tanh"),
    **{name: Operation(_NUMPY, kind) for name, kind in _UNARY.items()},
    **{name: Operation(_NN, kind) for name, kind in _ACTIVATIONS.items()},
    **{name: Operation(_NUMPY, kind, (), _REDUCTION) for name, kind in _REDUCTIONS.items()},
    "nn.softmax": Operation(_NN, "Softmax", (), {"axis": ("axis", -1)}),
    "nn.bias_add": Operation(_NUMPY, "Add", ("bias",), {"data_format": ("=data_format", None)}),
    "reshape": Operation(_NUMPY, "Reshape", (), {"shape": ("newshape", None)}),
    "transpose": Operation(_NUMPY, "Transpose", (), {"perm": ("axes", None), "conjugate": ("=conjugate", False)}),
    "expand_dims": Operation(_NUMPY, "ExpandDims", (), {"axis": ("axis", -1)}),
    "squeeze": Operation(_NUMPY, "Squeeze", (), {"axis": ("axis", None)}),
    "clip_by_value": Operation(
        _NUMPY, "Clip", (), {"clip_value_min": ("x_min", None), "clip_value_max": ("x_max", None)}
    ),
    "cast": Operation("keras.src.ops.core", "Cast", (), {"dtype": ("dtype", None)}),
}
"""The operation of Keras 3 for each function of TensorFlow."""


def translate_operation(layer: dict[str, Any]) -> None:
    """Replace a layer `TFOpLambda` or `SlicingOpLambda` by an operation of Keras 3, in place.

    Raises:
        ModelError: Keras 3 has no such operation, or it has arguments that cannot be translated.
    """
    config = layer.get("config")
    function = config.get("function") if isinstance(config, dict) else None
    nodes = layer.get("inbound_nodes")
    if not isinstance(function, str) or not isinstance(nodes, list) or not nodes:
        raise ModelError("an operation of Keras 2 has no function or no input")
    if function == "__operators__.getitem":
        translated = [call(_slice_node(node)) for node in nodes]
        module, name = _NUMPY, "GetItem"
        settings: dict[str, Any] = {}
    elif function in ("concat", "stack"):
        module, name = _NUMPY, {"concat": "Concatenate", "stack": "Stack"}[function]
        settings, translated = _joined(function, nodes)
    else:
        module, name, settings, translated = _known(function, nodes)
    layer.update(
        module=module,
        class_name=name,
        registered_name=name,
        config={"name": layer.get("name") or config.get("name"), **settings},  # type: ignore[union-attr]
        inbound_nodes=translated,
    )


def _known(function: str, nodes: Sequence[Any]) -> tuple[str, str, dict[str, Any], list[dict[str, Any]]]:
    operation = OPERATIONS.get(function)
    if operation is None:
        raise ModelError(f"the operation tf.{function} of Keras 2 has no counterpart here", UNKNOWN_HINT)
    settings: list[dict[str, Any]] = []
    calls = []
    for node in nodes:
        first, arguments = first_and_others(node)
        inputs = [first, *(argument(arguments.pop(name)) for name in operation.inputs if name in arguments)]
        if len(inputs) != 1 + len(operation.inputs):
            raise ModelError(f"the operation tf.{function} of Keras 2 has not {1 + len(operation.inputs)} inputs")
        settings.append(_settings(function, operation, arguments))
        calls.append(call(inputs))
    if any(found != settings[0] for found in settings):
        raise ModelError(f"the operation tf.{function} of Keras 2 is called with several settings", UNKNOWN_HINT)
    return operation.module, operation.name, settings[0], calls


def _settings(function: str, operation: Operation, arguments: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, (target, default) in operation.settings.items():
        value = arguments.pop(name, default)
        if not target.startswith("="):
            found[target] = value
        elif value not in (default, "N...C", "NHWC"):
            raise ModelError(f"tf.{function}: {name}={value!r} has no counterpart in Keras 3", UNKNOWN_HINT)
    unknown = sorted(name for name, value in arguments.items() if name != "name" and value is not None)
    if unknown:
        raise ModelError(f"tf.{function}: the argument {unknown[0]} has no counterpart here", UNKNOWN_HINT)
    return found


def _joined(function: str, nodes: Sequence[Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
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
    parts = [_slice_part(part) for part in (spec if isinstance(spec, list) else [spec])]
    return [first, {"class_name": "__tuple__", "items": parts}]


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
