"""What is explained: functions from a model's outputs to scores y, (n, units)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.logits import find_logits, find_tensor_logits
from gradcam_cli.network.scores import Scores, scores_of

KINDS = ("class", "segment", "detection", "similarity")


@dataclass(frozen=True, eq=False)
class Target:
    """What is explained.

    Attributes:
        kind: a name in `KINDS`.
        region: pixels of a segmentation: `object`, where the class wins; `all`; or (row, column) of the output's grid.
        head: name or index of the output that is explained; None requires a single output.
        reference: similarity: the embedding (d,) of the reference image.
        contrast: similarity: the embedding (d,) of a second image, or None.
    """

    kind: str = "class"
    region: str | tuple[int, int] = "object"
    head: str | None = None
    reference: np.ndarray | None = None
    contrast: np.ndarray | None = None


CLASS = Target()


class TargetScores(NamedTuple):
    """The scores of a target, and the values (n, units) by which its units are ranked."""

    scores: Scores
    ranked_by: tf.Tensor


def target_scores(output: Any, x: tf.Tensor, score: str, task: str = "auto", target: Target = CLASS) -> TargetScores:
    """Return the scores of a target.

    Args:
        output: what the model returned.
        x: the tensor that the model was called with.
        score: `logit`, `probability` or `output`.
        task: a name in `task.TASKS`.
        target: what is explained.

    Raises:
        ModelError: the output does not fit the target.
    """
    output = output if target.head is None else select_head(output, target.head)
    if target.kind == "class":
        scores = scores_of(find_logits(output, x), score, task)
        return TargetScores(scores, scores.y)
    if target.kind == "similarity":
        if score == "probability":
            raise ModelError("a similarity is not a probability", "leave out --score probability")
        return _similarity(_one_tensor(output, 2, "an embedding (n, d)"), target)
    rank, expected = (
        (4, "class scores (n, h, w, classes)") if target.kind == "segment" else (3, "(n, anchors, classes)")
    )
    scores = scores_of(find_tensor_logits(_one_tensor(output, rank, expected), x), score, task)
    return _segment(scores, target.region) if target.kind == "segment" else _detection(scores)


def select_head(output: Any, head: str) -> Any:
    """Return one output of a model with several: by its key in a dict, or its index."""
    heads = output if isinstance(output, dict) else dict(enumerate(output if isinstance(output, (list, tuple)) else []))
    for name, value in [*heads.items(), *enumerate(heads.values())]:
        if str(name) == head:
            return value
    raise ModelError(f"output {head!r} not found", f"the outputs are {', '.join(map(str, heads)) or 'one tensor'}")


def _segment(scores: Scores, region: str | tuple[int, int]) -> TargetScores:
    """Sum over the pixels M of a class: y_c = sum over (i, j) in M of y_c[i, j]; the mask M has no gradient.

    The probability is the mean over M, NaN if M is empty. Units are ranked by the area where they win; for a pixel,
    by the scores of this pixel.

    Source:
        Vinogradova et al. 2020, Towards Interpretable Semantic Segmentation via Gradient-weighted Class Activation
        Mapping, equation 1.
    """
    y, logits, p = scores
    wins = tf.stop_gradient(tf.one_hot(tf.argmax(y, -1), y.shape[-1]))
    if isinstance(region, tuple):
        y, p = y[:, region[0], region[1]], p[:, region[0], region[1]]
        return TargetScores(Scores(y, None if logits is None else logits[:, region[0], region[1]], p), y)
    mask = wins if region == "object" else tf.ones_like(y)
    total = tf.reduce_sum(mask * y, (1, 2))
    mean_p = tf.reduce_sum(mask * p, (1, 2)) / tf.reduce_sum(mask, (1, 2))
    sums = None if logits is None else tf.reduce_sum(mask * logits, (1, 2))
    return TargetScores(Scores(total, sums, mean_p), tf.reduce_sum(wins, (1, 2)))


def _detection(scores: Scores) -> TargetScores:
    """Return the score of each class's best anchor: y_c = y_c[a], a = argmax over anchors, without other anchors."""
    best = tf.argmax(scores.y, 1, output_type=tf.int32)

    def at_best(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.transpose(values, (0, 2, 1)), best, batch_dims=2)

    y, logits, p = scores
    y = at_best(y)
    return TargetScores(Scores(y, None if logits is None else at_best(logits), at_best(p)), y)


def _similarity(embedding: tf.Tensor, target: Target) -> TargetScores:
    """Return y = cos(f(x), f(reference)), less cos(f(x), f(contrast)) if there is a contrast."""
    if target.reference is None:
        raise ModelError("similarity: the embedding of a reference image is missing")
    unit = tf.math.l2_normalize(tf.cast(embedding, tf.float32), -1)
    direction = _unit(target.reference) - (0 if target.contrast is None else _unit(target.contrast))
    y = tf.reduce_sum(unit * direction, -1, keepdims=True)
    return TargetScores(Scores(y, None, tf.fill(tf.shape(y), np.float32(np.nan))), y)


def _unit(embedding: np.ndarray) -> np.ndarray:
    norm = float(np.linalg.norm(embedding))
    if not np.isfinite(norm) or norm == 0:
        raise ModelError("similarity: the embedding of a reference image is zero or not finite")
    return (embedding / norm).astype(np.float32)


def _one_tensor(output: Any, rank: int, expected: str) -> tf.Tensor:
    tensors = keras.tree.flatten(output)
    if len(tensors) != 1 or tensors[0].shape.rank != rank:
        shapes = keras.tree.map_structure(lambda part: tuple(part.shape), output)
        raise ModelError(f"expected one output with {expected}, got {shapes}")
    return tensors[0]
