"""Compiles a model to a function that returns scores, activations and gradients of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.contrast import Contrast, contrast_scores
from gradcam_cli.network.grid import Grid
from gradcam_cli.network.hooks import hooked
from gradcam_cli.network.layer_trace import LayerOutput
from gradcam_cli.network.layers import find_layer
from gradcam_cli.network.precision import precision_scope
from gradcam_cli.network.scores import require_probabilities
from gradcam_cli.network.target import CLASS, Target
from gradcam_cli.network.target_scores import target_scores


class ForwardBackward(NamedTuple):
    """Results of one forward and backward pass for a batch of n images; all floats are float32.

    Attributes:
        y: (n, units), the score that is explained; the units are the classes, then the groups of the target.
        logits: (n, units), or None if the model does not expose them.
        probabilities: (n, units), NaN if the model's output is not a probability.
        ranked_by: (n, classes), the values by which the classes are ranked: y, or the area of a segmentation's class.
        classes: (n, C), the indices of the explained units.
        A: activations (n, u, v, k) of each layer.
        dA: gradients dy_c/dA, (C, n, u, v, k), of each layer.
        boxes: (n, classes, 4) of a detection with boxes, as the model writes them, or None.
        f: dA/dt = f(t, A), (n, u, v, k), of each depth of an ODE; empty for layers.
        against: (n, C, T), the indices of the T units with which each is contrasted, or None.
    """

    y: np.ndarray
    logits: np.ndarray | None
    probabilities: np.ndarray
    ranked_by: np.ndarray
    classes: np.ndarray
    A: list[np.ndarray]
    dA: list[np.ndarray]
    boxes: np.ndarray | None = None
    f: Sequence[np.ndarray] = ()
    against: np.ndarray | None = None


def to_arrays(results: Sequence[Any]) -> ForwardBackward:
    """Convert tensors, in the order of the fields of `ForwardBackward`, to arrays; None stays None."""
    y, logits, p, ranked_by, classes, A, dA, *boxes = results
    return ForwardBackward(
        y.numpy(),
        None if logits is None else logits.numpy(),
        p.numpy(),
        ranked_by.numpy(),
        classes.numpy(),
        [a.numpy() for a in A],
        [d.numpy() for d in dA],
        boxes[0].numpy() if boxes and boxes[0] is not None else None,
    )


GradientFunction = Callable[..., ForwardBackward]
"""Takes x (n, h, w, c) and class selectors (n, C); that of `compile_gradient_function` also takes a `Contrast`."""


def compile_gradient_function(
    model: keras.Model,
    layers: Sequence[str | LayerOutput],
    score: str = "logit",
    precision: str = "float32",
    task: str = "auto",
    target: Target = CLASS,
) -> GradientFunction:
    """Compile a model to a function of (x, class_selectors) with one forward pass.

    Only the layers downstream of the chosen ones are differentiated: a zero tensor is added to each A,
    and y_c is differentiated with respect to it. This gives dy_c/dA, also for layers upstream of
    each other, at no cost (the graph optimizer removes the addition).

    Args:
        model: unchanged; its layers are observed only in this thread and while TensorFlow traces it, once per
            shape of x.
        layers: outputs from `trace_layers`, or paths of layers with output (n, u, v, k).
        score: `logit` (y_c before softmax, as in the paper), `probability` or `output`.
        precision: a value returned by `resolve_precision`.
        task: a name in `task.TASKS`.
        target: what is explained; its units take the place of the classes.

    Returns:
        A function of x (n, h, w, c) float32, preprocessed; class_selectors (n, C) int32: a class index, or -r for the
        class of rank r; and a `Contrast` or None. With a contrast, dA is the gradient of its score, from the same
        passes. It returns a `ForwardBackward` and, on its first call, raises ModelError for a layer without spatial
        output or without effect on the score, or if the logit is not accessible.

    Raises:
        UsageError: a layer is not found.
    """
    chosen = [LayerCall.of(model, layer) for layer in layers]
    operations = {layer.path: layer.operation for layer in chosen}

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor, class_selectors: tf.Tensor, contrast: Contrast | None = None) -> tuple[Any, ...]:
        activations: dict[str, list[tf.Tensor]] = {path: [] for path in operations}
        zeros: dict[str, list[tf.Tensor]] = {path: [] for path in operations}

        def record_activation(path: str, A: tf.Tensor) -> tf.Tensor:
            activations[path].append(A)
            zeros[path].append(tf.zeros_like(A) if tf.is_tensor(A) else A)
            tape.watch(zeros[path][-1])
            return A + zeros[path][-1] if tf.is_tensor(A) else A

        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            with hooked(operations, record_activation):
                output = model(x, training=False)
            watched = [layer.select(zeros[layer.path]) for layer in chosen]
            A = [layer.select(activations[layer.path]) for layer in chosen]
            _check_spatial(chosen, A, x.shape.rank)
            (y, logits, p), ranked_by, boxes = target_scores(output, x, score, task, target)
            classes = resolve_ranks(ranked_by, class_selectors)
            if contrast:
                scores, against = contrast_scores(y, classes, contrast, ranked_by.shape[1], target.groups)
            else:
                scores, against = [tf.gather(y, classes[:, c], batch_dims=1) for c in range(classes.shape[1])], None
        dA = [tape.gradient(y_c, watched) for y_c in scores]
        _check_connected(chosen, dA[0])
        A = [tf.cast(layer.extract(a), tf.float32) for layer, a in zip(chosen, A, strict=True)]
        gradients = [tf.cast(tf.stack([layer.extract(d[i]) for d in dA]), tf.float32) for i, layer in enumerate(chosen)]
        boxes = None if boxes is None else tf.cast(boxes, tf.float32)
        return against, (y, logits, p, ranked_by, classes, A, gradients, boxes)

    def gradient_function(
        x: np.ndarray, class_selectors: np.ndarray, contrast: Contrast | None = None
    ) -> ForwardBackward:
        tensors = contrast and Contrast(tf.constant(contrast.against, tf.int32), tf.constant(contrast.gamma))
        with precision_scope(precision):
            against, results = run(tf.constant(x, tf.float32), tf.constant(class_selectors, tf.int32), tensors)
        result = to_arrays(results)._replace(against=None if against is None else against.numpy())
        if score == "probability" and result.logits is None:
            require_probabilities(result.probabilities[:, : result.ranked_by.shape[1]])
        return result

    return gradient_function


class LayerCall(NamedTuple):
    """One call of a layer, with the arrangement of its output; None for an output (n, u, v, k)."""

    path: str
    operation: Any
    call: int | None
    grid: Grid | None

    @classmethod
    def of(cls, model: keras.Model, layer: str | LayerOutput) -> LayerCall:
        """Return the call that an output from `trace_layers`, or a path, stands for."""
        if isinstance(layer, LayerOutput):
            return cls(layer.path, layer.operation, layer.call, layer.grid)
        return cls(*find_layer(model, layer), None, None)

    def select(self, calls: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the value of this call."""
        if not calls or (self.call is None and len(calls) != 1):
            raise ModelError(f"layer {self.path}: expected one call per forward pass, got {len(calls)}")
        return calls[self.call or 0]

    def extract(self, output: tf.Tensor) -> tf.Tensor:
        """Convert the output to (n, u, v, k)."""
        return self.grid.extract(output) if self.grid else output

    def insert(self, output: tf.Tensor, A: tf.Tensor) -> tf.Tensor:
        """Return the output with its cells replaced by A, (n, u, v, k)."""
        return tf.cast(self.grid.insert(output, tf.cast(A, output.dtype)) if self.grid else A, output.dtype)

    def is_call(self, index: int) -> bool:
        """Return whether this is the layer's call with this index."""
        return self.call in (None, index)


def resolve_ranks(y: tf.Tensor, class_selectors: tf.Tensor) -> tf.Tensor:
    """Return (n, C) class indices; a selector -r becomes the class with the r-th largest score.

    Args:
        y: (n, classes) scores.
        class_selectors: (n, C) int32, class indices or negative ranks.
    """
    ranked = tf.argsort(y, axis=-1, direction="DESCENDING", stable=True)  # (n, classes)
    by_rank = tf.gather(ranked, tf.maximum(-class_selectors - 1, 0), batch_dims=1)
    return tf.where(class_selectors < 0, by_rank, class_selectors)


def _check_spatial(layers: Sequence[LayerCall], activations: Sequence[tf.Tensor], rank: int) -> None:
    """Check that outputs that are not known to be grids have as many axes as the input."""
    for layer, A in zip(layers, activations, strict=True):
        if layer.grid is None and (not tf.is_tensor(A) or A.shape.rank != rank):
            shape = tuple(A.shape[1:]) if tf.is_tensor(A) else "several tensors"
            raise ModelError(
                f"layer {layer.path}: expected spatial output (u, v, k), got {shape}",
                "`gradcam layers MODEL` lists the layers with spatial output",
            )


def _check_connected(layers: Sequence[LayerCall], gradients: Sequence[tf.Tensor | None]) -> None:
    for layer, gradient in zip(layers, gradients, strict=True):
        if gradient is None:
            raise ModelError(f"the class score does not depend on layer {layer.path}")
