"""`Solution`: the states and the step counts that a solve returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.status import raise_on_failure


class Solution(NamedTuple):
    """The result of `odeint`. Every field is a tensor, so that a `tf.function` can return it.

    The fields from `num_accepted_steps` to `dt` have shape (), or (n,) with per-sample steps.

    Attributes:
        z: the states at `times`, (len(times), ...), in the structure of z0; NaN after a failed solve.
        nfe: int32 (), number of function evaluations; those inside a Jacobian do not count.
        njev: int32 (), number of Jacobians df/dz that an implicit solver evaluated; 0 for an explicit solver.
        num_accepted_steps: int32.
        num_rejected_steps: int32.
        status: int32, a value of `Status`.
        t: float64, the last time reached.
        dt: float64, the last step tried, signed.
        times: float64 (times,), or (times, n) with per-sample steps: the requested times; with return_steps=True, the
            initial time and the end of each step.
        steps: with dense=True, what `interpolate` needs: the initial time, the ends of the steps (steps, ...), and the
            coefficients of each step's polynomials (steps, degree + 1, ...) for each tensor of z.
    """

    z: Any
    nfe: tf.Tensor
    njev: tf.Tensor
    num_accepted_steps: tf.Tensor
    num_rejected_steps: tf.Tensor
    status: tf.Tensor
    t: tf.Tensor
    dt: tf.Tensor
    times: tf.Tensor
    steps: list[tf.Tensor]

    def raise_if_failed(self) -> None:
        """Raise the error of a failed solve. Call it on the result of an XLA-compiled solve, which cannot raise.

        Raises:
            SolverError: the solve did not reach its last time.
        """
        steps = np.asarray(self.num_accepted_steps) + np.asarray(self.num_rejected_steps)
        raise_on_failure(np.asarray(self.status), np.asarray(self.t), np.asarray(self.dt), steps, "forward")

    def interpolate(self, t: Any) -> Any:
        """Return the states at any times of the solve, by the continuous extension of the solver.

        Args:
            t: a time or (times,), between the first and the last time of the solve.

        Returns:
            The states, (...) or (times, ...), in the structure of z0; NaN at times outside the solve. They cannot be
            differentiated; the states at times that are requested of `odeint` can.

        Raises:
            UsageError: the solve had dense=False, or in eager mode, a time is outside the solve.
        """
        if not self.steps:
            raise UsageError("interpolate requires dense=True in odeint")
        t = tf.cast(tf.convert_to_tensor(t) if tf.is_tensor(t) else np.asarray(t, np.float64), tf.float64)
        start, ends, *polynomials = self.steps
        query = tf.reshape(t, [-1] + [1] * len(start.shape))  # (times,), or (times, 1) with per-sample steps
        low, high = tf.minimum(start, ends[-1]), tf.maximum(start, ends[-1])
        inside = (query >= low) & (query <= high)
        if tf.executing_eagerly() and not tf.reduce_all(inside):
            raise UsageError(
                f"t: expected times from {tf.reduce_max(low):g} to {tf.reduce_min(high):g}, got {t.numpy()}"
            )
        sign = tf.sign(ends[-1] - start)
        passed = tf.cast(sign * (ends[:, tf.newaxis] - query) < 0, tf.int32)  # (steps, times, ...)
        k = tf.minimum(tf.reduce_sum(passed, axis=0), tf.shape(ends)[0] - 1)  # (times, ...)
        starts = tf.concat([start[tf.newaxis], ends[:-1]], axis=0)
        first, last = _rows(starts, k), _rows(ends, k)
        h = tf.where(last == first, tf.ones_like(last), last - first)
        x = tf.where(inside, (query - first) / h, float("nan"))
        states = [_evaluate(coefficients, k, x) for coefficients in polynomials]
        states = [tf.reshape(y, tf.concat([tf.shape(t), tf.shape(y)[1:]], axis=0)) for y in states]
        return tf.nest.pack_sequence_as(self.z, states)


def _rows(x: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
    """Return x[k], (times, ...), for x (steps, ...) and k (times,), or x[k[:, s], s] for k (times, n)."""
    if len(k.shape) == 1:
        return tf.gather(x, k)
    sample = tf.broadcast_to(tf.range(tf.shape(k)[1]), tf.shape(k))
    return tf.gather_nd(x, tf.stack([k, sample], axis=-1))


def _evaluate(coefficients: tf.Tensor, k: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Return the polynomials of the steps k at the fractions x, by Horner's rule."""
    if len(k.shape) == 2:  # (steps, degree + 1, n, ...) -> (steps, n, degree + 1, ...)
        coefficients = tf.experimental.numpy.moveaxis(coefficients, 1, 2)
    terms = tf.unstack(_rows(coefficients, k), axis=len(k.shape))
    x = tf.cast(
        tf.reshape(x, tf.concat([tf.shape(k), tf.ones([tf.rank(terms[0]) - len(k.shape)], tf.int32)], 0)),
        terms[0].dtype,
    )
    value = terms[-1]
    for term in terms[-2::-1]:
        value = value * x + term
    return value
