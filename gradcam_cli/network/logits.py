"""The logits of a classifier, and the output activation that converts them to probabilities."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from gradcam_cli.errors import ModelError

SCORES = ("logit", "probability")

_ACTIVATIONS = {"softmax": "softmax", "sigmoid": "sigmoid", "linear": "linear"}
_OPERATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_SHAPE_ONLY = ("Reshape", "Flatten", "Dropout", "Identity")


class OutputActivation(NamedTuple):
    """The operation that converts logits to probabilities.

    Attributes:
        layer: a Dense, Activation, Softmax or other operation of the model.
        activation: `softmax`, `sigmoid`, or `linear` if the model returns logits.
    """

    layer: Any
    activation: str


def find_output_activation(model: keras.Model) -> OutputActivation | None:
    """Return the output activation of a model, or None if it is not accessible.

    Layers after it that only reshape the scores are skipped. Not accessible are subclassed models, which
    have no Keras graph, and activations other than softmax, sigmoid and linear.
    """
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return None
    tensor = outputs[0]
    while True:
        operation, node, _ = tensor._keras_history
        if isinstance(operation, keras.Model):
            return find_output_activation(operation)
        kind = _activation_name(operation)
        if kind and not (kind == "linear" and isinstance(operation, keras.layers.Activation)):
            return OutputActivation(operation, kind)
        inputs = operation._inbound_nodes[node].input_tensors
        if type(operation).__name__ == "GlobalAveragePooling2D":
            return (
                None
                if _activation_name(inputs[0]._keras_history[0]) in ("softmax", "sigmoid")
                else OutputActivation(operation, "linear")
            )
        if not (kind == "linear" or type(operation).__name__ in _SHAPE_ONLY) or len(inputs) != 1:
            return None
        tensor = inputs[0]


def _activation_name(operation: Any) -> str | None:
    if "activation" in operation.__dict__:
        return _ACTIVATIONS.get(getattr(operation.activation, "__name__", ""))
    return _OPERATIONS.get(type(operation).__name__)


@contextlib.contextmanager
def returning_logits(output_activation: OutputActivation) -> Iterator[None]:
    """Make the model return its logits while the block runs."""
    attributes = output_activation.layer.__dict__
    attribute = "activation" if "activation" in attributes else "call"
    original = attributes.get(attribute)
    try:
        if attribute == "activation":
            attributes["activation"] = keras.activations.linear
        elif output_activation.activation != "linear":
            attributes["call"] = lambda inputs, *args, **kwargs: inputs
        yield
    finally:
        if original is None:
            attributes.pop(attribute, None)
        else:
            attributes[attribute] = original


def probabilities(logits: tf.Tensor, activation: str) -> tf.Tensor:
    """Return the probabilities of (n, classes) logits under the model's output activation.

    A linear output is interpreted as the logits of a softmax.
    """
    return tf.sigmoid(logits) if activation == "sigmoid" else tf.nn.softmax(logits)


def expand_binary_logit(y: tf.Tensor, activation: str) -> tf.Tensor:
    """Expand the single logit y of a binary sigmoid classifier to the logits (-y, y) of classes 0 and 1.

    Their sigmoids are 1 - p and p. Outputs with more units are returned unchanged.

    Raises:
        ModelError: a softmax over a single unit, whose probability is always 1.
    """
    if y.shape[-1] != 1:
        return y
    if activation == "softmax":
        raise ModelError("the model has a softmax over a single output: its probability is always 1")
    return tf.concat([-y, y], axis=-1)
