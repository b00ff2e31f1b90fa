"""Discrete gradients: recompute the accepted steps, and backpropagate through them one by one.

The steps are divided into segments of about sqrt(N) steps. Only the states at the starts of the segments and those
inside one segment are stored, so memory grows with the square root of the number of steps N, at the cost of a second
recomputation. A solve of up to `MIN_SEGMENT` steps is a single segment. The sizes of the steps are constants.

Source:
    Griewank and Walther 2008, Evaluating Derivatives, section 12.1 (checkpoints).
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from gradcam_cli.neuralode.solver.adjoint import AdjointResult, make_result
from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_replay import Cotangents, StepReplay
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

MIN_SEGMENT = 16
"""Minimum number of steps in a segment."""


def stored_states(max_steps: int) -> tuple[int, int]:
    """Return the maximum numbers of segments, and of steps in a segment, of a solve of up to max_steps steps."""
    root = math.isqrt(max_steps) + 1
    return root, max(MIN_SEGMENT, root)


def solve_discrete(
    dynamics: Dynamics,
    options: SolverOptions,
    solution: ForwardSolution,
    g: Tensors,
    args: Tensors,
) -> AdjointResult:
    """Return the exact gradients of the accepted steps.

    Args:
        dynamics: f.
        options: the options of the forward solve.
        solution: the forward solve, with the ends of its steps.
        g: dL/dz at the requested times, each (times, ...).
        args: the arguments of f after t and z.
    """
    replay, num_steps = StepReplay(dynamics, options, solution, g, args), solution.solver_state.num_stored
    root = tf.cast(tf.math.ceil(tf.sqrt(tf.cast(num_steps, tf.float64))), tf.int32)
    length = tf.maximum(MIN_SEGMENT, root)
    num_segments = (num_steps + length - 1) // length
    max_segments, max_length = stored_states(options.max_steps)
    starts, nfe = _replay_segments(
        replay, replay.initial_state([x[0] for x in solution.z]), length, num_segments, max_segments
    )

    def backprop_segment(i: tf.Tensor, c: Cotangents) -> tuple[tf.Tensor, Cotangents]:
        start = i * length
        end = tf.minimum(start + length, num_steps)
        states, nfe = _replay_states(replay, [array.read(i) for array in starts], start, end, max_length)

        def body(k: tf.Tensor, c: Cotangents) -> tuple[tf.Tensor, Cotangents]:
            return k - 1, replay.backprop(k, [array.read(k - start) for array in states], c)

        c = c._replace(nfe=c.nfe + nfe)
        return i - 1, _while(lambda k, _: k >= start, body, (end - 1, c))[1]

    t = solution.t
    row = tf.zeros_like(t[0], tf.int32) + tf.shape(t)[0] - 1
    a, theta = [tf.zeros_like(x[0]) for x in g], [tf.zeros_like(x) for x in replay.theta]
    c = Cotangents(row, a, theta, tf.zeros_like(t), nfe, tf.ones_like(row, tf.bool))
    c = _while(lambda i, _: i >= 0, backprop_segment, (num_segments - 1, c))[1]
    a = [x + u[0] for x, u in zip(c.a, g, strict=True)]
    p = solution.solver_state
    status = tf.where(c.converged, p.status, tf.maximum(p.status, int(Status.NOT_CONVERGED)))
    return make_result(options, p._replace(nfe=c.nfe, status=status), a, c.theta, c.t)


def _replay_segments(
    replay: StepReplay, z0: Tensors, length: tf.Tensor, num_segments: tf.Tensor, max_segments: int
) -> tuple[list[tf.TensorArray], tf.Tensor]:
    """Return the state at the start of each segment, and the number of function evaluations."""
    arrays = [array.write(0, x) for array, x in zip(_arrays(z0, max_segments), z0, strict=True)]

    def step(k: tf.Tensor, z: Tensors, nfe: tf.Tensor) -> Any:
        rk_step = replay.step(replay.span(k), z)
        return k + 1, replay.state_after(rk_step, z), nfe + rk_step.nfe

    def body(i: tf.Tensor, z: Tensors, nfe: tf.Tensor, arrays: Any) -> Any:
        _, z, nfe = _while(lambda k, *_: k < (i + 1) * length, step, (i * length, z, nfe))
        return i + 1, z, nfe, [array.write(i + 1, x) for array, x in zip(arrays, z, strict=True)]

    zero = tf.zeros([], tf.int32)
    _, _, nfe, starts = _while(lambda i, *_: i < num_segments - 1, body, (zero, z0, zero, arrays))
    return starts, nfe


def _replay_states(
    replay: StepReplay, z: Tensors, start: tf.Tensor, end: tf.Tensor, max_length: int
) -> tuple[list[tf.TensorArray], tf.Tensor]:
    """Return the state before each step of a segment, from the state z at its start; and the function evaluations."""
    arrays = [array.write(0, x) for array, x in zip(_arrays(z, max_length), z, strict=True)]

    def body(k: tf.Tensor, z: Tensors, nfe: tf.Tensor, arrays: Any) -> Any:
        step = replay.step(replay.span(k), z)
        z = replay.state_after(step, z)
        arrays = [array.write(k + 1 - start, x) for array, x in zip(arrays, z, strict=True)]
        return k + 1, z, nfe + step.nfe, arrays

    _, _, nfe, states = _while(lambda k, *_: k < end - 1, body, (start, z, tf.zeros([], tf.int32), arrays))
    return states, nfe


def _arrays(z: Tensors, size: int) -> list[tf.TensorArray]:
    return [tf.TensorArray(x.dtype, size, element_shape=x.shape, clear_after_read=False) for x in z]


def _while(condition: Any, body: Any, variables: Any) -> Any:
    """Run a loop one iteration at a time: the default runs ten ahead, with the memory of their gradients."""
    return tf.while_loop(condition, body, variables, parallel_iterations=1)
