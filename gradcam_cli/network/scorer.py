"""Scores and input gradients of one model, for perturbation and input-gradient methods."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.network.gradients import logits_and_probabilities, require_logits, single_output
from gradcam_cli.network.layers import find_layer, hooked, iter_layers
from gradcam_cli.network.logits import returning_logits
from gradcam_cli.network.precision import precision_scope

MAX_LAYER_BATCH, MAX_LAYER_BATCH_BYTES = 128, 2**27
"""Limits of a batch of activations downstream of a layer; the computation uses about eight times these bytes."""


class ModelScorer:
    """Implements `methods.scorer.Scorer` for one model and one layer.

    All batches of a call have one size (the last one is padded), so that TensorFlow traces once.

    Args:
        model: unchanged by all methods.
        layer: path of the layer whose activations are perturbed.
        score: `logit` or `probability`.
        precision: a value returned by `resolve_precision`.
        batch_size: inputs per batch; `scores_from_layer` uses larger batches for small activations,
            since reading the weights then dominates.
    """

    def __init__(self, model: keras.Model, layer: str, score: str, precision: str, batch_size: int) -> None:
        self.model, self.layer = model, dict([find_layer(model, layer)])
        self.score, self.precision, self.batch_size = score, precision, batch_size
        self.output_activation = require_logits(model, score)

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return y, (n, classes) float32, of inputs (n, h, w, c)."""
        return self._run_padded(self._scores, x, self.batch_size)

    def scores_from_layer(self, x: np.ndarray, A: np.ndarray) -> np.ndarray:
        """Return y, (n, classes), of one input (h, w, c) with the layer's output replaced by A, (n, u, v, k).

        Only the layers downstream are computed, and branches around the layer.
        """
        first = tf.constant(x[None], tf.float32)
        size = max(self.batch_size, min(MAX_LAYER_BATCH, MAX_LAYER_BATCH_BYTES // A[0].nbytes))
        return self._run_padded(lambda A: self._scores_from_layer(first, A), A, size)

    def input_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx of each input, (n, h, w, c)."""
        return self._run_padded(lambda x: self._input_gradients(x, tf.constant(c)), x, self.batch_size)

    def guided_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx, (n, h, w, c), with guided ReLUs: they backpropagate only positive gradients of active units.

        Source:
            Springenberg et al. 2015, Striving for Simplicity, section 3.4.
        """
        return self._run_padded(lambda x: self._guided_gradients(x, tf.constant(c)), x, self.batch_size)

    def _run_padded(self, function: Callable[[tf.Tensor], tf.Tensor], inputs: np.ndarray, max_batch: int) -> np.ndarray:
        size, results = min(max_batch, len(inputs)), []
        with precision_scope(self.precision):
            for start in range(0, len(inputs), size):
                batch = inputs[start : start + size]
                padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), 0)])
                results.append(function(tf.constant(padded, tf.float32)).numpy()[: len(batch)])
        return np.concatenate(results)

    def _y(self, x: tf.Tensor) -> tf.Tensor:
        with returning_logits(self.output_activation) if self.output_activation else contextlib.nullcontext():
            logits, p = logits_and_probabilities(single_output(self.model(x, training=False)), self.output_activation)
        return logits if self.score == "logit" else p

    def _dy_dx(self, x: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y_c = tf.gather(self._y(x), c, axis=1)
        return tape.gradient(y_c, x)

    @cached_property
    def _scores(self) -> Any:
        return tf.function(self._y, autograph=False)

    @cached_property
    def _scores_from_layer(self) -> Any:
        def from_layer(x: tf.Tensor, A: tf.Tensor) -> tf.Tensor:
            with hooked(self.layer, lambda _, output: tf.cast(A, output.dtype)):
                return self._y(tf.repeat(x, tf.shape(A)[0], axis=0))

        return tf.function(from_layer, autograph=False)

    @cached_property
    def _input_gradients(self) -> Any:
        return tf.function(self._dy_dx, autograph=False)

    @cached_property
    def _guided_gradients(self) -> Any:
        def guided(x: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
            with guided_relus(self.model):
                return self._dy_dx(x, c)

        return tf.function(guided, autograph=False)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _guided_identity(y: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """The identity, whose gradient is relu(dy)."""
    return tf.identity(y), tf.nn.relu


@contextlib.contextmanager
def guided_relus(model: keras.Model) -> Iterator[None]:
    """Make every ReLU and ReLU6 of a model backpropagate only positive gradients while the block runs."""
    operations = dict(iter_layers(model))
    layers = {path: operation for path, operation in operations.items() if type(operation).__name__ in _RELU_LAYERS}
    activated = [
        (operation.__dict__, operation.activation)
        for path, operation in operations.items()
        if getattr(operation.__dict__.get("activation"), "__name__", "") in _RELUS
    ]
    try:
        for attributes, activation in activated:
            attributes["activation"] = _with_guided_gradient(activation)
        with hooked(layers, lambda _, y: _guided_identity(y)):
            yield
    finally:
        for attributes, activation in activated:
            attributes["activation"] = activation


_RELUS = ("relu", "relu6")
_RELU_LAYERS = ("ReLU", "Relu", "Relu6")


def _with_guided_gradient(activation: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda x: _guided_identity(activation(x))
