"""Maps along the depth t of an ODE. The gradient of the state z(t) is the adjoint a(t) = dy_c/dz(t).

    A = z(t),  dA = a(t),    da/dt = -a df/dz,    a(t_1) = dy_c/dz(t_1)

A forward solve of z and a backward solve of (z, a), without the parameters, provide the map for every t.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, equations 4 and 5; Selvaraju et al. 2017, Grad-CAM,
    equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError, ModelError, UsageError
from gradcam_cli.methods.registry import DEPTH_METHODS
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.gradients import (
    ForwardBackward,
    GradientFunction,
    resolve_ranks,
    to_arrays,
)
from gradcam_cli.network.logits import find_logits
from gradcam_cli.network.scores import scores_of
from gradcam_cli.neuralode.explain.config import DEFAULT_TOL
from gradcam_cli.neuralode.layers.find_block import require_single_input
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.solver.calling import calling_convention
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.solver.status import failure_message
from gradcam_cli.pipeline.config import ExplainConfig, check_choice
from gradcam_cli.pipeline.run import PreparedRun, prepare_run


def parse_depths(block: ODEBlock, times: Sequence[float] | None = None, num_times: int | None = None) -> list[float]:
    """Return the depths in the order of the block's time, without duplicates.

    Args:
        block: the ODEBlock.
        times: depths, or None.
        num_times: number of depths, evenly spaced over the block's interval; None: five, if `times` is None, too.

    Raises:
        UsageError: a depth is outside the block's interval.
    """
    start, end = block.t_span
    depths = list(times) if times else list(np.linspace(start, end, num_times or 5))
    outside = [t for t in depths if not min(start, end) <= t <= max(start, end)]
    if outside:
        raise UsageError(f"--times: expected depths from {start:g} to {end:g}, got {outside[0]:g}")
    return sorted({float(t) for t in depths}, reverse=end < start)


def augmented_dynamics(f: Any) -> Any:
    """Return the right-hand side of the ODE of (z, a): (f, -a df/dz)."""
    call = calling_convention(f)

    def augmented(t: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        z, a = state
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            dz = call(f, t, z, ())
        return dz, tape.gradient(dz, z, -a, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return augmented


def compile_depth_gradients(
    model: keras.Model,
    block: ODEBlock,
    depths: Sequence[float],
    score: str = "logit",
    solver: str | None = None,
    tol: float = DEFAULT_TOL,
) -> GradientFunction:
    """Compile a function that returns the states z(t) as activations and the adjoints a(t) as gradients.

    The solver chooses the steps of each image separately: the maps do not depend on the batch.

    Args:
        model: a model with the block among its layers.
        block: the ODEBlock.
        depths: depths from `parse_depths`.
        score: `logit` or `probability`: the score y_c.
        solver: a name in `tableaus.SOLVERS`; None: that of the block.
        tol: relative and absolute tolerance of both solves; the adjoint is scaled by a(t_1).

    Returns:
        A function like that of `compile_gradient_function`. A, dA and f have an entry for each depth, of shapes
        (n, u, v, k), (C, n, u, v, k) and (n, u, v, k).

    Raises:
        ModelError: the block is inside a nested model or has further inputs, or the logit cannot be computed.
    """
    if block not in model.layers:
        raise ModelError(f"the ODEBlock {block.name} is inside a nested model: expected it among the outer layers")
    require_single_input(block)
    upstream, downstream = keras.Model(model.inputs, block.input), keras.Model(block.output, model.outputs)
    start, end = block.t_span
    times = [start, *(t for t in depths if t not in (start, end)), end]
    indices = [times.index(t) for t in depths]
    options: dict[str, Any] = {"solver": solver or block.options.get("solver", "dopri5"), "rtol": tol, "atol": tol}
    augmented, call = augmented_dynamics(block.f), calling_convention(block.f)

    def solve(f: Any, state: Any, times: list[float]) -> Any:
        return odeint(f, state, times, per_sample_steps=True, **options).z

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor, selectors: tf.Tensor) -> tuple[Any, ...]:
        z = solve(block.f, block.initial_state(upstream(x, training=False)), times)  # (times, n, u, v, k)
        *scores, classes, gradients = _gradients_after(downstream, score, z[-1], selectors)
        adjoints = [_solve_adjoint(solve, augmented, z[-1], a1, times) for a1 in gradients]
        A, dA = [z[i] for i in indices], [tf.stack([a[i] for a in adjoints]) for i in indices]
        t = tf.reshape(tf.repeat(tf.constant(depths, z.dtype), tf.shape(x)[0]), [-1, 1, 1, 1])
        f = call(block.f, t, tf.concat(A, axis=0), ())  # one call for all depths, (depths * n, u, v, k)
        return *scores, classes, A, dA, tf.split(f, len(depths))

    def gradient_function(x: np.ndarray, selectors: np.ndarray) -> ForwardBackward:
        try:
            *results, f = run(tf.constant(x, tf.float32), tf.constant(selectors, tf.int32))
        except tf.errors.InvalidArgumentError as error:
            raise GradcamError(failure_message(error), "use a larger --tol, or a different --solver") from error
        return to_arrays(results)._replace(f=[slope.numpy() for slope in f])

    return gradient_function


def _gradients_after(downstream: keras.Model, score: str, z1: tf.Tensor, selectors: tf.Tensor) -> tuple[Any, ...]:
    """Return y, logits, probabilities, y (n, classes), class indices (n, C), and a(t_1) = dy_c/dz(t_1) of each."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(z1)
        y, logits, p = scores_of(find_logits(downstream(z1, training=False), z1), score)
        classes = resolve_ranks(y, selectors)
        y_c = [tf.gather(y, classes[:, c], batch_dims=1) for c in range(selectors.shape[1])]
    return y, logits, p, y, classes, [tape.gradient(y_of_class, z1) for y_of_class in y_c]


def _solve_adjoint(
    solve: Callable[..., Any], augmented: Any, z1: tf.Tensor, a1: tf.Tensor, times: list[float]
) -> tf.Tensor:
    """Return a(t) at all times, (times, n, u, v, k); a(t_1) is scaled to 1, so the tolerances do not depend on y_c."""
    scale = tf.sqrt(tf.reduce_mean(tf.square(a1), axis=[1, 2, 3], keepdims=True))
    scale = tf.where(scale > 0, scale, 1.0)  # (n, 1, 1, 1)
    _, a = solve(augmented, (z1, a1 / scale), times[::-1])
    return a[::-1] * scale


def prepare_depth_run(
    classifier: Classifier,
    config: ExplainConfig,
    depths: Sequence[float],
    block: ODEBlock,
    solver: str | None = None,
    tol: float = DEFAULT_TOL,
) -> PreparedRun:
    """Prepare a run whose layers are depths: `ode@0.25` is t = 0.25 of the block `ode`.

    Raises:
        UsageError: the class does not exist, or the method is not one of `DEPTH_METHODS`.
        ModelError: the logit cannot be computed.
    """
    for method in config.methods:
        check_choice("method", method, DEPTH_METHODS)
    run = prepare_run(classifier, replace(config, layers=(block.name,), methods=()))
    gradient_function = compile_depth_gradients(classifier.model, block, depths, config.score, solver, tol)
    path = next(iter(run.layers))
    layers = {f"{path}@{t:g}": f"{t:g}" for t in depths}
    outputs = run.layer_outputs * len(depths)
    return replace(
        run, config=config, layers=layers, gradient_function=gradient_function, scorers=[], layer_outputs=outputs
    )


def adjoint_norms(result: ForwardBackward) -> np.ndarray:
    """Return ||a(t)||, the norm of dy_c/dz(t), for each class, image and depth, (C, n, depths)."""
    return np.stack([np.linalg.norm(a.reshape(*a.shape[:2], -1), axis=-1) for a in result.dA], axis=-1)
