"""Compiles a model to a function that returns scores, activations and gradients of a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.layers import find_layer, hooked
from gradcam_cli.network.logits import (
    OutputActivation,
    expand_binary_logit,
    find_output_activation,
    probabilities,
    returning_logits,
)
from gradcam_cli.network.precision import precision_scope


class ForwardBackward(NamedTuple):
    """Results of one forward and backward pass for a batch of n images; all floats are float32.

    Attributes:
        logits: (n, classes), or None if the model does not expose them.
        probabilities: (n, classes).
        classes: (n, C), the indices of the explained classes.
        A: activations (n, u, v, k) of each layer.
        dA: gradients dy_c/dA, (C, n, u, v, k), of each layer.
    """

    logits: np.ndarray | None
    probabilities: np.ndarray
    classes: np.ndarray
    A: list[np.ndarray]
    dA: list[np.ndarray]


GradientFunction = Callable[[np.ndarray, np.ndarray], ForwardBackward]


def compile_gradient_function(
    model: keras.Model, layers: Sequence[str], score: str = "logit", precision: str = "float32"
) -> GradientFunction:
    """Compile a model to a function of (x, class_selectors) with one forward pass.

    Only the layers downstream of the chosen ones are differentiated: a zero tensor is added to each A,
    and y_c is differentiated with respect to it. This gives dy_c/dA, also for layers upstream of
    each other, at no cost (the graph optimizer removes the addition).

    Args:
        model: unchanged afterwards; its layers are patched only while TensorFlow traces it, once per
            shape of x.
        layers: paths of layers with output (n, u, v, k).
        score: `logit` (y_c before softmax, as in the paper) or `probability`.
        precision: a value returned by `resolve_precision`.

    Returns:
        A function of x (n, h, w, c) float32, preprocessed, and class_selectors (n, C) int32: a class
        index, or -r for the class of rank r. It returns a `ForwardBackward` and, on its first call,
        raises ModelError for a layer without spatial output or without effect on the score.

    Raises:
        UsageError: a layer is not found.
        ModelError: the logit is not accessible.
    """
    operations = dict(find_layer(model, path) for path in layers)
    output_activation = require_logits(model, score)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor, class_selectors: tf.Tensor) -> tuple[Any, ...]:
        activations: dict[str, list[tf.Tensor]] = {path: [] for path in operations}
        zeros: dict[str, tf.Tensor] = {}

        def record_activation(path: str, A: tf.Tensor) -> tf.Tensor:
            activations[path].append(A)
            if not tf.is_tensor(A):
                return A
            zeros[path] = tf.zeros_like(A)
            tape.watch(zeros[path])
            return A + zeros[path]

        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            with hooked(operations, record_activation), _logits_scope(output_activation):
                output = single_output(model(x, training=False))
            _check_spatial(activations)
            logits, p = logits_and_probabilities(output, output_activation)
            y = logits if score == "logit" else p
            classes = resolve_ranks(y, class_selectors)
            y_c = [tf.gather(y, classes[:, c], batch_dims=1) for c in range(class_selectors.shape[1])]
        dA = [tape.gradient(y, zeros) for y in y_c]
        _check_connected(dA[0])
        A = [tf.cast(activations[path][0], tf.float32) for path in operations]
        return logits, p, classes, A, [tf.cast(tf.stack([d[path] for d in dA]), tf.float32) for path in operations]

    def gradient_function(x: np.ndarray, class_selectors: np.ndarray) -> ForwardBackward:
        with precision_scope(precision):
            logits, p, classes, A, dA = run(tf.constant(x, tf.float32), tf.constant(class_selectors, tf.int32))
        return ForwardBackward(
            None if logits is None else logits.numpy(),
            p.numpy(),
            classes.numpy(),
            [a.numpy() for a in A],
            [d.numpy() for d in dA],
        )

    return gradient_function


def _logits_scope(output_activation: OutputActivation | None) -> contextlib.AbstractContextManager[None]:
    return returning_logits(output_activation) if output_activation else contextlib.nullcontext()


def require_logits(model: keras.Model, score: str) -> OutputActivation | None:
    """Return the output activation that `returning_logits` removes, or None to explain the model's output itself.

    Raises:
        ModelError: the score is `logit`, and the logit is not accessible.
    """
    output_activation = find_output_activation(model)
    if output_activation is None and score == "logit":
        raise ModelError(
            "the logit before the output activation is not accessible in this model",
            "--score probability explains the model's own output instead",
        )
    return output_activation


def logits_and_probabilities(
    output: tf.Tensor, output_activation: OutputActivation | None
) -> tuple[tf.Tensor | None, tf.Tensor]:
    """Return the logits (None if not accessible) and probabilities of a model's output, both (n, classes)."""
    if output_activation is None:
        return None, tf.concat([1 - output, output], axis=-1) if output.shape[-1] == 1 else output
    kind = (
        "sigmoid"
        if output.shape[-1] == 1 and output_activation.activation == "linear"
        else output_activation.activation
    )
    logits = expand_binary_logit(output, kind)
    return logits, probabilities(logits, kind)


def resolve_ranks(y: tf.Tensor, class_selectors: tf.Tensor) -> tf.Tensor:
    """Return (n, C) class indices; a selector -r becomes the class with the r-th largest score.

    Args:
        y: (n, classes) scores.
        class_selectors: (n, C) int32, class indices or negative ranks.
    """
    ranked = tf.argsort(y, axis=-1, direction="DESCENDING", stable=True)  # (n, classes)
    by_rank = tf.gather(ranked, tf.maximum(-class_selectors - 1, 0), batch_dims=1)
    return tf.where(class_selectors < 0, by_rank, class_selectors)


def single_output(output: Any) -> tf.Tensor:
    """Return a model's output in float32.

    Raises:
        ModelError: the output is not one tensor (n, classes).
    """
    if not tf.is_tensor(output) or output.shape.rank != 2:
        shapes = keras.tree.map_structure(lambda part: tuple(part.shape), output)
        raise ModelError(f"expected a classifier with one output of shape (n, classes), got {shapes}")
    return tf.cast(output, tf.float32)


def _check_spatial(activations: dict[str, list[tf.Tensor]]) -> None:
    for path, calls in activations.items():
        if len(calls) != 1:
            raise ModelError(f"layer {path}: expected one call per forward pass, got {len(calls)}")
        if not tf.is_tensor(calls[0]) or calls[0].shape.rank != 4:
            shape = tuple(calls[0].shape[1:]) if tf.is_tensor(calls[0]) else "several tensors"
            raise ModelError(
                f"layer {path}: expected spatial output (u, v, k), got {shape}",
                "`gradcam layers MODEL` lists the layers with spatial output",
            )


def _check_connected(gradients: dict[str, tf.Tensor | None]) -> None:
    for path, gradient in gradients.items():
        if gradient is None:
            raise ModelError(f"the class score does not depend on layer {path}")
