"""`Solution`: the states and the step counts that a solve returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.status import raise_on_failure


class Solution(NamedTuple):
    """The result of `odeint`. Every field is a tensor, so that a `tf.function` can return it.

    The fields after `nfe` have shape (), or (n,) with per-sample steps.

    Attributes:
        z: the states at the requested times, (len(t), ...), in the structure of z0; NaN after a failed solve.
        nfe: int32 (), number of function evaluations.
        num_accepted_steps: int32.
        num_rejected_steps: int32.
        status: int32, a value of `Status`.
        t: float64, the last time reached.
        dt: float64, the last step tried, signed.
    """

    z: Any
    nfe: tf.Tensor
    num_accepted_steps: tf.Tensor
    num_rejected_steps: tf.Tensor
    status: tf.Tensor
    t: tf.Tensor
    dt: tf.Tensor

    def raise_if_failed(self) -> None:
        """Raise the error of a failed solve. Call it on the result of an XLA-compiled solve, which cannot raise.

        Raises:
            SolverError: the solve did not reach its last time.
        """
        steps = np.asarray(self.num_accepted_steps) + np.asarray(self.num_rejected_steps)
        raise_on_failure(np.asarray(self.status), np.asarray(self.t), np.asarray(self.dt), steps, "forward")
