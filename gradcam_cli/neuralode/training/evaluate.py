"""How well a classifier does: its answers to many images, the loss, the accuracy and what is taken for what."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError
from gradcam_cli.neuralode.solver.status import failure_message

EVALUATION_BATCH_SIZE = 500
"""Images in one pass."""


class Predictions(NamedTuple):
    """How well a classifier does: mean cross-entropy, and the logits (n, classes)."""

    loss: float
    logits: np.ndarray

    def accuracy(self, y: np.ndarray) -> float:
        """Return the share of images whose class has the largest logit."""
        return float((self.logits.argmax(axis=-1) == y).mean())

    def confusion(self, y: np.ndarray) -> np.ndarray:
        """Return how many images of each class (rows) are taken for each (columns), (classes, classes)."""
        table = np.zeros((self.logits.shape[-1],) * 2, np.int64)
        np.add.at(table, (y, self.logits.argmax(axis=-1)), 1)
        return table


def evaluate(
    model: keras.Model, x: np.ndarray, y: np.ndarray, advance: Callable[[int], None] = lambda _: None
) -> Predictions:
    """Return how well a model of logits does on images (n, h, w, c) and their classes (n,).

    Raises:
        GradcamError: an equation cannot be solved.
    """
    answer = tf.function(lambda x: model(x, training=False), autograph=False)
    parts = []
    for start in range(0, len(x), EVALUATION_BATCH_SIZE):
        batch = tf.constant(x[start : start + EVALUATION_BATCH_SIZE], tf.float32)
        try:
            parts.append(answer(batch).numpy())
        except tf.errors.InvalidArgumentError as error:
            raise GradcamError(failure_message(error), "a looser tolerance may help") from error
        advance(len(batch))
    logits = np.concatenate(parts)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
    return Predictions(float(tf.reduce_mean(loss)), logits)
