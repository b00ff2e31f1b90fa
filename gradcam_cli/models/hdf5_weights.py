"""The weights of a model in an `.h5` file.

Keras assigns them by their order, the trainable weights of each layer first. Keras 2 ordered those of models inside a
model differently, and weights of equal shapes would be exchanged in silence; so the names decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import h5py
import keras

from gradcam_cli.errors import ModelError
from gradcam_cli.models.weight_tensors import attribute_texts, read_tensor


def load_weights(group: h5py.Group, model: keras.Model, *_: Any, **__: Any) -> None:
    """Assign the weights of an `.h5` file to the model of its configuration, in place of the function of Keras.

    Args:
        group: the group `model_weights`.
        model: the model without its weights.

    Raises:
        ModelError: the file lacks weights of the model, has others, or has other shapes; the layer is named.
    """
    names = [name.replace("/", "_") for name in attribute_texts(group, "layer_names")]
    stored = dict(zip(names, (_stored(group[name]) for name in attribute_texts(group, "layer_names")), strict=True))
    layers = {layer.name: layer for layer in model.layers}
    for name, arrays in stored.items():
        if arrays and name not in layers:
            raise ModelError(f"the file has weights of a layer {name}, which its configuration does not contain")
    for name, layer in layers.items():
        _assign(layer, _in_file_order(layer), stored.get(name, []))
    own = [weight for weight in model.weights if not any(weight is w for layer in model.layers for w in layer.weights)]
    if own:
        _assign(model, own, _stored(group["top_level_model_weights"]) if "top_level_model_weights" in group else [])
    _finalize(model)


def by_name_if_possible(load: Callable[..., None]) -> Callable[..., None]:
    """Return a function that loads by name if the layers have the names of the file, and by `load` otherwise."""

    def load_either(group: h5py.Group, model: keras.Model, *args: Any, **kwargs: Any) -> None:
        names = {name.replace("/", "_") for name in attribute_texts(group, "layer_names") if _stored(group[name])}
        if names == {layer.name for layer in model.layers if layer.weights}:
            load_weights(group, model)
        else:
            load(group, model, *args, **kwargs)
            _finalize(model)

    return load_either


def _finalize(model: keras.Model) -> None:
    """Let all normalizations use their weights; Keras does it for the outermost layers only."""
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state") and layer.built:
            layer.finalize_state()


def _stored(group: h5py.Group) -> list[tuple[str, h5py.Dataset]]:
    return [(name, group[name]) for name in attribute_texts(group, "weight_names")]


def _in_file_order(layer: keras.Layer) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _assign(layer: keras.Layer, weights: Sequence[Any], stored: Sequence[tuple[str, h5py.Dataset]]) -> None:
    if len(weights) != len(stored):
        raise ModelError(f"layer {layer.name} has {len(weights)} weights, the file has {len(stored)} for it")
    for weight, (name, array) in zip(_in_order_of(layer, stored, weights), stored, strict=True):
        if tuple(weight.shape) != array.shape:
            raise ModelError(
                f"layer {layer.name}: expected a weight {weight.path} of shape {tuple(weight.shape)}, "
                f"got {name} of shape {array.shape}"
            )
        weight.assign(read_tensor(array))


def _in_order_of(
    layer: keras.Layer, stored: Sequence[tuple[str, h5py.Dataset]], weights: Sequence[Any]
) -> Sequence[Any]:
    """Return the weights in the order of the file: by name; without equal names, in the file's own order.

    Raises:
        ModelError: layers inside the layer are partly frozen, and their weights have other names in the file.
    """
    for key in (partial(_full_key, layer.name), _short_key):
        keys = [key(name) for name, _ in stored]
        by_key: dict[str, list[Any]] = {}
        for weight in weights:
            by_key.setdefault(key(weight.path), []).append(weight)
        if Counter(keys) == Counter({name: len(found) for name, found in by_key.items()}):
            remaining = {name: iter(found) for name, found in by_key.items()}
            return [next(remaining[name]) for name in keys]
    inner = [part for part in layer._flatten_layers(include_self=False) if part.weights]
    if len({part.trainable for part in inner}) > 1:
        raise ModelError(
            f"the weights of {layer.name} have other names in the file, and some of its layers are frozen, "
            "so that their order is not known",
            "open it with the Keras that wrote it, set trainable to True for all layers, and save it",
        )
    return weights


def _full_key(layer_name: str, name: str) -> str:
    """Return the name of a weight inside a layer as Keras 3 writes it: `a_b/kernel` for `a/b/kernel:0`."""
    path, _, weight = name.partition(":")[0].removeprefix(f"{layer_name}/").rpartition("/")
    return f"{path.replace('/', '_')}/{weight.replace('depthwise_kernel', 'kernel')}"


def _short_key(name: str) -> str:
    """Return the last two parts of the name of a weight, `layer/kernel` for `model/layer/kernel:0`."""
    return "/".join(name.partition(":")[0].split("/")[-2:])
