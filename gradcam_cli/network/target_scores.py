"""The scores of a target: functions from a model's outputs to scores y, (n, units).

For a classifier the units are its classes; a segmentation or a detector has them for each pixel or anchor, and a
similarity has one unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.group_scores import with_groups
from gradcam_cli.network.logits import find_logits, find_tensor_logits
from gradcam_cli.network.scores import Scores, scores_of
from gradcam_cli.network.target import CLASS, PLACES, Target, require_shape, select_head


class TargetScores(NamedTuple):
    """The scores of a target.

    Attributes:
        scores: of its units, and of groups of classes after them.
        ranked_by: (n, units), the values by which its units are ranked.
        boxes: (n, units, 4) of a detection with boxes: that of each class's best anchor, as the model writes it.
    """

    scores: Scores
    ranked_by: tf.Tensor
    boxes: tf.Tensor | None = None


def target_scores(
    output: Any,
    x: tf.Tensor,
    score: str,
    task: str = "auto",
    target: Target = CLASS,
    replacements: Sequence[tf.Tensor] = (),
) -> TargetScores:
    """Return the scores of a target.

    Args:
        output: what the model returned.
        x: the tensor that the model was called with.
        score: `logit`, `probability` or `output`.
        task: a name in `task.TASKS`.
        target: what is explained.
        replacements: tensors in the place of a layer's output.

    Raises:
        ModelError: the output does not fit the target.
    """
    if target.kind == "class":
        found = find_logits(select_head(output, target.head), x, *replacements)
        scores = scores_of(found, score, task)
        return TargetScores(with_groups(scores, target.groups, found.activation, score), scores.y)
    tensor = target_tensor(output, target, x.shape.rank - 2)
    if target.kind == "similarity":
        if score == "probability":
            raise ModelError("a similarity is not a probability", "leave out --score probability")
        return _similarity(tensor, target)
    found = find_tensor_logits(tensor, x, *replacements)
    if score == "probability" and found.activation not in ("softmax", "sigmoid"):
        raise ModelError("the output is not shown to be probabilities", "--score output explains it as it is")
    scores = scores_of(found, score, task)
    if target.kind == "detection":
        return _detection(scores, _boxes(output, tensor) if target.box_format else None)
    return _segment(scores, target.region, x.shape)


def target_tensor(output: Any, target: Target, rank: int) -> tf.Tensor:
    """Return the tensor of a model's output that is explained, of a model input with this number of spatial axes.

    Raises:
        ModelError: the output has several tensors, or a tensor of another rank.
    """
    selected = select_head(output, target.head)
    tensors = keras.tree.flatten(selected)
    shapes = [tuple(tensor.shape) for tensor in tensors]
    require_shape(shapes[0] if len(shapes) == 1 else shapes, target, rank)
    return tensors[0]


def _segment(scores: Scores, region: str | tuple[int, ...], input_shape: Any) -> TargetScores:
    """Sum over the pixels M of a class: y_c = sum over (i, j) in M of y_c[i, j]; the mask M has no gradient.

    Of a volume, the sum is over voxels; of a signal, over its values.

    The logit and the probability are means over M, NaN if M is empty. Units are ranked by the area where they win; for
    a single pixel, by the scores of this pixel.

    Source:
        Vinogradova et al. 2020, Towards Interpretable Semantic Segmentation via Gradient-weighted Class Activation
        Mapping, equation 1.
    """
    y, logits, p = scores
    wins = tf.stop_gradient(tf.one_hot(tf.argmax(y, -1), y.shape[-1]))
    if isinstance(region, tuple):
        at = (slice(None), *_cell(region, input_shape[1:-1], y.shape[1:-1]))
        cell = Scores(y[at], None if logits is None else logits[at], p[at])
        return TargetScores(cell, cell.y)
    axes = tuple(range(1, y.shape.rank - 1))
    mask = wins if region == "object" else tf.ones_like(y)
    area = tf.reduce_sum(mask, axes)
    means = [None if part is None else tf.reduce_sum(mask * part, axes) / area for part in (logits, p)]
    return TargetScores(Scores(tf.reduce_sum(mask * y, axes), *means), tf.reduce_sum(wins, axes))


def _cell(region: tuple[int, ...], input_shape: Sequence[int], output_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the indices in a segmentation of a pixel (x, y) of the model input, or of (x,) or (x, y, z)."""
    place = region[::-1]
    if len(place) != len(input_shape) or any(i >= side for i, side in zip(place, input_shape, strict=True)):
        first, last = ",".join("0" * len(input_shape)), ",".join(str(side - 1) for side in input_shape[::-1])
        raise ModelError(
            f"target: expected a {PLACES[len(input_shape)][0]} of the model input, {first} to {last}, "
            f"got {','.join(map(str, region))}"
        )
    return tuple(i * cells // side for i, side, cells in zip(place, input_shape, output_shape, strict=True))


def _boxes(output: Any, scores: tf.Tensor) -> tf.Tensor:
    """Return the output with a box for each anchor, (n, anchors, 4)."""
    tensors = [tensor for tensor in keras.tree.flatten(output) if tensor is not scores]
    boxes = [tensor for tensor in tensors if tuple(tensor.shape[1:]) == (scores.shape[1], 4)]
    if len(boxes) != 1:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "none"
        raise ModelError(
            f"target: expected one output with a box for each anchor, (n, {scores.shape[1]}, 4), got {shapes}",
            "--target detection needs no boxes",
        )
    return boxes[0]


def _detection(scores: Scores, boxes: tf.Tensor | None) -> TargetScores:
    """Return the score of each class's best anchor: y_c = y_c[a], a = argmax over anchors, without other anchors."""
    best = tf.argmax(scores.y, 1, output_type=tf.int32)

    def at_best(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.transpose(values, (0, 2, 1)), best, batch_dims=2)

    y, logits, p = (None if part is None else at_best(part) for part in scores)
    return TargetScores(Scores(y, logits, p), y, None if boxes is None else tf.gather(boxes, best, batch_dims=1))


def _similarity(embedding: tf.Tensor, target: Target) -> TargetScores:
    """Return y = cos(f(x), f(reference)), less cos(f(x), f(contrast)) if there is a contrast."""
    directions = [_unit(each, file) for each, file in zip(target.embeddings, target.files, strict=True)]
    direction = directions[0] - directions[1] if len(directions) > 1 else directions[0]
    unit = tf.math.l2_normalize(tf.cast(embedding, tf.float32), -1)
    y = tf.reduce_sum(unit * direction, -1, keepdims=True)
    return TargetScores(Scores(y, None, tf.fill(tf.shape(y), np.float32(np.nan))), y)


def _unit(embedding: np.ndarray, file: str) -> np.ndarray:
    norm = float(np.linalg.norm(embedding))
    if not np.isfinite(norm) or norm == 0:
        raise ModelError(f"similarity: the embedding of {file} is zero or not finite")
    return (embedding / norm).astype(np.float32)
