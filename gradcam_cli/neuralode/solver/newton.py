"""Newton's method for the stages of an implicit step.

The slope k of a stage is the solution of k = f(t, b + h gamma k), where b is the part of the state that earlier stages
determine. The modified Newton iteration is

    (I - h gamma J) dk = f(t, b + h gamma k) - k,    k <- k + dk

with the Jacobian J = df/dz at the start of the step. J is kept for the following steps while the iteration converges
fast. With the contraction rate r = |dk| / |previous dk|, the error that remains is about |dk| r / (1 - r). Norms are in
units of the tolerance of the solve.

All states are matrices (m, d): a row with all elements for shared steps, or a row for each sample for per-sample steps.

Source:
    Hairer and Wanner 1996, Solving Ordinary Differential Equations II, section IV.8.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.batching import StepMode
from gradcam_cli.neuralode.solver.runge_kutta import OdeSystem
from gradcam_cli.neuralode.solver.typing import Tensors

MAX_IMPLICIT_SIZE = 1000
"""Maximum number of elements of a state, or of a sample with per-sample steps: the Jacobian has their square."""

NEWTON_TOLERANCE = 0.1
"""Maximum error of a stage, in units of the tolerance of the solve."""

MAX_ITERATIONS = 8
"""Maximum number of iterations for a stage of a new step."""

MAX_REPLAY_ITERATIONS = 50
"""Maximum number of iterations for a stage of an accepted step that is recomputed, maybe with another Jacobian."""

ROUNDING = 10
"""Rounding error of a stage, in units of the machine epsilon times the state."""

KEEP_RATE = 0.01
"""Maximum contraction rate at which the Jacobian is kept for the next step."""


class FlatState:
    """Converts the tensors of a state to a matrix (m, d), and back."""

    def __init__(self, mode: StepMode, z: Tensors) -> None:
        self.mode, self.z = mode, z
        self.rows, self.sizes = mode.num_rows(z), [mode.row_size(x) for x in z]

    def flatten(self, tensors: Tensors) -> tf.Tensor:
        """Return the tensors as a matrix (m, d)."""
        parts = [tf.reshape(x, [self.rows, size]) for x, size in zip(tensors, self.sizes, strict=True)]
        return tf.concat(parts, axis=1)

    def unflatten(self, y: tf.Tensor) -> Tensors:
        """Return the tensors of a matrix (m, d)."""
        parts = tf.split(y, self.sizes, axis=1)
        tensors = [tf.reshape(part, tf.shape(x)) for part, x in zip(parts, self.z, strict=True)]
        return [tf.ensure_shape(y, x.shape) for y, x in zip(tensors, self.z, strict=True)]

    def column(self, x: tf.Tensor) -> tf.Tensor:
        """Return a time or step size, per step mode, as a column (m, 1) in the dtype of the state."""
        return tf.cast(tf.reshape(x, [self.rows, 1]), self.z[0].dtype)


class NewtonState(NamedTuple):
    """What Newton's method keeps between steps.

    Attributes:
        jacobian: (m, d, d), df/dz.
        is_current: bool (m,), whether the Jacobian is that of the current time and state.
        is_good: bool (m,), whether the last step converged fast with this Jacobian.
        rate: float64 (m,), the last contraction rate.
    """

    jacobian: tf.Tensor
    is_current: tf.Tensor
    is_good: tf.Tensor
    rate: tf.Tensor

    def moved(self, moved: tf.Tensor) -> NewtonState:
        """Return the state after a change of the current time or state, bool () or (m,)."""
        return self._replace(is_current=self.is_current & ~moved)

    def restarted(self) -> NewtonState:
        """Return the state before a solve that does not continue the last one: the Jacobian is evaluated."""
        false = tf.zeros_like(self.is_current)
        return self._replace(is_current=false, is_good=false, rate=tf.ones_like(self.rate))


def init_newton(mode: StepMode, z: Tensors) -> NewtonState:
    """Return the state before the first step, without a Jacobian.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, z has more than `MAX_IMPLICIT_SIZE` elements.
    """
    flat = FlatState(mode, z)
    y = flat.flatten(z)
    if y.shape[1] is None:  # twice the size in a backward solve, where the forward solve has checked it
        message = f"an implicit solver requires a state of at most {MAX_IMPLICIT_SIZE} elements"
        with tf.control_dependencies([tf.debugging.assert_less_equal(tf.shape(y)[1], 2 * MAX_IMPLICIT_SIZE, message)]):
            y = tf.identity(y)
    false = tf.zeros([flat.rows], tf.bool)
    jacobian = tf.zeros([flat.rows, tf.shape(y)[1], tf.shape(y)[1]], y.dtype)
    rate = tf.ones([flat.rows], tf.float64)
    return NewtonState(_with_jacobian_shape(jacobian, y), false, false, rate)


def evaluate_jacobian(system: OdeSystem, flat: FlatState, t: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return df/dz (m, d, d) at y (m, d); zero where it is not finite."""
    if y.shape[0] == 0:  # which `batch_jacobian` divides by
        return tf.zeros([0, y.shape[1], y.shape[1]], y.dtype)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(y)
        f = flat.flatten(system.rhs(t, flat.unflatten(y), False)[0])
    jacobian = tape.batch_jacobian(f, y)
    return _with_jacobian_shape(tf.where(tf.math.is_finite(jacobian), jacobian, tf.zeros_like(jacobian)), y)


def refresh_jacobian(
    system: OdeSystem, flat: FlatState, t: tf.Tensor, y: tf.Tensor, newton: NewtonState, active: tf.Tensor
) -> tuple[NewtonState, tf.Tensor]:
    """Evaluate the Jacobian at t and y of the active rows (m,) that have no current or good one.

    Returns:
        The new state, and the number of evaluations.
    """
    stale = active & ~(newton.is_current | newton.is_good)

    def evaluate() -> tf.Tensor:
        return tf.where(stale[:, tf.newaxis, tf.newaxis], evaluate_jacobian(system, flat, t, y), newton.jacobian)

    any_stale = tf.reduce_any(stale)
    jacobian = _with_jacobian_shape(tf.cond(any_stale, evaluate, lambda: newton.jacobian), y)
    newton = newton._replace(jacobian=jacobian, is_current=newton.is_current | stale)
    return newton, tf.cast(any_stale, tf.int32)


class Iteration(NamedTuple):
    """The loop variables of Newton's method.

    Attributes:
        k: (m, d), the slope of the stage.
        norm: float64 (m,), |dk| of the last iteration.
        rate: float64 (m,), the contraction rate; before the second iteration of a stage, that of the stage before.
        max_rate: float64 (m,), the largest rate measured in the step.
        done: bool (m,), whether the stage has converged.
        failed: bool (m,), whether a stage of this step does not converge.
        nfe: int32 (), number of function evaluations in the step.
    """

    k: tf.Tensor
    norm: tf.Tensor
    rate: tf.Tensor
    max_rate: tf.Tensor
    done: tf.Tensor
    failed: tf.Tensor
    nfe: tf.Tensor


class StageSolver:
    """Newton's method for the stages of a step.

    Args:
        system: the system.
        flat: the shape of the state.
        h_gamma: (m, 1), h gamma.
        jacobian: (m, d, d), df/dz.
        y: (m, d), the state at the start of the step.
        scale: (m, d), the unit of the error.
        max_iterations: maximum number of iterations for a stage.
    """

    def __init__(
        self,
        system: OdeSystem,
        flat: FlatState,
        h_gamma: tf.Tensor,
        jacobian: tf.Tensor,
        y: tf.Tensor,
        scale: tf.Tensor,
        max_iterations: int = MAX_ITERATIONS,
    ) -> None:
        self.system, self.flat, self.h_gamma, self.scale = system, flat, h_gamma, scale
        self.max_iterations = max_iterations
        self.inverse = tf.linalg.inv(newton_matrix(h_gamma, jacobian))
        self.rounding = ROUNDING * float(np.finfo(y.dtype.as_numpy_dtype).eps) * _rms(y / scale)

    def solve(self, t: tf.Tensor, base: tf.Tensor, guess: tf.Tensor, last: Iteration) -> Iteration:
        """Return the iteration of a stage at the time t, from a first guess of k; failed samples stay unchanged."""

        def body(n: tf.Tensor, it: Iteration) -> tuple[tf.Tensor, Iteration]:
            return n + 1, self._iterate(n, t, base, it)

        def active(n: tf.Tensor, it: Iteration) -> tf.Tensor:
            return (n < self.max_iterations) & tf.reduce_any(~(it.done | it.failed))

        rate = tf.maximum(last.rate, 1e-16) ** 0.8
        start = last._replace(k=guess, rate=rate, done=tf.zeros_like(last.done))
        it: Iteration = tf.while_loop(active, body, (tf.zeros([], tf.int32), start))[1]
        return it._replace(failed=it.failed | ~it.done)

    def _iterate(self, n: tf.Tensor, t: tf.Tensor, base: tf.Tensor, it: Iteration) -> Iteration:
        y = base + self.h_gamma * it.k
        f = self.flat.flatten(self.system.rhs(t, self.flat.unflatten(y), False)[0])
        dk = tf.linalg.matvec(self.inverse, f - it.k)
        norm = _rms(self.h_gamma * dk / self.scale)
        active = ~(it.done | it.failed)
        measured = active & (n > 0)
        rate = tf.where(measured, norm / tf.maximum(it.norm, 1e-300), it.rate)
        bound = tf.maximum(1 - rate, 1e-300)
        limit = tf.maximum(tf.cast(NEWTON_TOLERANCE, tf.float64), self.rounding)
        done = ((rate < 1) & (norm * rate / bound <= limit)) | (norm <= self.rounding)
        remaining = tf.cast(self.max_iterations - 1 - n, tf.float64)
        hopeless = (n > 0) & ((rate >= 1) | (norm * rate**remaining / bound > limit))
        failed = active & ~done & (hopeless | ~tf.math.is_finite(norm))
        return Iteration(
            tf.where(active[:, tf.newaxis], it.k + dk, it.k),
            norm,
            rate,
            tf.where(measured, tf.maximum(it.max_rate, rate), it.max_rate),
            it.done | (active & done),
            it.failed | failed,
            it.nfe + 1,
        )


def newton_matrix(h_gamma: tf.Tensor, jacobian: tf.Tensor) -> tf.Tensor:
    """Return I - h gamma J, (m, d, d)."""
    return tf.eye(tf.shape(jacobian)[1], dtype=jacobian.dtype) - h_gamma[:, :, tf.newaxis] * jacobian


def _with_jacobian_shape(jacobian: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return a Jacobian with the static shape that follows from y (m, d), for loop variables."""
    return tf.ensure_shape(jacobian, [y.shape[0], y.shape[1], y.shape[1]])


def _rms(x: tf.Tensor) -> tf.Tensor:
    """Return the root mean square of each row, float64 (m,)."""
    count = tf.cast(tf.maximum(tf.shape(x)[1], 1), tf.float64)
    return tf.sqrt(tf.cast(tf.reduce_sum(tf.square(x), axis=1), tf.float64) / count)
