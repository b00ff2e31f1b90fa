"""Scores and input gradients of one model, for perturbation and input-gradient methods."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.methods.fullgrad import FullGradients
from gradcam_cli.network.full_gradients import FullGradientFunction
from gradcam_cli.network.gradients import LayerCall
from gradcam_cli.network.hooks import hooked
from gradcam_cli.network.layer_trace import LayerOutput
from gradcam_cli.network.precision import precision_scope
from gradcam_cli.network.target import CLASS, Target
from gradcam_cli.network.target_scores import target_scores

MAX_LAYER_BATCH, MAX_LAYER_BATCH_BYTES = 128, 2**27
"""Limits of a batch of activations downstream of a layer; the computation uses about eight times these bytes."""


class ModelScorer:
    """Implements `methods.scorer.Scorer` for one model and one layer; inputs and A may have any spatial axes.

    All batches of a call have one size (the last one is padded), so that TensorFlow traces once.

    Args:
        model: unchanged by all methods.
        layer: the layer whose activations are perturbed: an output from `trace_layers`, or the path of a layer with
            output (n, u, v, k).
        score: `logit`, `probability` or `output`.
        precision: a value returned by `resolve_precision`.
        batch_size: inputs per batch; `scores_from_layer` uses larger batches for small activations,
            since reading the weights then dominates.
        task: a name in `task.TASKS`.
        target: what is explained.
    """

    def __init__(
        self,
        model: keras.Model,
        layer: str | LayerOutput,
        score: str,
        precision: str,
        batch_size: int,
        task: str = "auto",
        target: Target = CLASS,
    ) -> None:
        self.model, self.layer = model, LayerCall.of(model, layer)
        self.score, self.precision, self.batch_size, self.task = score, precision, batch_size, task
        self.target = target
        self._full_gradients: FullGradientFunction | None = None

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

    def gradients_from_layer(self, x: np.ndarray, A: np.ndarray, classes: Sequence[int]) -> np.ndarray:
        """Return dy_c/dA, (n, u, v, k), of one input (h, w, c) with the layer's output replaced by A, (n, u, v, k).

        Args:
            x: the input.
            A: the activations.
            classes: a class c for each of them.
        """
        with precision_scope(self.precision):
            first, replaced = tf.constant(x[None], tf.float32), tf.constant(A, tf.float32)
            dA: np.ndarray = self._gradients_from_layer(first, replaced, tf.constant(classes, tf.int32)).numpy()
        return dA

    def input_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx of each input, (n, h, w, c)."""
        return self._run_padded(lambda x: self._input_gradients(x, tf.constant(c)), x, self.batch_size)

    def guided_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx, (n, h, w, c), with guided ReLUs: they backpropagate only positive gradients of active units.

        Source:
            Springenberg et al. 2015, Striving for Simplicity, section 3.4.
        """
        return self._run_padded(lambda x: self._guided_gradients(x, tf.constant(c)), x, self.batch_size)

    def full_gradients(self, x: np.ndarray, c: int) -> FullGradients:
        """Return the full-gradient decomposition of y_c of one input (h, w, c).

        Raises:
            ModelError: as `FullGradientFunction`.
        """
        return self.full_gradient_function(x.shape)(x, c)

    def full_gradient_function(self, input_shape: tuple[int, ...]) -> FullGradientFunction:
        """Return the traced function behind `full_gradients`; it is traced at the first call.

        Args:
            input_shape: (h, w, c), always the same.

        Raises:
            ModelError: as `FullGradientFunction`.
        """
        if self._full_gradients is None:
            self._full_gradients = FullGradientFunction(self._y, input_shape, self.precision)
        return self._full_gradients

    def _run_padded(self, function: Callable[[tf.Tensor], tf.Tensor], inputs: np.ndarray, max_batch: int) -> np.ndarray:
        size, results = min(max_batch, len(inputs)), []
        with precision_scope(self.precision):
            for start in range(0, len(inputs), size):
                batch = inputs[start : start + size]
                padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), 0)])
                results.append(function(tf.constant(padded, tf.float32)).numpy()[: len(batch)])
        return np.concatenate(results)

    def _y(self, x: tf.Tensor, *replacements: tf.Tensor) -> tf.Tensor:
        output = self.model(x, training=False)
        return target_scores(output, x, self.score, self.task, self.target, replacements).scores.y

    def _dy_dx(self, x: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y_c = tf.gather(self._y(x), c, axis=1)
        return tape.gradient(y_c, x)

    @cached_property
    def _scores(self) -> Any:
        return tf.function(lambda x: self._y(x), autograph=False)

    def _y_from_layer(self, x: tf.Tensor, A: tf.Tensor) -> tf.Tensor:
        calls = itertools.count()

        def replace(_: str, output: tf.Tensor) -> tf.Tensor:
            return self.layer.insert(output, A) if self.layer.is_call(next(calls)) else output

        with hooked({self.layer.path: self.layer.operation}, replace):
            return self._y(tf.repeat(x, tf.shape(A)[0], axis=0), A)

    @cached_property
    def _scores_from_layer(self) -> Any:
        return tf.function(lambda x, A: self._y_from_layer(x, A), autograph=False)

    @cached_property
    def _gradients_from_layer(self) -> Any:
        def gradients(x: tf.Tensor, A: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(A)
                y_c = tf.gather(self._y_from_layer(x, A), classes, axis=1, batch_dims=1)
            return tape.gradient(y_c, A)

        return tf.function(gradients, autograph=False)

    @cached_property
    def _input_gradients(self) -> Any:
        return tf.function(self._dy_dx, autograph=False)

    @cached_property
    def _guided_gradients(self) -> Any:
        def guided(x: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
            with x.graph.gradient_override_map({"Relu": GUIDED, "Relu6": GUIDED}):
                y_c = tf.gather(self._y(x), c, axis=1)
            return tf.gradients(y_c, x)[0]

        return tf.function(guided, autograph=False)


GUIDED = "GradcamGuidedRelu"


@tf.RegisterGradient(GUIDED)  # type: ignore[untyped-decorator]
def _guided_gradient(operation: Any, dy: tf.Tensor) -> tf.Tensor:
    """Return the gradient of ReLU or ReLU6 where it and the unit are positive.

    Source:
        Springenberg et al. 2015, Striving for Simplicity, section 3.4.
    """
    y = operation.outputs[0]
    active = y > 0 if operation.type == "Relu" else (y > 0) & (y < 6)
    return tf.where(active, tf.nn.relu(dy), tf.zeros_like(dy))
