"""The score that is explained, with the logits and the probabilities, from a model's output."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.logits import Output


class Scores(NamedTuple):
    """The scores of a batch, all (n, classes) float32.

    Attributes:
        y: the score that is explained.
        logits: the scores before the output activation, or None if they are not accessible or do not exist.
        probabilities: NaN if the model's output is not a probability.
    """

    y: tf.Tensor
    logits: tf.Tensor | None
    probabilities: tf.Tensor


def scores_of(output: Output, score: str, task: str = "auto") -> Scores:
    """Return the scores of a model's output.

    A single output y of a sigmoid, or of a binary task, has two classes with the logits (-y, y). A linear output with
    several units is interpreted as the logits of a softmax. A single linear output is a value without classes.

    Args:
        output: from `find_logits`.
        score: `logit`, `probability`, or `output` for the model's output as it is.
        task: a name in `network.task.TASKS`.

    Raises:
        ModelError: the score does not exist or is not accessible.
    """
    single = output.values.shape[-1] == 1
    if score == "output" or (output.activation == "linear" and single and task != "binary") or task == "regression":
        return _values(output, score)
    if output.logits is None or output.activation is None:
        return _inaccessible_logits(output, score)
    if single and output.activation == "softmax":
        raise ModelError("the model has a softmax over a single output: its probability is always 1")
    sigmoid = single or output.activation == "sigmoid"
    logits = tf.concat([-output.logits, output.logits], axis=-1) if single else output.logits
    p = tf.sigmoid(logits) if sigmoid else tf.nn.softmax(logits)
    return Scores(p if score == "probability" else logits, logits, p)


def _values(output: Output, score: str) -> Scores:
    if score == "probability":
        raise ModelError("the model returns a value, not a probability", "--score output explains the value")
    accessible = output.activation in ("softmax", "sigmoid") and output.values.shape[-1] > 1
    return Scores(
        output.values,
        output.logits if accessible else None,
        output.values if accessible else tf.fill(tf.shape(output.values), np.float32(np.nan)),
    )


def _inaccessible_logits(output: Output, score: str) -> Scores:
    if score == "logit":
        raise ModelError(
            "the logit before the output activation is not accessible in this model",
            "--score probability or --score output explains the model's own output instead",
        )
    p = output.values
    p = tf.concat([1 - p, p], axis=-1) if p.shape[-1] == 1 else p
    return Scores(p, None, p)


def require_probabilities(probabilities: np.ndarray) -> None:
    """Check by their values that a model's outputs are probabilities: in 0..1, with the sum 1.

    Raises:
        ModelError: they are not.
    """
    low, high, total = probabilities.min(), probabilities.max(), probabilities.sum(-1)
    if low < -1e-3 or high > 1 + 1e-3 or not np.allclose(total, 1, atol=1e-2):
        raise ModelError(
            f"expected probabilities, got outputs from {low:.3g} to {high:.3g} with sums from {total.min():.3g} to "
            f"{total.max():.3g}",
            "--score output explains the model's output as it is",
        )
