"""Check of a model's configuration before Keras creates objects from it.

Keras resolves every name that it exports, and calls what it finds. This check allows only the classes and functions
that `keras_names` lists, and constants of limited size. It needs neither Keras nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gradcam_cli.errors import ModelError
from gradcam_cli.models import keras_names
from gradcam_cli.models.keras_names import (
    ACTIVATION,
    ACTIVATION_LAYERS,
    CONSTRAINT,
    INITIALIZER,
    LAYER,
    LAYER_FUNCTIONS,
    OPERATION,
    REGULARIZER,
)

MAX_LAYERS = 10_000
"""Limit of the number of layers, and of their calls; the largest model in `keras.applications` has 1,041 layers."""
MAX_CONSTANT_ELEMENTS = 1_000_000
"""Limit of the number of elements of all constant tensors in a configuration."""
MAX_FIXED_BATCH = 1024
"""Limit of a batch size that the model file fixes."""

TRUST_HINT = "if you trust its source, add --allow-unsafe-model"
CUSTOM_HINT = (
    "name the installed package that registers its classes with --import PACKAGE, or load the model in Python and pass "
    "it to gradcam_cli.explain; --allow-unsafe-model skips this check, for files from a source that you trust"
)

_DTYPES = frozenset(
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64".split()
)
_KINDS_BY_SUFFIX = {"initializer": INITIALIZER, "regularizer": REGULARIZER, "constraint": CONSTRAINT}
_CONSTANTS = {"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__bytes__"}
_CONTAINERS = {"__slice__", "__tuple__", "TensorShape"}


class RegisteredNames(NamedTuple):
    """The names that are registered with Keras in this process.

    Attributes:
        allowed: registered by this package, or by packages that the user has named.
        other: all others.
    """

    allowed: frozenset[str] = frozenset()
    other: frozenset[str] = frozenset()


def registered_names(registry: Mapping[str, Any], packages: Iterable[str]) -> RegisteredNames:
    """Divide the registered names by the package that defines the class or function.

    Args:
        registry: `keras.saving.get_custom_objects()`.
        packages: import names of packages, such as `gradcam_cli`.
    """
    trusted = set(packages)
    allowed = {name for name, item in registry.items() if getattr(item, "__module__", "").split(".")[0] in trusted}
    return RegisteredNames(frozenset(allowed), frozenset(registry) - allowed)


class _Value(NamedTuple):
    """A value of the configuration: the key that holds it, and whether it is inside the arguments of a layer call."""

    key: str
    value: Any
    in_call: bool


class _Check:
    """State of the check of one file: names, and numbers of layers and constants."""

    def __init__(self, registered: RegisteredNames) -> None:
        self.registered = registered
        self.layers = 0
        self.calls = 0
        self.elements = 0

    def visit(self, item: _Value) -> Iterator[_Value]:
        """Check one value and yield the values inside it that remain to be checked."""
        value = item.value
        if isinstance(value, str):
            _require(value not in self.registered.other, f"the value {value!r} names a custom class or function")
        elif isinstance(value, list):
            yield from (_Value(item.key, part, item.in_call) for part in value)
        elif isinstance(value, dict):
            if "inbound_nodes" in value:
                self._count_calls(value)
            if "class_name" in value:
                yield from self._visit_object(item)
            else:
                yield from _items(value, item.in_call)

    def _visit_object(self, item: _Value) -> Iterator[_Value]:
        value = item.value
        value.pop("compile_config", None)
        name, config = value["class_name"], value.get("config")
        _require(isinstance(name, str), f"expected a class name, got {type(name).__name__}")
        if name in _CONSTANTS:
            self._check_constant(name, config)
            return
        if name in _CONTAINERS:
            yield from _items(value, in_call=True)
            return
        _require(not item.in_call, f"a layer is called with an object of class {name}")
        kinds = self._kinds(value)
        _check_use(item.key, name, kinds)
        if kinds & {LAYER, OPERATION}:
            self.layers += 1
            _require(self.layers <= MAX_LAYERS, f"expected at most {MAX_LAYERS:,} layers, got more")
        if isinstance(config, dict):
            _check_arguments(name, config, legacy="module" not in value)
        yield from _items(value, in_call=False)

    def _kinds(self, value: dict[str, Any]) -> frozenset[str]:
        """Return the kinds of an allowed object; raise ModelError for any other."""
        name, registered, config = value["class_name"], value.get("registered_name"), value.get("config")
        function = name == "function"
        names = {name, registered} | ({config} if isinstance(config, str) else set())
        module = value.get("module")
        _require(module is None or isinstance(module, str), f"expected a module name, got {type(module).__name__}")
        _require(registered is None or isinstance(registered, str), f"class {name} has no valid registered name")
        if function:
            _require(isinstance(config, str), "a function has no name")
            name = config
        path, custom = _path(module, name), names & self.registered.other
        _require(not custom, f"{path} is a custom class or function", CUSTOM_HINT)
        if self._is_registered(value):
            return frozenset([ACTIVATION if function else LAYER])
        kinds = keras_names.classify("keras.activations" if function and module == "builtins" else module, name)
        if not kinds or (function != (ACTIVATION in kinds)):
            reason = keras_names.refusal(module, name)
            raise ModelError(f"{path} {reason or 'is not a known part of a Keras model'}", _hint(reason))
        _require(registered in (None, name), f"{path} is registered as {registered!r}")
        return kinds

    def _is_registered(self, value: dict[str, Any]) -> bool:
        """Whether Keras resolves an object to an allowed custom class, in files of Keras 2 by the class name alone.

        A function is resolved by its configuration, which is its registered name.
        """
        name, registered = value["class_name"], value.get("registered_name")
        if name == "function":
            return value.get("config") in self.registered.allowed
        if value.get("module") is None:
            return name in self.registered.allowed and registered in (None, name)
        return registered in self.registered.allowed and registered.rpartition(">")[2] == name

    def _check_constant(self, name: str, config: Any) -> None:
        if name not in ("__tensor__", "__numpy__"):
            return
        dtype = config.get("dtype") if isinstance(config, dict) else None
        _require(dtype in _DTYPES, f"expected a constant tensor of numbers, got dtype {dtype!r}")
        for number in parts(config.get("value")):
            if isinstance(number, list):
                continue
            _require(isinstance(number, (int, float)), "expected a constant tensor of numbers")
            self.elements += 1
            _require(
                self.elements <= MAX_CONSTANT_ELEMENTS,
                f"expected constant tensors with at most {MAX_CONSTANT_ELEMENTS:,} elements, got more",
            )

    def _count_calls(self, layer: dict[str, Any]) -> None:
        nodes = layer["inbound_nodes"]
        _require(isinstance(nodes, list), "expected a list of calls of a layer")
        self.calls += len(nodes)
        _require(self.calls <= MAX_LAYERS, f"expected at most {MAX_LAYERS:,} calls of layers, got more")
        for node in nodes:
            if isinstance(node, dict):
                objects = (part for part in parts(node) if isinstance(part, dict))
                called = any(part.get("class_name") == "__keras_tensor__" for part in objects)
            else:
                called = bool(node)
            _require(called, f"layer {layer.get('name')!r} is called without the output of a layer")


def check_config(config: Any, registered: RegisteredNames = RegisteredNames()) -> None:  # noqa: B008  # immutable
    """Check the configuration of a model, and remove the training settings (`compile_config`) from it.

    Args:
        config: the parsed `config.json` of a `.keras` file or `model_config` of an `.h5` file; changed in place.
        registered: names of custom classes.

    Raises:
        ModelError: it names a class or function that is not allowed, or exceeds a limit.
    """
    described = isinstance(config, dict) and "class_name" in config and isinstance(config.get("config"), (dict, list))
    _require(described, "its configuration does not describe a model", None)
    check, remaining = _Check(registered), [_Value("", config, False)]
    while remaining:  # not recursive: the nesting of a file is not limited
        remaining.extend(check.visit(remaining.pop()))


def _items(value: dict[str, Any], in_call: bool) -> Iterator[_Value]:
    for key, part in value.items():
        if not (isinstance(part, str) and key in ("class_name", "module", "registered_name", "name")):
            yield _Value(key, part, in_call or key == "inbound_nodes")


def _check_use(key: str, name: str, kinds: frozenset[str]) -> None:
    """Raise ModelError if an object is used as another kind of object, such as a layer as an initializer."""
    suffix = key.rpartition("_")[2]
    if suffix in _KINDS_BY_SUFFIX:
        _require(_KINDS_BY_SUFFIX[suffix] in kinds, f"{key}: {name} is not {_with_article(suffix)}")
    elif suffix == "activation":
        _require(ACTIVATION in kinds or name in ACTIVATION_LAYERS, f"{key}: {name} is not an activation")
    else:
        _require(ACTIVATION not in kinds, f"{key}: expected an object, got the function {name}")


def _check_arguments(name: str, config: dict[str, Any], *, legacy: bool) -> None:
    """Raise ModelError for arguments that take time or memory out of proportion to the file."""
    _require(config.get("unroll") is not True, f"{name}: unroll=True adds a copy of the layer for each time step")
    for key in ("batch_shape", "batch_input_shape"):
        batch = next(iter(config[key]), None) if isinstance(config.get(key), list) else None
        if isinstance(batch, int):
            _require(batch <= MAX_FIXED_BATCH, f"{name}: expected a batch size of at most {MAX_FIXED_BATCH:,}")
    if legacy:
        functions = [value for key, value in config.items() if key != "name" and isinstance(value, str)]
        for value in LAYER_FUNCTIONS.intersection(functions):
            raise ModelError(f"{name}: the value {value!r} names a function of Keras", TRUST_HINT)


def parts(value: Any) -> Iterator[Any]:
    """Yield a JSON value and all values inside it, the outer ones first."""
    remaining = [value]
    while remaining:
        part = remaining.pop()
        yield part
        remaining.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())


def _path(module: str | None, name: str) -> str:
    return f"{module}.{name}" if module else name


def _hint(reason: str | None) -> str:
    return TRUST_HINT if reason else CUSTOM_HINT


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun.startswith("i") else f"a {noun}"


def _require(condition: bool, message: str, hint: str | None = TRUST_HINT) -> None:
    if not condition:
        raise ModelError(message, hint)
