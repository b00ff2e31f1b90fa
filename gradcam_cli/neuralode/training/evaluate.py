"""Evaluation of a classifier: logits, loss, accuracy and confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError
from gradcam_cli.neuralode.solver.status import failure_message

EVALUATION_BATCH_SIZE = 500
"""Images per batch."""


class Predictions(NamedTuple):
    """The predictions of a classifier.

    Attributes:
        loss: mean cross-entropy.
        logits: (n, classes).
    """

    loss: float
    logits: np.ndarray

    def accuracy(self, y: np.ndarray) -> float:
        """Return the fraction of images whose true class has the largest logit."""
        return float((self.logits.argmax(axis=-1) == y).mean())

    def confusion(self, y: np.ndarray) -> np.ndarray:
        """Return the number of images per true class (rows) and predicted class (columns), (classes, classes)."""
        table = np.zeros((self.logits.shape[-1],) * 2, np.int64)
        np.add.at(table, (y, self.logits.argmax(axis=-1)), 1)
        return table


def evaluate(
    model: keras.Model, x: np.ndarray, y: np.ndarray, advance: Callable[[int], None] = lambda _: None
) -> Predictions:
    """Return the predictions of a model for images.

    Args:
        model: a network whose outputs are logits.
        x: (n, h, w, c), pixels.
        y: (n,), true classes.
        advance: called after each batch with its number of images.

    Raises:
        GradcamError: an ODE cannot be solved, or the memory does not suffice.
    """
    predict = tf.function(lambda x: model(x, training=False), autograph=False)
    parts = []
    for start in range(0, len(x), EVALUATION_BATCH_SIZE):
        batch = tf.constant(x[start : start + EVALUATION_BATCH_SIZE], tf.float32)
        try:
            parts.append(predict(batch).numpy())
        except tf.errors.InvalidArgumentError as error:
            raise GradcamError(failure_message(error), "use a larger tolerance") from error
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise GradcamError("out of memory during the evaluation", "use smaller images") from error
        advance(len(batch))
    logits = np.concatenate(parts)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
    return Predictions(float(tf.reduce_mean(loss)), logits)


def require_finite(predictions: Predictions) -> Predictions:
    """Return the predictions if all logits are finite.

    Raises:
        GradcamError: they are not; loss and accuracy would be meaningless.
    """
    if not np.isfinite(predictions.logits).all():
        raise GradcamError("the model returns logits that are not finite", "train it with a lower learning rate")
    return predictions


def per_class_rows(confusion: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the number of images, correct predictions, recall and precision of each class.

    Args:
        confusion: (classes, classes), rows are true classes, columns are predicted classes.
        labels: names of the classes.
    """
    rows = []
    for i, label in enumerate(labels):
        num_true, num_predicted, correct = (
            int(x) for x in (confusion[i].sum(), confusion[:, i].sum(), confusion[i, i])
        )
        recall, precision = (correct / count if count else None for count in (num_true, num_predicted))
        rows.append({"class": label, "images": num_true, "correct": correct, "recall": recall, "precision": precision})
    return rows
