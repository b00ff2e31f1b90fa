"""Grad-CAM along the depth t of an ODE: the adjoint a(t) = dy_c/dz(t) is the gradient that it averages.

    A = z(t),  dA = a(t),    da/dt = -a df/dz,    a(t_1) = dy_c/dz(t_1)

so one solve of z forward, and one of (z, a) backward without the parameters, give a map for every t.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, equations 4 and 5; Selvaraju et al. 2017, Grad-CAM,
    equations 1 and 2.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError, ModelError, UsageError
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.gradients import (
    ForwardBackward,
    GradientFunction,
    logits_and_probabilities,
    require_logits,
    resolve_ranks,
    single_output,
)
from gradcam_cli.network.logits import returning_logits
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.status import failure_message
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import PreparedRun, prepare_run

DEFAULT_TOL = 1e-5


def parse_depths(block: ODEBlock, times: Sequence[float] | None = None, num_times: int | None = None) -> list[float]:
    """Return the depths that are asked for, in the order of the block's time, each once.

    Args:
        block: whose time it is.
        times: depths, or None.
        num_times: a number of depths, evenly spaced from end to end, or None.

    Raises:
        UsageError: a depth lies outside the block's interval.
    """
    start, end = block.t_span
    depths = list(times) if times else list(np.linspace(start, end, num_times or 5))
    outside = [t for t in depths if not min(start, end) <= t <= max(start, end)]
    if outside:
        raise UsageError(f"--at: expected depths from {start:g} to {end:g}, got {outside[0]:g}")
    return sorted({float(t) for t in depths}, reverse=end < start)


def augmented_dynamics(f: Any) -> Any:
    """Return the right-hand side of (z, a): (f, -a df/dz)."""

    def backward(t: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        z, a = state
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            dz = f(t, z)
        return dz, tape.gradient(dz, z, -a, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return backward


def compile_depth_gradients(
    model: keras.Model,
    block: ODEBlock,
    depths: Sequence[float],
    score: str = "logit",
    solver: str | None = None,
    tol: float = DEFAULT_TOL,
) -> GradientFunction:
    """Compile a model into a function whose activations are the states z at some depths, and gradients the adjoints.

    Each image takes steps of its own, so that what else is in the batch makes no difference.

    Args:
        model: with the block among its layers.
        block: whose states they are.
        depths: of `parse_depths`.
        score: `logit` or `softmax`: y_c.
        solver: a name in `tableaus.SOLVERS`; None: the block's.
        tol: relative and absolute, of both solves; the adjoint is measured in units of a(t_1).

    Returns:
        As `network.compile_network`: in its passes A and dA have an entry a depth, of shape (n, u, v, k) and
        (C, n, u, v, k).

    Raises:
        ModelError: the block lies in a model within the model, or the logit cannot be reached.
    """
    if block not in model.layers:
        raise ModelError(f"ODEBlock {block.name} lies in a model within the model: expected it among the outer layers")
    before, behind = keras.Model(model.inputs, block.input), keras.Model(block.output, model.outputs)
    head = require_logits(model, score)
    start, end = block.t_span
    times = [start, *(t for t in depths if t not in (start, end)), end]
    wanted = [times.index(t) for t in depths]
    options: dict[str, Any] = {
        "solver": solver or block.options.get("solver", "dopri5"),
        "rtol": tol,
        "atol": tol,
    }

    backward = augmented_dynamics(block.f)

    def solve(f: Any, state: Any, times: list[float]) -> Any:
        return odeint(f, state, times, per_sample_steps=True, **options).z

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor, codes: tf.Tensor) -> tuple[Any, ...]:
        z = solve(block.f, tf.cast(before(x, training=False), tf.float32), times)  # (times, n, u, v, k)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(z1 := z[-1])
            with returning_logits(head) if head else contextlib.nullcontext():
                output = single_output(behind(z1, training=False))
            logits, p = logits_and_probabilities(output, head)
            y = logits if score == "logit" else p
            classes = resolve_ranks(y, codes)
            y_c = [tf.gather(y, classes[:, c], batch_dims=1) for c in range(codes.shape[1])]
        adjoints = []
        for score_of_c in y_c:
            a1 = tape.gradient(score_of_c, z1)
            unit = tf.sqrt(tf.reduce_mean(tf.square(a1), axis=[1, 2, 3], keepdims=True))
            unit = tf.where(unit > 0, unit, 1.0)  # (n, 1, 1, 1)
            _, a = solve(backward, (z1, a1 / unit), times[::-1])
            adjoints.append(a[::-1] * unit)
        return logits, p, classes, [z[i] for i in wanted], [tf.stack([a[i] for a in adjoints]) for i in wanted]

    def network(x: np.ndarray, codes: np.ndarray) -> ForwardBackward:
        try:
            logits, p, classes, A, dA = run(tf.constant(x, tf.float32), tf.constant(codes, tf.int32))
        except tf.errors.InvalidArgumentError as error:
            raise GradcamError(failure_message(error), "loosen --tolerance, or take another --solver") from error
        hidden = None if logits is None else logits.numpy()
        return ForwardBackward(
            hidden, p.numpy(), classes.numpy(), [one.numpy() for one in A], [one.numpy() for one in dA]
        )

    return network


def prepare_depth_run(
    classifier: Classifier,
    config: ExplainConfig,
    depths: Sequence[float],
    block: ODEBlock,
    solver: str | None = None,
    tol: float = DEFAULT_TOL,
) -> PreparedRun:
    """Make a run ready whose layers are depths, named `ode@0.25` for t = 0.25 of the block `ode`.

    Raises:
        UsageError: a class that the model does not have.
        ModelError: the logit cannot be reached.
    """
    run = prepare_run(classifier, replace(config, layers=(block.name,)))
    network = compile_depth_gradients(classifier.model, block, depths, config.score, solver, tol)
    path = next(iter(run.layers))
    return replace(run, layers={f"{path}@{t:g}": f"{t:g}" for t in depths}, gradient_function=network, scorers=[])


def adjoint_norms(result: ForwardBackward) -> np.ndarray:
    """Return ||a(t)||, the length of dy_c/dz(t) for each class, image and depth, (C, n, depths)."""
    return np.stack([np.linalg.norm(a.reshape(*a.shape[:2], -1), axis=-1) for a in result.dA], axis=-1)
