"""The contrast of a class with others: the score y_c - gamma mean_d y_d.

Source:
    Zhang et al. 2025, Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation. The mean over
    the contrasted classes d is taken before the ReLU of the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Contrast(NamedTuple):
    """The classes d with which the explained ones are contrasted.

    Attributes:
        against: (n, C, T) int32 for n images and C explained classes: indices of classes or groups, or -r for the class
            whose score is the r-th nearest to that of the explained class.
        gamma: weight of their mean score.
    """

    against: np.ndarray
    gamma: float


def contrast_scores(
    y: tf.Tensor, classes: tf.Tensor, contrast: Contrast, class_count: int, groups: Sequence[Sequence[int]] = ()
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Return the score (n,) of each contrast, and the contrasted classes, (n, C, T).

    Args:
        y: (n, units), scores of the classes, then of the groups.
        classes: (n, C) int32, the explained classes or groups.
        contrast: the classes d, and their weight, as tensors.
        class_count: number of classes.
        groups: indices of the members of each group.
    """
    scores, resolved = [], []
    for c in range(classes.shape[1]):
        resolved.append(resolve_nearest(y, classes[:, c], contrast.against[:, c], class_count, groups))
        scores.append(contrast_score(y, classes[:, c], resolved[-1], contrast.gamma))
    return scores, tf.stack(resolved, axis=1)


def contrast_score(y: tf.Tensor, c: tf.Tensor, against: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
    """Return y_c - gamma / T sum_d y_d, (n,).

    Args:
        y: (n, units), scores.
        c: (n,) int32, the explained classes.
        against: (n, T) int32, the contrasted classes d.
        gamma: their weight.
    """
    y_c, y_d = tf.gather(y, c, batch_dims=1), tf.gather(y, against, batch_dims=1)
    return y_c - tf.cast(gamma, y.dtype) * tf.reduce_mean(y_d, axis=1)


def resolve_nearest(
    y: tf.Tensor, c: tf.Tensor, against: tf.Tensor, class_count: int, groups: Sequence[Sequence[int]] = ()
) -> tf.Tensor:
    """Return (n, T) indices; -r becomes the r-th class d by |y_d - y_c|, smallest first.

    The explained class, the classes that are contrasted by their index, and the members of groups are left out.

    Args:
        y: (n, units), scores of the classes, then of the groups.
        c: (n,) int32, the explained classes or groups.
        against: (n, T) int32, indices or negative ranks.
        class_count: number of classes.
        groups: indices of the members of each group.
    """
    distance = tf.abs(y[:, :class_count] - tf.gather(y, c, batch_dims=1)[:, None])
    taken = _covered(tf.concat([c[:, None], against], axis=1), class_count, groups)
    order = tf.argsort(tf.where(taken, y.dtype.max, distance), axis=-1, stable=True)
    nearest = tf.gather(order, tf.maximum(-against - 1, 0), batch_dims=1)
    return tf.where(against < 0, nearest, against)


def _covered(units: tf.Tensor, class_count: int, groups: Sequence[Sequence[int]]) -> tf.Tensor:
    """Return (n, classes) bool: whether a class is one of the units, or a member of one; negative units cover none."""
    covered = tf.reduce_any(tf.one_hot(units, class_count, on_value=True, off_value=False, dtype=tf.bool), axis=1)
    for k, members in enumerate(groups):
        is_group = tf.reduce_any(units == class_count + k, axis=1, keepdims=True)
        inside = tf.constant(np.isin(np.arange(class_count), members)[None])
        covered |= is_group & inside
    return covered
