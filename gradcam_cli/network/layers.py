"""The layers of a model: listed with their shapes, found by path, chosen by default."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from gradcam_cli.errors import ModelError, UsageError

# Layers that only thin out, drop or rearrange what the layer before them found.
_SHAPE_ONLY_LAYERS = ("Pooling", "Dropout", "Reshape", "Permute", "Flatten", "Cropping", "ZeroPadding", "UpSampling")


class LayerInfo(NamedTuple):
    """A layer that can be used for a map.

    Attributes:
        path: its name, behind those of the models that hold it: `backbone/block5_conv4`.
        layer_type: its class.
        shape: (u, v, k) of its output.
        kernel_size: (K1, K2), or None where it has none; strides and padding likewise.
        num_params: how many weights it has; K1*K2*C*F + F for a convolution.
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
    """Pass what the operations answer through a function, for as long as the block runs.

    Each operation's `call` is replaced, and put back in any case. The model, its weights and its
    flags stay as they are, so this works inside residual blocks and nested models, where no second
    model can be cut out of the first.

    Args:
        operations: by the key that `hook` is given.
        hook: called with the key and the output; its result takes the output's place.
    """

    def wrap(key: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: hook(key, call(*args, **kwargs))

    own = {key: operation.__dict__.get("call") for key, operation in operations.items()}
    try:
        for key, operation in operations.items():
            operation.__dict__["call"] = wrap(key, operation.call)
        yield
    finally:
        for key, operation in operations.items():
            if own[key] is None:
                operation.__dict__.pop("call", None)
            else:
                operation.__dict__["call"] = own[key]


def iter_layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, operation) of everything a model is made of, what it holds behind itself.

    The sublayers of a layer with `hide_sublayers` are omitted: they run many times in a forward pass.
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
    """Check that planes come before channels everywhere in a model.

    Raises:
        ModelError: a layer is channels_first.
    """
    for path, operation in iter_layers(model):
        if getattr(operation, "data_format", None) == "channels_first":
            raise ModelError(
                f"layer {path} is channels_first: expected a channels_last model",
                "rebuild the model with data_format='channels_last' and copy the weights",
            )


def spatial_layers(model: keras.Model, input_shape: tuple[int, int, int]) -> list[LayerInfo]:
    """List the layers whose output is a plane with channels, in the order in which they are called.

    Args:
        model: any Keras model of one image input.
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
    """Return the shape of a model's output for one image, as Keras knows it or as one trace shows it."""
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
    """Choose by shape: the last plane larger than 1x1, then back over what only rearranges it.

    Raises:
        ModelError: no layer has such a plane.
    """
    planes = [layer for layer in layers if layer.shape[0] * layer.shape[1] > 1]
    leaves = [layer for layer in planes if not any(other.path.startswith(layer.path + "/") for other in layers)]
    for layer in reversed(leaves):
        if not any(word in layer.layer_type for word in _SHAPE_ONLY_LAYERS):
            return layer.path
    raise ModelError(
        "the model has no layer with a plane larger than 1x1: there is no place that a map could show",
        "Grad-CAM needs a convolutional layer before the model flattens or pools the image",
    )


def find_layer(model: keras.Model, path: str) -> tuple[str, Any]:
    """Return the full path and the operation of a layer asked for by path or by a name used once.

    Raises:
        UsageError: there is none, or there are several; near matches are listed.
    """
    operations = dict(iter_layers(model))
    if path in operations:
        return path, operations[path]
    inside = [full for full in operations if full.endswith("/" + path)]
    if len(inside) == 1:
        return inside[0], operations[inside[0]]
    by_name = {full.rpartition("/")[2]: full for full in operations}
    near = [by_name[name] for name in difflib.get_close_matches(path.rpartition("/")[2], by_name, 5)]
    listed = ", ".join(inside[:10] or near)
    raise UsageError(
        f"layer {path!r}: expected a layer of the model, got {'several' if inside else 'none'} of that name",
        (f"near matches: {listed}; " if listed else "") + "`gradcam layers MODEL` lists them all",
    )
