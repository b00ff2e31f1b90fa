"""The end of a classifier: where its logits are, and what turns them into probabilities."""

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
    """The operation that makes probabilities of logits.

    Attributes:
        layer: a Dense, Activation, Softmax, ... of the model.
        activation: `softmax`, `sigmoid`, or `linear` where the model's output is the logit itself.
    """

    layer: Any
    activation: str


def find_output_activation(model: keras.Model) -> OutputActivation | None:
    """Find the last activation of a model, or return None where it cannot be reached.

    Layers that only rearrange the scores are passed over. Not reached: subclassed models, whose
    graph Keras does not know, and activations that are neither softmax, sigmoid nor linear.
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
    """Let the model answer with its logits for as long as the block runs."""
    attributes = output_activation.layer.__dict__
    replaced = "activation" if "activation" in attributes else "call"
    own = attributes.get(replaced)
    try:
        if replaced == "activation":
            attributes["activation"] = keras.activations.linear
        elif output_activation.activation != "linear":
            attributes["call"] = lambda inputs, *args, **kwargs: inputs
        yield
    finally:
        if own is None:
            attributes.pop(replaced, None)
        else:
            attributes[replaced] = own


def probabilities(logits: tf.Tensor, activation: str) -> tf.Tensor:
    """Return the probabilities of (n, classes) logits, under the model's own activation.

    A linear output is taken for the logits of a softmax.
    """
    return tf.sigmoid(logits) if activation == "sigmoid" else tf.nn.softmax(logits)


def expand_binary_logit(y: tf.Tensor, activation: str) -> tf.Tensor:
    """Write the one logit y of a sigmoid head as the logits (-y, y) of class 0 and class 1.

    Their sigmoids are 1 - p and p. Other outputs are returned as they are.

    Raises:
        ModelError: a single unit under softmax, whose probability is always 1.
    """
    if y.shape[-1] != 1:
        return y
    if activation == "softmax":
        raise ModelError("the model has a single output under softmax: its probability is always 1, whatever it sees")
    return tf.concat([-y, y], axis=-1)
