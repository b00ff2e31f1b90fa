"""`Recorder`: what a forward solve keeps of its steps.

- the states at the requested times between the first and the last, interpolated inside the steps
- the end of each step, for the discrete gradient
- the state after each step, for `return_steps`
- the polynomials in t of each step, for `Solution.interpolate`
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.runge_kutta import RKStep
from gradcam_cli.neuralode.solver.solver_state import SolverState
from gradcam_cli.neuralode.solver.step_interpolation import interpolate, step_polynomials
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


class Records(NamedTuple):
    """The loop variables of a recorder.

    Attributes:
        row: int32, per step mode, number of the inner requested times reached.
        z: buffers of the states at the inner requested times, each (times - 1, ...): the last row is a dummy.
        ends: TensorArray of the time after each step, or ().
        states: TensorArrays of the state after each step, or empty.
        polynomials: TensorArrays of each step's coefficients, (degree + 1, ...), or empty.
    """

    row: tf.Tensor
    z: list[Any]
    ends: Any
    states: list[tf.TensorArray]
    polynomials: list[tf.TensorArray]


class Recorder(NamedTuple):
    """Records the steps of a forward solve.

    Attributes:
        options: the solver options.
        t: float64 (times, ...), the requested times, per step mode.
        store_ends: whether to store the times of the steps.
        store_states: whether to store the states after the steps.
    """

    options: SolverOptions
    t: tf.Tensor
    store_ends: bool
    store_states: bool

    def start(self, z: Tensors) -> Records:
        """Return the records before the first step."""
        inner = max(self.t.shape[0] - 2, 0)
        rows = [self.options.step_mode.buffer(tf.repeat(x[tf.newaxis], inner + 1, axis=0)) for x in z] if inner else []
        states = self._arrays(z, 0) if self.store_states else []
        polynomials = self._arrays(z, len(self.options.tableau.extension) + 1) if self.options.dense else []
        ends = self._array(tf.float64, self.t.shape[1:]) if self.needs_ends else ()
        return Records(tf.zeros_like(self.t[0], tf.int32), rows, ends, states, polynomials)

    @property
    def needs_ends(self) -> bool:
        """Whether the times of the steps are stored."""
        return self.store_ends or self.store_states or self.options.dense

    def _array(self, dtype: tf.DType, shape: tf.TensorShape) -> tf.TensorArray:
        return tf.TensorArray(dtype, self.options.max_steps, element_shape=shape, clear_after_read=False)

    def _arrays(self, z: Tensors, coefficients: int) -> list[tf.TensorArray]:
        return [self._array(x.dtype, [coefficients, *x.shape] if coefficients else x.shape) for x in z]

    def after_step(self, p: SolverState, step: RKStep, accepted: tf.Tensor) -> SolverState:
        """Record a step. A rejected one is overwritten by the next."""
        records: Records = p.records
        if records.z:
            records = self._interpolate(p, records, step)
        if not self.needs_ends:
            return p._replace(records=records)
        k = tf.minimum(p.num_stored, self.options.max_steps - 1)
        polynomials = step_polynomials(self.options, step) if self.options.dense else ()
        records = records._replace(
            ends=records.ends.write(k, p.t),
            states=_write(records.states, k, p.y if records.states else ()),
            polynomials=_write(records.polynomials, k, polynomials),
        )
        return p._replace(records=records, num_stored=p.num_stored + tf.cast(tf.reduce_any(accepted), tf.int32))

    def _interpolate(self, p: SolverState, records: Records, step: RKStep) -> Records:
        """Write the states at all requested times up to the current time."""
        mode, inner = self.options.step_mode, self.t.shape[0] - 2
        sign = tf.sign(self.t[-1] - self.t[0])

        def due(row: tf.Tensor) -> tf.Tensor:
            return (row < inner) & (sign * (p.t - mode.take(self.t, tf.minimum(row, inner) + 1)) >= 0)

        def body(row: tf.Tensor, z: list[Any]) -> tuple[tf.Tensor, list[Any]]:
            is_due = due(row)
            t = mode.take(self.t, tf.minimum(row, inner) + 1)
            values = interpolate(self.options, step, t) if self.options.interpolates else step.y
            target = tf.where(is_due, row, inner)
            return row + tf.cast(is_due, tf.int32), [mode.write(x, target, y) for x, y in zip(z, values, strict=True)]

        row, z = tf.while_loop(lambda row, _: tf.reduce_any(due(row)), body, (records.row, records.z))
        return records._replace(row=row, z=z)


def _write(arrays: Any, row: tf.Tensor, values: Any) -> list[tf.TensorArray]:
    return [array.write(row, x) for array, x in zip(arrays, values, strict=True)]
