"""Numbers of images of the classes, and what a classifier can reach without looking at the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcam_cli.console import log
from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.training.datasets import Dataset

FEW_IMAGES = 5
"""Classes with fewer training images are named in a warning."""
IMBALANCE = 10
"""The classes are imbalanced if one has this many times the training images of another."""
STANDARD_ERRORS = 2
"""An accuracy is above chance if the difference exceeds this many standard errors."""
MAX_NAMED_CLASSES = 10
"""Maximum number of classes that a message names."""


def is_imbalanced(data: Dataset, name: str) -> bool:
    """Check the number of training images of each class; warn about few images and about imbalance.

    Args:
        data: the images.
        name: name of the data set, for messages.

    Raises:
        UsageError: a class has no training images.
    """
    counts = np.bincount(data.y_train, minlength=len(data.labels))
    if not counts.all():
        raise UsageError(
            f"--data {name}: expected training images of every class, got none of {_names(data.labels, counts == 0)}",
            "number the classes from 0 without gaps, or remove empty directories",
        )
    if counts.min() < FEW_IMAGES:
        few = _names(data.labels, counts < FEW_IMAGES)
        log.warning("fewer than %d training images of %s: the network hardly learns this class", FEW_IMAGES, few)
    if counts.max() < IMBALANCE * counts.min():
        return False
    log.warning(
        "imbalanced classes: %s training images of %s, %s of %s; the accuracy says little about rare classes",
        *(f"{counts.max():,}", data.labels[counts.argmax()], f"{counts.min():,}", data.labels[counts.argmin()]),
    )
    return True


def warn_of_missing_test_images(y_test: np.ndarray, labels: Sequence[str]) -> None:
    """Warn about classes without test images: the accuracy does not cover them."""
    counts = np.bincount(y_test, minlength=len(labels))
    if not counts.all():
        log.warning("no test images of %s: the accuracy does not cover this class", _names(labels, counts == 0))


def chance_accuracy(y: np.ndarray) -> float:
    """Return the accuracy of a classifier that always chooses the most frequent of the classes y, (n,)."""
    return float(np.bincount(y).max() / len(y))


def warn_of_chance_accuracy(accuracy: float, y: np.ndarray) -> None:
    """Warn if an accuracy on images of the classes y, (n,), is not above chance."""
    chance = chance_accuracy(y)
    if accuracy <= chance + STANDARD_ERRORS * np.sqrt(chance * (1 - chance) / len(y)):
        log.warning(
            "the test accuracy %.3f is at chance level: always choosing the most frequent class has %.3f on these %d "
            "images; train with more --epochs, more images or a different --learning-rate",
            *(accuracy, chance, len(y)),
        )


def warn_of_recalls(rows: Sequence[dict[str, Any]]) -> None:
    """Print the recall of each class, lowest first; the rows are those of `evaluate.per_class_rows`."""
    known = sorted((row for row in rows if row["recall"] is not None), key=lambda row: float(row["recall"]))
    listed = ", ".join(f"{row['class']} {row['recall']:.3f}" for row in known[:MAX_NAMED_CLASSES])
    rest = f", and {len(known) - MAX_NAMED_CLASSES} more" if len(known) > MAX_NAMED_CLASSES else ""
    log.warning("recall of each class: %s%s", listed, rest)


def _names(labels: Sequence[str], is_named: np.ndarray) -> str:
    names = [labels[i] for i in np.flatnonzero(is_named).tolist()]
    rest = f" and {len(names) - MAX_NAMED_CLASSES} more classes" if len(names) > MAX_NAMED_CLASSES else ""
    return ", ".join(names[:MAX_NAMED_CLASSES]) + rest
