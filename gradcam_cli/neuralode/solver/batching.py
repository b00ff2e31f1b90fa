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

    def batch_times(self, t: tf.Tensor, z: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return times (times,) in the shape of this step mode, (times,)."""
        return t

    def broadcast(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return a time or step size in the dtype of z and a shape that broadcasts with z."""
        return tf.cast(x, z.dtype)

    def coefficients(self, weights: np.ndarray, dt: tf.Tensor, z: tf.Tensor) -> list[tf.Tensor]:
        """Return dt times each weight, in shapes that broadcast with z."""
        coefficients: list[tf.Tensor] = tf.unstack(tf.cast(dt * weights, z.dtype))
        return coefficients

    def num_rows(self, z: Sequence[tf.Tensor]) -> Any:
        """Return the number of systems with steps of their own: 1."""
        return 1

    def row_size(self, z: tf.Tensor) -> Any:
        """Return the number of elements of z: an integer if its shape is static, otherwise a tensor."""
        return tf.size(z) if z.shape.num_elements() is None else z.shape.num_elements()

    def take(self, x: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Return x[row], for x (rows, ...)."""
        return tf.gather(x, row)

    def put(self, x: tf.Tensor, row: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        """Return x (rows, ...) with x[row] replaced."""
        return tf.tensor_scatter_nd_update(x, [[row]], value[tf.newaxis])

    def buffer(self, x: tf.Tensor) -> Any:
        """Return a loop variable that holds x (rows, ...). Writes to an array do not copy it."""
        return tf.TensorArray(x.dtype, tf.shape(x)[0], element_shape=x.shape[1:], clear_after_read=False).unstack(x)

    def write(self, buffer: Any, row: tf.Tensor, value: tf.Tensor) -> Any:
        """Return a buffer with a row replaced."""
        return buffer.write(row, value)

    def read_all(self, buffer: Any) -> tf.Tensor:
        """Return the contents of a buffer, (rows, ...)."""
        return buffer.stack()

    def dot(self, u: Sequence[tf.Tensor], v: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the dot product of u and v over all tensors, float64 ()."""
        return tf.add_n([tf.reduce_sum(tf.cast(x * y, tf.float64)) for x, y in zip(u, v, strict=True)])

    def rms(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return sqrt(mean x^2) over all elements of all tensors."""
        squares = tf.add_n([tf.reduce_sum(tf.square(x)) for x in tensors])
        return tf.sqrt(tf.cast(squares, tf.float64) / _count([tf.size(x) for x in tensors]))

    def all_finite(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return whether all elements are finite, ()."""
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in tensors])

    def select(self, condition: tf.Tensor, new: Any, old: Any) -> Any:
        """Return the new tensors if the condition () is true, otherwise the old ones."""
        return tf.cond(condition, lambda: new, lambda: old) if old else old


class PerSampleSteps:
    """Each sample takes its own steps, so its result is independent of the batch; times have shape (n,)."""

    def batch_times(self, t: tf.Tensor, z: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return times (times,) or (times, n) in the shape of this step mode, (times, n)."""
        rows = t if t.shape.rank == 2 else t[:, tf.newaxis]
        return tf.ensure_shape(tf.broadcast_to(rows, [t.shape[0], tf.shape(z[0])[0]]), [t.shape[0], z[0].shape[0]])

    def broadcast(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Return a time or step size in the dtype of z and a shape that broadcasts with z."""
        return tf.reshape(tf.cast(x, z.dtype), [-1] + [1] * (len(z.shape) - 1))

    def coefficients(self, weights: np.ndarray, dt: tf.Tensor, z: tf.Tensor) -> list[tf.Tensor]:
        """Return dt times each weight, in shapes that broadcast with z."""
        shape = [-1, len(weights)] + [1] * (len(z.shape) - 1)
        return list(tf.unstack(tf.reshape(tf.cast(dt[:, tf.newaxis] * weights, z.dtype), shape), axis=1))

    def num_rows(self, z: Sequence[tf.Tensor]) -> Any:
        """Return the number of systems with steps of their own: n, an integer if it is static."""
        return tf.shape(z[0])[0] if z[0].shape[0] is None else z[0].shape[0]

    def row_size(self, z: tf.Tensor) -> Any:
        """Return the number of elements of a sample of z: an integer if its shape is static, otherwise a tensor."""
        size = z.shape[1:].num_elements()
        return tf.reduce_prod(tf.shape(z)[1:]) if size is None else size

    def take(self, x: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Return x[row[s], s] for each sample s, for x (rows, n, ...) and row (n,)."""
        return tf.gather_nd(x, _row_and_sample(row))

    def put(self, x: tf.Tensor, row: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        """Return x (rows, n, ...) with x[row[s], s] replaced for each sample s."""
        return tf.tensor_scatter_nd_update(x, _row_and_sample(row), value)

    def buffer(self, x: tf.Tensor) -> Any:
        """Return a loop variable that holds x (rows, n, ...)."""
        return x

    def write(self, buffer: Any, row: tf.Tensor, value: tf.Tensor) -> Any:
        """Return a buffer with a row of each sample replaced."""
        return self.put(buffer, row, value)

    def read_all(self, buffer: Any) -> tf.Tensor:
        """Return the contents of a buffer, (rows, n, ...)."""
        return buffer

    def dot(self, u: Sequence[tf.Tensor], v: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the dot product of u and v over all tensors for each sample, float64 (n,)."""
        products = [tf.cast(x * y, tf.float64) for x, y in zip(u, v, strict=True)]
        return tf.add_n([tf.reduce_sum(x, axis=_non_batch_axes(x)) for x in products])

    def rms(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return sqrt(mean x^2) over all elements of each sample, (n,)."""
        squares = tf.add_n([tf.reduce_sum(tf.square(x), axis=_non_batch_axes(x)) for x in tensors])
        sizes = [tf.size(x) // tf.maximum(tf.shape(x)[0], 1) for x in tensors]
        return tf.sqrt(tf.cast(squares, tf.float64) / _count(sizes))

    def all_finite(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return whether all elements of each sample are finite, (n,)."""
        finite = [tf.reduce_all(tf.math.is_finite(x), axis=_non_batch_axes(x)) for x in tensors]
        return tf.reduce_all(finite, axis=0)

    def select(self, condition: tf.Tensor, new: Any, old: Any) -> Any:
        """Return the new samples where the condition (n,) is true, otherwise the old ones."""
        return [tf.where(_expand_dims(condition, y), x, y) for x, y in zip(new, old, strict=True)]


StepMode = SharedSteps | PerSampleSteps
"""A step mode."""


def _row_and_sample(row: tf.Tensor) -> tf.Tensor:
    """Return the indices (n, 2) of each sample's row."""
    return tf.stack([row, tf.range(tf.size(row))], axis=1)


def _expand_dims(condition: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    return tf.reshape(condition, [-1] + [1] * (len(z.shape) - 1))


def _non_batch_axes(x: tf.Tensor) -> list[int]:
    return list(range(1, len(x.shape)))


def _count(sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.cast(tf.maximum(tf.add_n(sizes), 1), tf.float64)


def time_within(
    step_mode: StepMode, t: tf.Tensor, z: tf.Tensor, bounds: tuple[tf.Tensor, tf.Tensor] | None
) -> tf.Tensor:
    """Return the time that f receives, in the dtype of z; with bounds, at least one rounding unit inside them."""
    time = step_mode.broadcast(t, z)
    if bounds is None:
        return time
    start, end = (step_mode.broadcast(x, z) for x in bounds)
    first, last = tf.math.nextafter(start, end), tf.math.nextafter(end, start)
    return tf.clip_by_value(time, tf.minimum(first, last), tf.maximum(first, last))
