"""One clock for the whole batch, or one for each sample: what differs between the two ways to step.

Times, step sizes and errors are float64 and of shape () in the one case, (n,) in the other; n is the first axis of z.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class SharedSteps:
    """All samples take the same steps."""

    def batch_time(self, t: tf.Tensor, z: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return a time () as this batch's clocks show it."""
        return t

    def broadcast(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return a clock's value in a form that multiplies z."""
        return tf.cast(x, z.dtype)

    def coefficients(self, weights: np.ndarray, dt: tf.Tensor, z: tf.Tensor) -> list[tf.Tensor]:
        """Return dt times each of the weights, in a form that multiplies z."""
        coefficients: list[tf.Tensor] = tf.unstack(tf.cast(dt * weights, z.dtype))
        return coefficients

    def rms(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return sqrt(mean x^2) over all elements of all tensors."""
        squares = tf.add_n([tf.reduce_sum(tf.square(x)) for x in tensors])
        return tf.sqrt(tf.cast(squares, tf.float64) / _count([tf.size(x) for x in tensors]))

    def all_finite(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return whether nothing is NaN or infinite."""
        return tf.math.is_finite(tf.add_n([tf.reduce_max(tf.abs(x)) for x in tensors]))

    def select(self, condition: tf.Tensor, new: Any, old: Any) -> Any:
        """Return a list of tensors or the other."""
        return tf.cond(condition, lambda: new, lambda: old) if old else old


class PerSampleSteps:
    """Each sample takes steps of its own, so that its result does not depend on its neighbours'."""

    def batch_time(self, t: tf.Tensor, z: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return a time () as this batch's clocks show it."""
        return tf.fill([tf.shape(z[0])[0]], t)

    def broadcast(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return a clock's value in a form that multiplies z."""
        return tf.reshape(tf.cast(x, z.dtype), [-1] + [1] * (len(z.shape) - 1))

    def coefficients(self, weights: np.ndarray, dt: tf.Tensor, z: tf.Tensor) -> list[tf.Tensor]:
        """Return dt times each of the weights, in a form that multiplies z."""
        shape = [-1, len(weights)] + [1] * (len(z.shape) - 1)
        return list(tf.unstack(tf.reshape(tf.cast(dt[:, tf.newaxis] * weights, z.dtype), shape), axis=1))

    def rms(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return sqrt(mean x^2) over all elements of each sample, (n,)."""
        squares = tf.add_n([tf.reduce_sum(tf.square(x), axis=_non_batch_axes(x)) for x in tensors])
        return tf.sqrt(tf.cast(squares, tf.float64) / _count([tf.size(x) // tf.shape(x)[0] for x in tensors]))

    def all_finite(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return whether nothing of each sample is NaN or infinite, (n,)."""
        return tf.math.is_finite(tf.add_n([tf.reduce_max(tf.abs(x), axis=_non_batch_axes(x)) for x in tensors]))

    def select(self, condition: tf.Tensor, new: Any, old: Any) -> Any:
        """Return a list whose tensors have, sample by sample, the one or the other."""
        return [tf.where(_expand_dims(condition, y), x, y) for x, y in zip(new, old, strict=True)]


StepMode = SharedSteps | PerSampleSteps


def _expand_dims(condition: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    return tf.reshape(condition, [-1] + [1] * (len(z.shape) - 1))


def _non_batch_axes(x: tf.Tensor) -> list[int]:
    return list(range(1, len(x.shape)))


def _count(sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.cast(tf.maximum(tf.add_n(sizes), 1), tf.float64)
