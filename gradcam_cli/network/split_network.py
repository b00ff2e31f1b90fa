"""A model cut at a layer: the activations A of an image are kept, and only the part behind the layer runs again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.network.contrast import Contrast, resolve_nearest
from gradcam_cli.network.dependence import tensors_downstream
from gradcam_cli.network.gradients import ForwardBackward, LayerCall, resolve_ranks, to_arrays
from gradcam_cli.network.hooks import hooked
from gradcam_cli.network.layer_trace import LayerOutput
from gradcam_cli.network.precision import precision_scope
from gradcam_cli.network.scores import require_probabilities
from gradcam_cli.network.target_scores import target_scores

MAX_KEPT_BYTES = 1 << 27
"""Activations of an image that its first pass returns: those of the last layers, which are the smallest."""


class KeptPass:
    """The forward pass of one image: its scores, and the tensors that were computed on the way.

    Attributes:
        x: (1, h, w, c), the preprocessed image.
        scores: y, logits or None, probabilities, ranked_by, each (1, units).
        tensors: by the reference of the traced tensor.
        last: the layers, classes and contrast of the last call of `SplitNetwork.gradients`, and its result.
    """

    def __init__(self, x: tf.Tensor, scores: Sequence[tf.Tensor | None], tensors: dict[Any, tf.Tensor]) -> None:
        self.x, self.scores, self.tensors = x, scores, tensors
        self.last: tuple[Any, ForwardBackward] | None = None

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        last = [*self.last[1].A, *self.last[1].dA] if self.last else []
        kept: int = sum(tensor.shape.num_elements() * tensor.dtype.size for tensor in self.tensors.values())
        return sum(array.nbytes for array in last) + kept

    def result(self) -> ForwardBackward:
        """Return the scores, without activations and gradients."""
        return to_arrays((*self.scores, tf.zeros((1, 0), tf.int32), [], []))


class _Trace(NamedTuple):
    """The traced forward pass: the function, its tensors, and the output of each layer, by its path."""

    function: Any
    x: tf.Tensor
    weights: tf.Tensor
    score: tf.Tensor
    scores: list[tf.Tensor | None]
    activations: dict[str, tf.Tensor]


class _Head(NamedTuple):
    """The part behind a layer: a function of (*inputs, weights) that returns dA, and the traced tensors it requires."""

    function: Any
    inputs: list[tf.Tensor]


class SplitNetwork:
    """A classifier that is traced once, and cut at any of its layers.

    The forward pass of an image returns its scores and the activations of its layers. For a class c, the part behind a
    layer is run again from its activations A, with its gradient:

        dA = d(sum_c w_c y_c) / dA,    w_c = 1,  or  w_c = 1, w_d = -gamma / T for a contrast with T classes d

    A branch around the layer, such as a residual connection, starts at a tensor that is kept as well.

    Args:
        model: unchanged.
        input_shape: (h, w, c), or with another number of spatial axes.
        num_units: number of classes.
        layers: outputs from `trace_layers` at which the network can be cut.
        score: `logit`, `probability` or `output`.
        precision: a value returned by `resolve_precision`.
        task: a name in `network.task.TASKS`.

    Raises:
        ModelError: the score does not exist or is not accessible.
    """

    def __init__(
        self,
        model: keras.Model,
        input_shape: tuple[int, ...],
        num_units: int,
        layers: Sequence[LayerOutput],
        score: str = "logit",
        precision: str = "float32",
        task: str = "auto",
    ) -> None:
        self._layers = {layer.path: LayerCall.of(model, layer) for layer in layers}
        self._score, self._precision = score, precision
        self._trace = _trace(model, input_shape, num_units, self._layers, score, task)
        self._heads: dict[str, _Head] = {}
        self._parts: dict[tuple[Any, ...], Any] = {}
        self._first = self._last_activations()

    def forward(self, x: np.ndarray) -> KeptPass:
        """Return the forward pass of an image (1, h, w, c), with the activations of its last layers."""
        scores = self._trace.scores
        present = [each for each in scores if each is not None]
        image = tf.constant(x, tf.float32)
        results = self._run([*present, *self._first], image)
        values = iter(results[: len(present)])
        kept = dict(zip((each.ref() for each in self._first), results[len(present) :], strict=True))
        result = KeptPass(image, [None if each is None else next(values) for each in scores], kept)
        if self._score == "probability" and result.scores[1] is None:
            require_probabilities(result.scores[2].numpy())  # type: ignore[union-attr]
        return result

    def gradients(
        self, kept: KeptPass, layers: Sequence[str], class_selectors: np.ndarray, contrast: Contrast | None = None
    ) -> ForwardBackward:
        """Return what the whole pass of `compile_gradient_function` returns for the image.

        Args:
            kept: from `forward`.
            layers: paths.
            class_selectors: (1, 1) int32: a class index, or -r for the class of rank r.
            contrast: the classes with which it is contrasted, (1, 1, T), and their weight.
        """
        key = (
            tuple(layers),
            np.asarray(class_selectors).tolist(),
            contrast and (contrast.against.tolist(), contrast.gamma),
        )
        if kept.last and kept.last[0] == key:  # another method, from the same activations and gradients
            return kept.last[1]
        y, logits, p, ranked_by = kept.scores
        classes = resolve_ranks(ranked_by, tf.constant(class_selectors, tf.int32))
        weights, against = tf.one_hot(classes[:, 0], y.shape[1]), None  # type: ignore[union-attr]
        if contrast:
            selectors = tf.constant(contrast.against[:, 0], tf.int32)
            against = resolve_nearest(y, classes[:, 0], selectors, ranked_by.shape[1])  # type: ignore[union-attr]
            others = tf.reduce_mean(tf.one_hot(against, y.shape[1]), axis=1)  # type: ignore[union-attr]
            weights -= tf.cast(contrast.gamma, tf.float32) * others
        pairs = [self._pass_behind(kept, path, weights) for path in layers]
        result = to_arrays((y, logits, p, ranked_by, classes, [A for A, _ in pairs], [dA[None] for _, dA in pairs]))
        kept.last = key, result._replace(against=None if against is None else against[:, None].numpy())
        return kept.last[1]

    def _pass_behind(self, kept: KeptPass, path: str, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return A and dA of a layer, (1, u, v, k)."""
        head, layer = self._head(path), self._layers[path]
        missing = [each for each in head.inputs if each.ref() not in kept.tensors]
        if missing:
            kept.tensors.update(zip((each.ref() for each in missing), self._run(missing, kept.x), strict=True))
        inputs = [kept.tensors[each.ref()] for each in head.inputs]
        with precision_scope(self._precision):
            (dA,) = head.function(*inputs, weights)
        return tuple(tf.cast(layer.extract(each), tf.float32) for each in (inputs[0], dA))

    def _head(self, path: str) -> _Head:
        if path not in self._heads:
            trace = self._trace
            A = trace.activations[path]
            with trace.function.graph.as_default():
                (dA,) = tf.gradients(trace.score, A)
            inputs = [A, *_kept_around(dA, A, trace.x)]
            self._heads[path] = _Head(_part(trace, [*inputs, trace.weights], [dA]), inputs)
        return self._heads[path]

    def _run(self, wanted: Sequence[tf.Tensor], x: tf.Tensor) -> list[tf.Tensor]:
        """Return tensors of the forward pass of an image."""
        key = tuple(each.ref() for each in wanted)
        if key not in self._parts:
            self._parts[key] = _part(self._trace, [self._trace.x], wanted)
        with precision_scope(self._precision):
            results: list[tf.Tensor] = self._parts[key](x)
        return results

    def _last_activations(self) -> list[tf.Tensor]:
        """Return the activations that the first pass keeps, each once."""
        chosen: dict[Any, tf.Tensor] = {}
        total = 0
        for A in reversed(self._trace.activations.values()):
            total += 0 if A.ref() in chosen else A.shape.num_elements() * A.dtype.size
            if total > MAX_KEPT_BYTES:
                break
            chosen[A.ref()] = A
        return list(chosen.values())


def _trace(
    model: keras.Model,
    input_shape: tuple[int, ...],
    num_units: int,
    layers: dict[str, LayerCall],
    score: str,
    task: str,
) -> _Trace:
    """Trace the forward pass of one image, and the weighted sum of its scores."""
    operations = {str(id(layer.operation)): layer.operation for layer in layers.values()}  # a layer may have many calls
    calls: dict[str, list[tf.Tensor]] = {key: [] for key in operations}
    traced: list[_Trace] = []

    def record(key: str, output: tf.Tensor) -> tf.Tensor:
        own = tf.identity(output) if tf.is_tensor(output) else output  # an identity layer returns that of another layer
        calls[key].append(own)
        return own

    def run(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with hooked(operations, record):
            output = model(x, training=False)
        (y, logits, p), ranked_by, _ = target_scores(output, x, score, task)
        activations = {path: layer.select(calls[str(id(layer.operation))]) for path, layer in layers.items()}
        total = tf.reduce_sum(weights * y)
        traced.append(_Trace(None, x, weights, total, [y, logits, p, ranked_by], activations))
        return y

    shapes = [tf.TensorSpec((1, *input_shape), tf.float32), tf.TensorSpec((1, num_units), tf.float32)]
    function = tf.compat.v1.wrap_function(run, shapes)  # its graph can be cut; a `tf.function` cannot
    return traced[-1]._replace(function=function)


def _part(trace: _Trace, inputs: Sequence[tf.Tensor], outputs: Sequence[tf.Tensor]) -> Any:
    """Return the part of a traced function between some of its tensors, a function of the inputs.

    Without the signature, TensorFlow would first try another one at each call, and print the arrays into an error.
    """
    specs = tuple(tf.TensorSpec(each.shape, each.dtype) for each in inputs)
    return trace.function.prune(list(inputs), list(outputs), input_signature=(specs, {}))


def _kept_around(dA: tf.Tensor, A: tf.Tensor, x: tf.Tensor) -> list[tf.Tensor]:
    """Return the tensors besides A from which dA is computed: they depend on the image x, and not on A."""
    behind, from_image = tensors_downstream(A), tensors_downstream(x)
    found: dict[Any, tf.Tensor] = {}
    visited, pending = {A.ref()}, [dA]
    while pending:
        tensor = pending.pop()
        if tensor.ref() in visited:
            continue
        visited.add(tensor.ref())
        if tensor.ref() in from_image and tensor.ref() not in behind:
            found[tensor.ref()] = tensor
        else:
            pending += tensor.op.inputs
    return list(found.values())
