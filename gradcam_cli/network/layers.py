"""The layers of a model: listing, search by path, the default choice, and output hooks."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from gradcam_cli.errors import ModelError, UsageError

# Layers that only subsample, drop or rearrange features.
_SHAPE_ONLY_LAYERS = ("Pooling", "Dropout", "Reshape", "Permute", "Flatten", "Cropping", "ZeroPadding", "UpSampling")


class LayerInfo(NamedTuple):
    """A layer with spatial output.

    Attributes:
        path: the names of the enclosing models and of the layer: `backbone/block5_conv4`.
        layer_type: name of its class.
        shape: (u, v, k), spatial dimensions and channels of its output.
        kernel_size: (K1, K2), or None for a layer without kernel or pool size.
        strides: as for Keras; None without kernel.
        padding: `valid` or `same`; None without kernel.
        num_params: number of weights; K1*K2*C*F + F for a convolution.
    """

    path: str
    layer_type: str
    shape: tuple[int, int, int]
    kernel_size: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    padding: str | None
    num_params: int


@contextlib.contextmanager
def hooked(operations: Mapping[str, Any], hook: Callable[[str, Any], Any]) -> Iterator[None]:
    """Pass the outputs of operations through a hook while the block runs.

    Each operation's `call` is patched and then restored. The model, its weights and its flags are
    unchanged. Unlike a sub-model, this works inside residual blocks and nested models.

    Args:
        operations: operations by key.
        hook: called with (key, output); its result replaces the output.
    """

    def wrap(key: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: hook(key, call(*args, **kwargs))

    original = {key: operation.__dict__.get("call") for key, operation in operations.items()}
    try:
        for key, operation in operations.items():
            operation.__dict__["call"] = wrap(key, operation.call)
        yield
    finally:
        for key, operation in operations.items():
            if original[key] is None:
                operation.__dict__.pop("call", None)
            else:
                operation.__dict__["call"] = original[key]


def iter_layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, operation) of all layers and operations of a model, recursively, outer ones first.

    The sublayers of a layer with `hide_sublayers` set are excluded: they are called many times per forward pass.
    """
    inner = getattr(model, "operations", None) or model._flatten_layers(include_self=False, recursive=False)
    for operation in inner:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        path = prefix + operation.name
        yield path, operation
        if isinstance(operation, keras.Layer) and not getattr(operation, "hide_sublayers", False):
            yield from iter_layers(operation, path + "/")


def require_channels_last(model: keras.Model) -> None:
    """Check that all layers of a model use the data format `channels_last`.

    Raises:
        ModelError: a layer uses `channels_first`.
    """
    for path, operation in iter_layers(model):
        if getattr(operation, "data_format", None) == "channels_first":
            raise ModelError(
                f"layer {path} is channels_first: expected a channels_last model",
                "rebuild the model with data_format='channels_last' and copy the weights",
            )


def spatial_layers(model: keras.Model, input_shape: tuple[int, int, int]) -> list[LayerInfo]:
    """List the layers with output (n, u, v, k), in the order in which they are called.

    Args:
        model: a Keras model with one image input.
        input_shape: (h, w, c).
    """
    operations = dict(iter_layers(model))
    shapes: dict[str, tuple[int | None, ...]] = {}

    def record(path: str, output: Any) -> Any:
        if tf.is_tensor(output):
            shapes[path] = tuple(output.shape)
        return output

    with hooked(operations, record):
        _trace(model, input_shape)
    return [
        _layer_info(path, operations[path], shape[1:])  # type: ignore[arg-type]
        for path, shape in shapes.items()
        if len(shape) == 4 and None not in shape[1:]
    ]


def output_shape(model: keras.Model, input_shape: tuple[int, int, int]) -> Any:
    """Return the shape of a model's output for one image, from Keras or from a trace."""
    try:
        return model.compute_output_shape((1, *input_shape))
    except NotImplementedError:  # a subclassed model
        output = _trace(model, input_shape).structured_outputs
        return keras.tree.map_structure(lambda part: tuple(part.shape), output)


def _trace(model: keras.Model, input_shape: tuple[int, int, int]) -> Any:
    function = tf.function(lambda x: model(x, training=False), autograph=False)
    return function.get_concrete_function(tf.TensorSpec((1, *input_shape), tf.float32))


def _layer_info(path: str, operation: Any, shape: tuple[int, int, int]) -> LayerInfo:
    kernel = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    return LayerInfo(
        path,
        type(operation).__name__,
        shape,
        kernel,
        getattr(operation, "strides", None) if kernel else None,
        getattr(operation, "padding", None) if kernel else None,
        operation.count_params() if isinstance(operation, keras.Layer) and operation.built else 0,
    )


def default_layer(layers: Sequence[LayerInfo]) -> str:
    """Return the path of the last layer with spatial output larger than 1x1 that computes features.

    Pooling, dropout and other layers that only subsample or rearrange features are skipped.

    Raises:
        ModelError: there is no such layer.
    """
    spatial = [layer for layer in layers if layer.shape[0] * layer.shape[1] > 1]
    leaves = [layer for layer in spatial if not any(inner.path.startswith(layer.path + "/") for inner in layers)]
    for layer in reversed(leaves):
        if not any(word in layer.layer_type for word in _SHAPE_ONLY_LAYERS):
            return layer.path
    raise ModelError(
        "the model has no layer with spatial output larger than 1x1",
        "Grad-CAM requires a convolutional layer before flattening or global pooling",
    )


def find_layer(model: keras.Model, path: str) -> tuple[str, Any]:
    """Return the full path and the operation of a layer, given its path or the unique end of its path.

    Raises:
        UsageError: no layer matches, or several do; the hint lists near matches.
    """
    operations = dict(iter_layers(model))
    if path in operations:
        return path, operations[path]
    matches = [full for full in operations if full.endswith("/" + path)]
    if len(matches) == 1:
        return matches[0], operations[matches[0]]
    by_name = {full.rpartition("/")[2]: full for full in operations}
    near = [by_name[name] for name in difflib.get_close_matches(path.rpartition("/")[2], by_name, 5)]
    listed = ", ".join(matches[:10] or near)
    raise UsageError(
        f"the model has {'several layers' if matches else 'no layer'} {path!r}",
        (f"near matches: {listed}; " if listed else "") + "`gradcam layers MODEL` lists them all",
    )
