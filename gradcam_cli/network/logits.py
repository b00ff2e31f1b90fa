"""The tensor that is the class score: the graph is followed backward from the model's output to its logits."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.dependence import tensors_downstream
from gradcam_cli.network.provenance.rule import WEIGHTED_SUMS

_UNCHANGED = {"Identity", "IdentityN", "Cast", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "CheckNumerics"}
"""Operations that keep all values."""
_AVERAGES = {
    *("Mean", "Max", "AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D", "Transpose", "ConcatV2"),
    *("ResizeBilinear", "ResizeNearestNeighbor"),
}
"""Operations that average or select values: averages of logits are logits, averages of probabilities are not."""
_AFFINE = {"Add", "AddV2", "AddN", "BiasAdd", "Sub", "Mul", "RealDiv", "Neg", "Sum", "FusedBatchNormV3"}
"""Operations that scale, shift or add values."""
_ACTIVATIONS = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}


class Output(NamedTuple):
    """The output of a model and how it was computed.

    Attributes:
        values: the model's output, (n, ..., classes) float32.
        logits: of the same shape, the tensor before the last activation, or None if it is not accessible.
        activation: `softmax`, `sigmoid`, `linear` if the model returns logits, or None if unknown.
    """

    values: tf.Tensor
    logits: tf.Tensor | None
    activation: str | None


def find_logits(output: Any, *inputs: tf.Tensor) -> Output:
    """Follow the traced graph backward from a model's output to its logits.

    Args:
        output: what the model returned: a tensor (n, classes), alone or in a list or dict.
        *inputs: the tensors that vary: the image that the model was called with, and activations in place of a layer's.

    Raises:
        ModelError: the output is not one tensor (n, classes).
    """
    return find_tensor_logits(single_output(output), *inputs)


def find_tensor_logits(tensor: tf.Tensor, *inputs: tf.Tensor) -> Output:
    """Follow the traced graph backward from a tensor (n, ..., classes) to its logits, of the same shape."""
    values = tf.cast(tensor, tf.float32)
    before = _skip_unchanged(tensor)
    activation = _ACTIVATIONS.get(before.op.type)
    if activation:
        logits = before.op.inputs[0]
        if before.shape[-1] == tensor.shape[-1]:
            return Output(values, tf.cast(tf.reshape(logits, tf.shape(tensor)), tf.float32), activation)
    elif _is_linear(before, tensors_downstream(*inputs)):
        return Output(values, values, "linear")
    return Output(values, None, None)


def single_output(output: Any) -> tf.Tensor:
    """Return the only tensor of a model's output.

    Raises:
        ModelError: the output is not one tensor (n, classes).
    """
    tensors = keras.tree.flatten(output)
    if len(tensors) != 1 or not tf.is_tensor(tensors[0]) or tensors[0].shape.rank != 2:
        shapes = keras.tree.map_structure(lambda part: tuple(part.shape), output)
        raise ModelError(f"expected a classifier with one output of shape (n, classes), got {shapes}")
    return tensors[0]


def _skip_unchanged(tensor: tf.Tensor) -> tf.Tensor:
    while tensor.op.type in _UNCHANGED:
        index = tensor.value_index if tensor.op.type == "IdentityN" else 0
        tensor = tensor.op.inputs[index]
    return tensor


def _is_linear(tensor: tf.Tensor, downstream: set[Any]) -> bool:
    """Return whether a tensor is an affine function of weighted sums, without an activation in between."""
    pending, found = [tensor], False
    visited: set[Any] = set()
    while pending:
        tensor = _skip_unchanged(pending.pop())
        operation = tensor.op
        if operation in visited:
            continue
        visited.add(operation)
        if operation.type in WEIGHTED_SUMS:
            found = True
        elif operation.type in _AVERAGES | _AFFINE:
            terms = _varying_terms(operation, downstream)
            if terms is None:
                return False
            pending += terms
        else:
            return False
    return found


def _varying_terms(operation: Any, downstream: set[Any]) -> list[tf.Tensor] | None:
    """Return the inputs of an affine operation that vary with the image; None for a product of two of them.

    A division by any scale and a product with one scale for all classes keep the order of the scores.
    """
    varying = [tensor for tensor in operation.inputs if tensor.ref() in downstream]
    if operation.type == "RealDiv":
        return varying[:1] if varying[0] is operation.inputs[0] else None
    if operation.type == "Mul" and len(varying) > 1:
        varying = [tensor for tensor in varying if tensor.shape.rank and tensor.shape[-1] != 1]
        return varying if len(varying) == 1 else None
    return varying
