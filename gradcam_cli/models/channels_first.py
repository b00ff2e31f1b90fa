"""Model files with `channels_first`: their configuration is changed to `channels_last`, which also runs on CPUs.

The weights stay as they are: Keras stores the kernels of both formats in one order, and `Flatten` with
`channels_first` puts the channels last itself. Layers for which this is not certain are refused.
"""

from __future__ import annotations

from typing import Any

from gradcam_cli.errors import ModelError
from gradcam_cli.models.config_check import parts

_MODELS = frozenset({"Functional", "Sequential", "Model"})
_ANY_FORMAT = frozenset(
    """Activation ActivityRegularization Add AlphaDropout Average Dropout ELU GaussianDropout GaussianNoise Identity
    InputLayer LeakyReLU Maximum Minimum Multiply ReLU Subtract""".split()
)
"""Layers that treat all axes alike."""
_WITH_AXIS = frozenset({"BatchNormalization", "Concatenate", "GroupNormalization"})
_SHAPES = frozenset({"batch_shape", "input_shape", "build_input_shape", "shape"})
HINT = "rebuild the model with data_format='channels_last' and copy the weights"


def is_channels_first(config: Any) -> bool:
    """Return whether a layer of a configuration has the data format `channels_first`."""
    return any(part.get("data_format") == "channels_first" for part in parts(config) if isinstance(part, dict))


def to_channels_last(config: Any) -> Any:
    """Change a configuration of Keras 3 from `channels_first` to `channels_last`, in place, and return it.

    Raises:
        ModelError: a layer cannot be changed with certainty.
    """
    models = [part for part in parts(config) if isinstance(part, dict) and isinstance(part.get("layers"), list)]
    for layer in (layer for model in models for layer in model["layers"]):
        if isinstance(layer, dict) and isinstance(layer.get("config"), dict):
            _change_layer(layer)
    for part in list(parts(config)):
        if isinstance(part, dict):
            part.update({key: _channels_last(part[key]) for key in _SHAPES & part.keys()})
    return config


def _change_layer(layer: dict[str, Any]) -> None:
    name, config = layer.get("class_name"), layer["config"]
    rank = _input_rank(layer)
    if name in _MODELS or name in _ANY_FORMAT or rank == 2:
        return
    if config.get("data_format") == "channels_first":
        config["data_format"] = "channels_last"
        return
    axis = config.get("axis")
    if name in _WITH_AXIS and rank == 4 and isinstance(axis, int) and axis % 4:
        config["axis"] = {1: 3, 2: 1, 3: 2}[axis % 4]
        return
    raise ModelError(
        f"layer {config.get('name')}: {name} in a channels_first model cannot be changed to channels_last", HINT
    )


def _input_rank(layer: dict[str, Any]) -> int | None:
    """Return the number of axes of a layer's input, or None if the file does not contain it."""
    shape: Any = (layer.get("build_config") or {}).get("input_shape")
    if shape is None:
        tensors = [part for part in parts(layer.get("inbound_nodes")) if isinstance(part, dict) and "shape" in part]
        shape = tensors[0]["shape"] if tensors else None
    while isinstance(shape, list) and shape and isinstance(shape[0], list):
        shape = shape[0]
    return len(shape) if isinstance(shape, list) else None


def _channels_last(shape: Any) -> Any:
    """Return the shape (n, h, w, c) of (n, c, h, w), also inside lists and objects."""
    if isinstance(shape, dict):
        return {key: _channels_last(value) for key, value in shape.items()}
    if not isinstance(shape, list):
        return shape
    if len(shape) == 4 and not any(isinstance(side, (list, dict)) for side in shape):
        return [shape[0], *shape[2:], shape[1]]
    return [_channels_last(part) for part in shape]
