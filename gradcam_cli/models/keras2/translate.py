"""Translation of a configuration that Keras 2 wrote to one that Keras 3 reads.

It maps JSON values to JSON values and creates no object. The result is checked like any other configuration.
"""

from __future__ import annotations

from typing import Any

from gradcam_cli.errors import ModelError
from gradcam_cli.models.config_check import parts
from gradcam_cli.models.keras2.activations import HARD_SIGMOID
from gradcam_cli.models.keras2.graph import translate_graph
from gradcam_cli.models.keras2.operations import OPERATION_LAYERS
from gradcam_cli.models.keras2.removed_layers import PACKAGE
from gradcam_cli.models.keras_names import ALLOWED

Config = dict[str, Any]
LEGACY_HINT = "open it with the TensorFlow that wrote it, and save its architecture with Keras 3"

_MODULES = {
    "Functional": "keras.src.models.functional",
    "Model": "keras.src.models.functional",
    "Sequential": "keras",
}
"""Modules of Keras 3 of the models that Keras 2 wrote with modules of its own."""
_MOVED = dict.fromkeys(("RandomHeight", "RandomWidth", "ThresholdedReLU"), "keras._legacy.layers")
"""Modules of layers that Keras 3 keeps for old files."""
_REMOVED_LAYERS = ("LocallyConnected2D", "SyncBatchNormalization", "BatchNormalization")
"""Layers that Keras 3 does not have, or not in all their forms; see `removed_layers`."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "sparse": (False,),
    "ragged": (False,),
    "batch_input_shape": (),
    "time_major": (False,),
    "fused": (True, False, None),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "renorm_momentum": (0.99,),
    "virtual_batch_size": (None,),
    "implementation": (0, 1, 2),
}
"""Arguments that Keras 3 does not have, with the values that change nothing; an empty tuple stands for any."""
_ONE_GROUP = {"DepthwiseConv2D", "DepthwiseConv1D", "SeparableConv2D", "SeparableConv1D"}
_ONE_GROUP |= {"Conv1DTranspose", "Conv2DTranspose"}
_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_REMOVED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), ("filters", *_KERNEL)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _KERNEL),
    **dict.fromkeys((f"SpatialDropout{rank}D" for rank in (1, 2, 3)), ("trainable", "noise_shape")),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
}
"""Arguments that Keras 3 does not have or need, by layer."""
_RENAMED = {("LeakyReLU", "alpha"): "negative_slope", ("InputLayer", "batch_input_shape"): "batch_shape"}


def is_keras2(config: Any, version: str = "") -> bool:
    """Return whether Keras 2 wrote a configuration: by its version, or because Keras 3 has no `batch_input_shape`."""
    return version.startswith(("1.", "2.")) or any(
        "batch_input_shape" in part or part.get("class_name") in OPERATION_LAYERS for part in _objects(config)
    )


def translate(config: Config) -> Config:
    """Translate a configuration in place, and return it.

    Raises:
        ModelError: it contains what Keras 3 cannot express.
    """
    for part in _objects(config):
        if isinstance(part.get("class_name"), str):
            _translate_object(part)
    return config


def _objects(config: Any) -> list[Config]:
    """Return all JSON objects, the outer ones first."""
    return [part for part in parts(config) if isinstance(part, dict)]


def _translate_object(item: Config) -> None:
    name, config = item["class_name"], item.get("config")
    if name in _MODULES:
        item["module"] = _MODULES[name]
        item["class_name"] = "Functional" if name == "Model" and _is_functional(config) else name
        if name == "Sequential":
            _translate_sequential(item)
        elif isinstance(config, dict):
            translate_graph(config)
    elif name in _REMOVED_LAYERS and isinstance(config, dict):
        _translate_removed(item, config)
    elif name == "RandomCrop" and isinstance(config, dict):  # it resizes the center if the model does not train
        item["class_name"] = name = "Resizing"
        config.pop("seed", None)
        config["crop_to_aspect_ratio"] = True
    if isinstance(config, dict) and ("name" in config or name == "InputLayer"):
        translated = str(item.get("module")).startswith(("keras.src.ops.", PACKAGE))
        if not translated and (name in _MOVED or f"keras.layers.{name}" in ALLOWED):
            item["module"] = _MOVED.get(name, "keras.layers")
        _translate_layer(name, config)
        item.pop("build_config", None)
    elif isinstance(config, dict) and "initializer" not in name.lower():
        config.pop("dtype", None)  # of an initializer of TensorFlow 1


def _is_functional(config: Any) -> bool:
    return isinstance(config, dict) and "input_layers" in config


def _translate_sequential(item: Config) -> None:
    """Give a model whose first layer has the shape of its input an input layer."""
    config = item.get("config")
    if isinstance(config, list):  # Keras before 2.2.3
        config = item["config"] = {"name": "sequential", "layers": config}
    layers = config.get("layers") if isinstance(config, dict) else None
    first = layers[0] if isinstance(layers, list) and layers else None
    if not isinstance(first, dict) or first.get("class_name") == "InputLayer":
        return
    own = first.get("config")
    shape = own.get("batch_input_shape") if isinstance(own, dict) else None
    if shape and isinstance(layers, list):
        name = f"{own.get('name', 'layer')}_input"  # type: ignore[union-attr]  # a dict: it has a shape
        layers.insert(0, {"class_name": "InputLayer", "config": {"batch_shape": shape, "name": name}})


def _translate_layer(name: str, config: Config) -> None:
    if isinstance(config.get("name"), str):
        config["name"] = config["name"].replace("/", "_")
    for old, new in ((old, new) for (kind, old), new in _RENAMED.items() if kind == name and old in config):
        config[new] = config.pop(old)
    for key in _NEUTRAL.keys() & config.keys():
        _drop(name, config, key, _NEUTRAL[key])
    if name in _ONE_GROUP:
        _drop(name, config, "groups", (1,))
    for key in _REMOVED.get(name, ()):
        config.pop(key, None)
    for key, value in config.items():
        if key.endswith("activation") and value == "hard_sigmoid":
            config[key] = {
                "module": "gradcam_cli",
                "class_name": "function",
                "config": HARD_SIGMOID,
                "registered_name": HARD_SIGMOID,
            }
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = _dtype(name, config["dtype"])


def _translate_removed(item: Config, config: Config) -> None:
    """Name the class of `removed_layers` for a layer that Keras 3 does not have; other normalizations stay."""
    name = item["class_name"]
    if name == "LocallyConnected2D":
        for key in ("padding", "data_format", "implementation"):
            _drop(name, config, key, {"padding": ("valid",), "implementation": (1,)}.get(key, ("channels_last",)))
        for key in [key for key in config if key.endswith(("_initializer", "_regularizer", "_constraint"))]:
            config.pop(key)
    elif isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    if name == "BatchNormalization":
        if not isinstance(config.get("axis"), list):
            return
        for key in config.keys() - {"name", "trainable", "dtype", "axis", "epsilon", "center", "scale"}:
            config.pop(key)
    item |= {"module": PACKAGE, "registered_name": f"{PACKAGE}>{name}"}


def _drop(name: str, config: Config, key: str, neutral: tuple[Any, ...]) -> None:
    value = config.pop(key, None)
    if neutral and value is not None and value not in neutral:
        raise ModelError(f"{name}: Keras 3 has no {key}={value!r}", LEGACY_HINT)


def _dtype(name: str, policy: Config) -> Any:
    """Return the name of a policy: `{"class_name": "Policy", "config": {"name": "mixed_float16"}}`."""
    config = policy.get("config")
    own = config.get("name") if isinstance(config, dict) else None
    if policy.get("class_name") in ("Policy", "PolicyV1") and isinstance(own, str):
        return own
    raise ModelError(f"{name}: unknown dtype policy {policy.get('class_name')!r}", LEGACY_HINT)
