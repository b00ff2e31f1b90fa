"""The one compiled function: a batch and its classes in; scores, activations and gradients out."""

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
    """What one pass through the network gives for a batch of n images.

    Attributes:
        logits: (n, classes), or None where the model hides them.
        probabilities: (n, classes).
        classes: (n, C), the class indices that were differentiated.
        A: for each layer (n, u, v, k), its activations.
        dA: for each layer (C, n, u, v, k), dy_c/dA.
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
    """Compile a model into a function of (x, codes) that makes one forward pass.

    Only the part of the network behind the layers is differentiated: a zero is added to each A, and
    the gradient of y_c is taken with respect to that zero. It is dy_c/dA, also where one layer lies
    behind another, and costs nothing (the compiler removes the addition).

    Args:
        model: left as it was; its parts are replaced only while TensorFlow traces it, once for
            each shape of x.
        layers: paths of layers whose output is (n, u, v, k).
        score: `logit` (y_c before softmax, as in the paper) or `probability`.
        precision: what `precision.choose_precision` returned; results are float32 in any case.

    Returns:
        A function of x (n, h, w, c) float32, preprocessed, and codes (n, C) int32: a class index, or
        -r for the class of rank r. It returns a Pass.

    Raises:
        UsageError: there is no such layer.
        ModelError: the logit cannot be reached, or the score does not depend on a layer. (By the
            first call: a layer without a plane.)
    """
    operations = dict(find_layer(model, path) for path in layers)
    head = require_logits(model, score)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor, codes: tf.Tensor) -> tuple[Any, ...]:
        activations: dict[str, list[tf.Tensor]] = {path: [] for path in operations}
        zeros: dict[str, tf.Tensor] = {}

        def tap(path: str, A: tf.Tensor) -> tf.Tensor:
            activations[path].append(A)
            if not tf.is_tensor(A):
                return A
            zeros[path] = tf.zeros_like(A)
            tape.watch(zeros[path])
            return A + zeros[path]

        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            with hooked(operations, tap), returning_logits(head) if head else contextlib.nullcontext():
                output = single_output(model(x, training=False))
            _check_spatial(activations)
            logits, p = logits_and_probabilities(output, head)
            y = logits if score == "logit" else p
            classes = resolve_ranks(y, codes)
            y_c = [tf.gather(y, classes[:, c], batch_dims=1) for c in range(codes.shape[1])]
        dA = [tape.gradient(score_of_c, zeros) for score_of_c in y_c]
        _check_connected(dA[0])
        A = [tf.cast(activations[path][0], tf.float32) for path in operations]
        return logits, p, classes, A, [tf.cast(tf.stack([d[path] for d in dA]), tf.float32) for path in operations]

    def network(x: np.ndarray, codes: np.ndarray) -> ForwardBackward:
        with precision_scope(precision):
            logits, p, classes, A, dA = run(tf.constant(x, tf.float32), tf.constant(codes, tf.int32))
        return ForwardBackward(
            None if logits is None else logits.numpy(),
            p.numpy(),
            classes.numpy(),
            [a.numpy() for a in A],
            [d.numpy() for d in dA],
        )

    return network


def require_logits(model: keras.Model, score: str) -> OutputActivation | None:
    """Return the end of a model that `answering_logits` needs, or None where its own output is explained.

    Raises:
        ModelError: the logit is wanted and cannot be reached.
    """
    head = find_output_activation(model)
    if head is None and score == "logit":
        raise ModelError(
            "the logit before the last activation cannot be reached in this model",
            "--score probability explains the model's own output instead",
        )
    return head


def logits_and_probabilities(
    output: tf.Tensor, output_activation: OutputActivation | None
) -> tuple[tf.Tensor | None, tf.Tensor]:
    """Return (n, classes) logits, None where they are hidden, and probabilities of a model's output."""
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
    """Return (n, C) class indices: a code as it is, and -r as the class of the r-th largest score."""
    ranked = tf.argsort(y, axis=-1, direction="DESCENDING", stable=True)  # (n, classes)
    by_rank = tf.gather(ranked, tf.maximum(-class_selectors - 1, 0), batch_dims=1)
    return tf.where(class_selectors < 0, by_rank, class_selectors)


def single_output(output: Any) -> tf.Tensor:
    """Return a model's output in float32.

    Raises:
        ModelError: it is not one tensor (n, classes).
    """
    if not tf.is_tensor(output) or output.shape.rank != 2:
        shapes = keras.tree.map_structure(lambda part: tuple(part.shape), output)
        raise ModelError(f"expected a classifier with one output of shape (n, classes), got {shapes}")
    return tf.cast(output, tf.float32)


def _check_spatial(activations: dict[str, list[tf.Tensor]]) -> None:
    for path, calls in activations.items():
        if len(calls) != 1:
            raise ModelError(f"layer {path} is called {len(calls)} times in one pass: expected once")
        if not tf.is_tensor(calls[0]) or calls[0].shape.rank != 4:
            shape = tuple(calls[0].shape[1:]) if tf.is_tensor(calls[0]) else "several tensors"
            raise ModelError(
                f"layer {path} has no plane: expected an output of (u, v, k), got {shape}",
                "`gradcam layers MODEL` lists the layers that have one",
            )


def _check_connected(gradients: dict[str, tf.Tensor | None]) -> None:
    for path, gradient in gradients.items():
        if gradient is None:
            raise ModelError(f"the class score does not depend on layer {path}")
