"""The two step modes: steps shared by the batch, or steps per sample.

Times, step sizes and errors are float64, of shape () with shared steps and (n,) with per-sample steps. n is the first
axis of z.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class SharedSteps:
    """All samples take the same steps; times have shape ()."""

    def batch_time(self, t: tf.Tensor, z: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return a time () in the shape of this step mode."""
        return t

    def broadcast(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return a time or step size in the dtype of z and a shape that broadcasts with z."""
        return tf.cast(x, z.dtype)

    def coefficients(self, weights: np.ndarray, dt: tf.Tensor, z: tf.Tensor) -> list[tf.Tensor]:
        """Return dt times each weight, in shapes that broadcast with z."""
        coefficients: list[tf.Tensor] = tf.unstack(tf.cast(dt * weights, z.dtype))
        return coefficients

    def rms(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return sqrt(mean x^2) over all elements of all tensors."""
        squares = tf.add_n([tf.reduce_sum(tf.square(x)) for x in tensors])
        return tf.sqrt(tf.cast(squares, tf.float64) / _count([tf.size(x) for x in tensors]))

    def all_finite(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return whether all elements are finite, ()."""
        return tf.math.is_finite(tf.add_n([tf.reduce_max(tf.abs(x)) for x in tensors]))

    def select(self, condition: tf.Tensor, new: Any, old: Any) -> Any:
        """Return the new tensors if the condition () is true, otherwise the old ones."""
        return tf.cond(condition, lambda: new, lambda: old) if old else old


class PerSampleSteps:
    """Each sample takes its own steps, so its result is independent of the batch; times have shape (n,)."""

    def batch_time(self, t: tf.Tensor, z: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return a time () in the shape of this step mode."""
        return tf.fill([tf.shape(z[0])[0]], t)

    def broadcast(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return a time or step size in the dtype of z and a shape that broadcasts with z."""
        return tf.reshape(tf.cast(x, z.dtype), [-1] + [1] * (len(z.shape) - 1))

    def coefficients(self, weights: np.ndarray, dt: tf.Tensor, z: tf.Tensor) -> list[tf.Tensor]:
        """Return dt times each weight, in shapes that broadcast with z."""
        shape = [-1, len(weights)] + [1] * (len(z.shape) - 1)
        return list(tf.unstack(tf.reshape(tf.cast(dt[:, tf.newaxis] * weights, z.dtype), shape), axis=1))

    def rms(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return sqrt(mean x^2) over all elements of each sample, (n,)."""
        squares = tf.add_n([tf.reduce_sum(tf.square(x), axis=_non_batch_axes(x)) for x in tensors])
        return tf.sqrt(tf.cast(squares, tf.float64) / _count([tf.size(x) // tf.shape(x)[0] for x in tensors]))

    def all_finite(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return whether all elements of each sample are finite, (n,)."""
        return tf.math.is_finite(tf.add_n([tf.reduce_max(tf.abs(x), axis=_non_batch_axes(x)) for x in tensors]))

    def select(self, condition: tf.Tensor, new: Any, old: Any) -> Any:
        """Return the new samples where the condition (n,) is true, otherwise the old ones."""
        return [tf.where(_expand_dims(condition, y), x, y) for x, y in zip(new, old, strict=True)]


StepMode = SharedSteps | PerSampleSteps
"""A step mode."""


def _expand_dims(condition: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    return tf.reshape(condition, [-1] + [1] * (len(z.shape) - 1))


def _non_batch_axes(x: tf.Tensor) -> list[int]:
    return list(range(1, len(x.shape)))


def _count(sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.cast(tf.maximum(tf.add_n(sizes), 1), tf.float64)
