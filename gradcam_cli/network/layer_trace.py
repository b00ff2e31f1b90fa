"""The outputs of all layers of a model in one traced pass, with their places in the image."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.network.dependence import depends_around, tensors_upstream
from gradcam_cli.network.grid import Grid, describe, grid_of, presumed_grid
from gradcam_cli.network.hooks import hooked
from gradcam_cli.network.layers import find_layer, iter_layers, split_call
from gradcam_cli.network.logits import find_tensor_logits
from gradcam_cli.network.provenance.rule import WEIGHTED_SUMS, State
from gradcam_cli.network.provenance.trace import trace_places
from gradcam_cli.network.target import CLASS, Target, select_head
from gradcam_cli.network.target_scores import target_tensor

TRACED_BATCH = 2
"""Batch size of the trace: more than one, so that the axis of the batch differs from an axis of size 1."""


class LayerOutput(NamedTuple):
    """The output of one call of a layer.

    Attributes:
        path: the names of the enclosing models and of the layer: `backbone/block5_conv4`; `conv:0` and `conv:1` are
            the calls of a layer that is called twice.
        operation: the layer.
        call: index of the call.
        shape: shape of the output without the batch.
        grid: its arrangement over the image, or None.
        reason: why it has no grid, or None.
        learned: whether weights were applied between the input and the output.
        affects_score: whether the model's output depends on it.
        tensor: reference of the traced tensor.
    """

    path: str
    operation: Any
    call: int
    shape: tuple[int, ...]
    grid: Grid | None
    reason: str | None
    learned: bool
    affects_score: bool
    tensor: Any


def trace_layers(model: keras.Model, input_shape: tuple[int, ...], target: Target = CLASS) -> list[LayerOutput]:
    """Return the outputs of all layers with at least two axes besides the batch, in the order of their calls.

    Args:
        model: a Keras model with one input.
        input_shape: (h, w, c), or with another number of spatial axes.
        target: what is explained. The last scores of a segmentation or of a detector count as no effect on it: their
            map would only repeat them.

    Raises:
        ModelError: the model cannot process inputs of this shape.
    """
    operations = dict(iter_layers(model))
    calls: dict[str, list[Any]] = {}
    order: list[tuple[str, int]] = []

    def record(path: str, output: Any) -> Any:
        order.append((path, len(calls.setdefault(path, []))))
        calls[path].append(output)
        return output

    with hooked(operations, record):
        function = trace_model(model, input_shape, TRACED_BATCH)
    state = trace_places(function.graph, function.inputs[0])
    outputs = keras.tree.flatten(select_head(function.graph.structured_outputs, target.head))
    upstream = set().union(*(tensors_upstream(tensor) for tensor in outputs))
    if target.kind in ("segment", "detection"):
        upstream = _before_last_weights(function.graph, upstream)
    return [
        _layer_output(path, operations[path], call, len(calls[path]), calls[path][call], state, upstream, input_shape)
        for path, call in order
        if tf.is_tensor(calls[path][call]) and (calls[path][call].shape.rank or 0) in (3, len(input_shape) + 1)
    ]


def trace_model(model: keras.Model, input_shape: tuple[int, ...], batch: int = 1) -> Any:
    """Trace a model for inputs (batch, h, w, c), or with another number of spatial axes.

    Raises:
        ModelError: the model cannot process inputs of this shape.
    """
    function = tf.function(lambda x: model(x, training=False), autograph=False)
    try:
        return function.get_concrete_function(tf.TensorSpec((batch, *input_shape), tf.float32))
    except Exception as error:  # a layer may raise anything
        raise ModelError(
            f"the model cannot process inputs of {'x'.join(map(str, input_shape))}: {_first_sentence(error)}",
            "set the size of its input with --input-size",
        ) from error


def _before_last_weights(graph: Any, upstream: set[Any]) -> set[Any]:
    """Return those tensors between which and the output there is a weighted sum."""
    found: set[Any] = set()
    for operation in reversed(graph.get_operations()):
        outputs = [tensor.ref() for tensor in operation.outputs]
        if not upstream.isdisjoint(outputs) and (operation.type in WEIGHTED_SUMS or not found.isdisjoint(outputs)):
            found.update(tensor.ref() for tensor in operation.inputs)
    return found


def has_paths_around(output: LayerOutput, target: Target = CLASS) -> bool:
    """Return whether the score depends on the image also by paths that do not pass the cells of a layer.

    Args:
        output: from `trace_layers`; its further tokens are no cells.
        target: what is explained.
    """
    grid, tensor = output.grid, output.tensor.deref()
    if grid and grid.prefix is not None and output.shape[0] > grid.num_cells:
        return True
    ends = keras.tree.flatten(select_head(tensor.graph.structured_outputs, target.head))
    return any(depends_around(end, tensor.graph.inputs[0], tensor) for end in ends)


def output_activation(model: keras.Model, input_shape: tuple[int, ...], target: Target = CLASS) -> str | None:
    """Return the activation that `find_tensor_logits` finds before the output that is explained."""
    found: list[str | None] = []

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor) -> tf.Tensor:
        output = find_tensor_logits(target_tensor(model(x, training=False), target, len(input_shape) - 1), x)
        found.append(output.activation)
        return output.values

    run.get_concrete_function(tf.TensorSpec((1, *input_shape), tf.float32))
    return found[0]


def output_shape(model: keras.Model, input_shape: tuple[int, ...]) -> Any:
    """Return the shape of a model's output for one image, from Keras or from a trace.

    An output that is alone in a list or dict is returned without it.
    """
    try:
        output = model.compute_output_shape((1, *input_shape))
    except Exception:  # a subclassed model, or a size that the model cannot process
        traced = trace_model(model, input_shape).structured_outputs
        output = keras.tree.map_structure(lambda part: tuple(part.shape), traced)
    while isinstance(output, (list, dict)) and len(output) == 1:
        output = next(iter(output.values() if isinstance(output, dict) else output))
    return output


def _axes_of_input(rank: int) -> str:
    return "rows and columns of the image" if rank == 2 else "the spatial axes of the input"


def _first_sentence(error: Exception) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).rpartition("Exception encountered: ")[2]
    stripped = (line.strip() for line in plain.splitlines())
    lines = [line for line in stripped if line and not line.startswith("Exception encountered when calling")]
    return lines[0][:200] if lines else type(error).__name__


def _layer_output(
    path: str,
    operation: Any,
    call: int,
    num_calls: int,
    tensor: tf.Tensor,
    state: State,
    upstream: set[Any],
    input_shape: tuple[int, ...],
) -> LayerOutput:
    places, shape = state.places(tensor), tuple(tensor.shape)
    grid = grid_of(places) if places else None
    if (
        places
        and places.axes is None
        and len(shape) == len(input_shape) + 1
        and None not in shape
        and shape[0] == TRACED_BATCH
    ):
        grid = presumed_grid(shape, input_shape)
    if places is None:
        reason = "it does not depend on the input"
    elif grid is None:
        reason = f"expected {_axes_of_input(len(input_shape) - 1)}, got {describe(places)}"
    else:
        reason = None
    name = path if num_calls == 1 else f"{path}:{call}"
    learned, affects = bool(places and places.learned), tensor.ref() in upstream
    return LayerOutput(name, operation, call, shape[1:], grid, reason, learned, affects, tensor.ref())


def find_output(outputs: list[LayerOutput], model: keras.Model, path: str, rank: int = 2) -> LayerOutput:
    """Return the output of a layer, given its path, the unique end of its path, or one of its calls (`conv:0`).

    Without a number, the last call that depends on the input is returned.

    Args:
        outputs: from `trace_layers`.
        model: the model.
        path: of the layer.
        rank: number of spatial axes of the model input.

    Raises:
        UsageError: there is no such layer or call, or its output is not a grid over the image.
        ModelError: the score does not depend on it, or is computed from it without weights.
    """
    name, call = split_call(path)
    try:
        full, operation = find_layer(model, path)
        call = None
    except UsageError:
        if call is None:
            raise
        full, operation = find_layer(model, name)
    matching = [output for output in outputs if output.operation is operation and call in (None, output.call)]
    if not matching:
        raise UsageError(
            f"layer {path}: expected {_axes_of_input(rank)}, got an output without them",
            "`gradcam layers MODEL` lists the layers with spatial output",
        )
    found = next((output for output in reversed(matching) if not output.reason), matching[-1])
    if found.reason or not found.grid:
        raise UsageError(f"layer {full}: {found.reason}", "`gradcam layers MODEL` lists the layers with spatial output")
    if not found.affects_score:
        raise ModelError(f"the score does not depend on layer {full}, or is computed from it without weights")
    return found
