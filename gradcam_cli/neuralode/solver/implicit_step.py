"""A step of an ESDIRK method: singly diagonally implicit, with an explicit first stage.

Each stage but the first is solved by Newton's method (`newton`), and all with the same matrix I - h gamma J. The method
is stiffly accurate: z' is the last stage.

For the gradient, the stages are solved first. One Newton step from the solution, with the matrix as a constant, has
the derivative of the implicit function theorem:

    dk = (I - h gamma J)^-1 (df/dz db + df/dtheta dtheta + df/dt dt + df/dz gamma k dh)

Source:
    Kvaerno 2004, Singly Diagonally Implicit Runge-Kutta Methods with an Explicit First Stage.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.solver.butcher_tableau import Tableau
from gradcam_cli.neuralode.solver.newton import (
    KEEP_RATE,
    MAX_ITERATIONS,
    FlatState,
    Iteration,
    NewtonState,
    StageSolver,
    evaluate_jacobian,
    init_newton,
    newton_matrix,
    refresh_jacobian,
)
from gradcam_cli.neuralode.solver.runge_kutta import (
    B_ROW,
    ERROR_ROW,
    OdeSystem,
    RKStep,
    ScaledTableau,
    quadrature_stages,
    runge_kutta_step,
    stage_time,
)
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors

PREDICTOR_DEGREE = 2
"""Maximum degree of the polynomial that predicts the slope of a stage."""


def take_step(
    options: SolverOptions,
    system: OdeSystem,
    span: tuple[tf.Tensor, tf.Tensor],
    y: Tensors,
    first_slope: tuple[Tensors, Tensors] | None = None,
    estimate_quadrature_error: bool = False,
    newton: NewtonState | tuple[()] = (),
    tableau: Tableau | None = None,
    max_iterations: int = MAX_ITERATIONS,
) -> RKStep:
    """Take a step of an explicit or an implicit method from t to t'.

    Args:
        options: the solver options.
        system: the system to integrate.
        span: t and t', float64, in the shape of the step mode.
        y: the state at t.
        first_slope: k and v at t, if already computed.
        estimate_quadrature_error: whether to estimate the error of the quadratures.
        newton: what Newton's method kept of the last step; empty: nothing.
        tableau: the method; None: that of the options.
        max_iterations: maximum number of Newton iterations for a stage.
    """
    tableau, mode = tableau or options.tableau, options.step_mode
    if not tableau.implicit:
        return runge_kutta_step(system, tableau, mode, span, y, first_slope, estimate_quadrature_error)
    newton = newton or init_newton(mode, y)
    return _implicit_step(
        options, tableau, system, span, y, newton, first_slope, estimate_quadrature_error, max_iterations
    )


def _implicit_step(
    options: SolverOptions,
    tableau: Tableau,
    system: OdeSystem,
    span: tuple[tf.Tensor, tf.Tensor],
    y: Tensors,
    newton: NewtonState,
    first_slope: tuple[Tensors, Tensors] | None,
    estimate_quadrature_error: bool,
    max_iterations: int,
) -> RKStep:
    """Take a step of an implicit method; the arguments are those of `take_step`."""
    flat, (t, t1) = FlatState(options.step_mode, y), span
    need_quadrature = quadrature_stages(tableau, estimate_quadrature_error) & system.has_quadratures
    h, y0 = flat.column(t1 - t), flat.flatten(y)
    newton, njev = refresh_jacobian(system, flat, t, y0, newton, tf.reshape(h != 0, [-1]))
    scale = flat.flatten(options.error_scale([tf.abs(x) for x in y]))
    solver = StageSolver(system, flat, h * tableau.gamma, newton.jacobian, y0, scale, max_iterations)
    k, v = first_slope or system.rhs(t, y, bool(need_quadrature[0]))
    slopes, quadratures, stages = [flat.flatten(k)], [v], [(t, y)]
    it = _first_iteration(slopes[0], newton, 0 if first_slope else 1)
    for i in range(1, tableau.stages):
        t_i, base = stage_time(t, t1, tableau.c[i]), y0 + h * _sum(tableau.a[i, :i], slopes)
        it = solver.solve(t_i, base, _sum(predictor(tableau)[i, :i], slopes), it)
        slopes.append(it.k)
        stages.append((t_i, flat.unflatten(base + h * tableau.gamma * it.k)))
        quadratures.append(system.rhs(*stages[i], True)[1] if need_quadrature[i] else [])
    coefficients = ScaledTableau(tableau, options.step_mode, t1 - t)
    dq_error = coefficients.weighted_sum(ERROR_ROW, quadratures) if estimate_quadrature_error else []
    tensors = [k, *map(flat.unflatten, slopes[1:])]
    newton = newton._replace(is_good=~it.failed & (it.max_rate <= KEEP_RATE), rate=it.rate)
    return RKStep(
        y=stages[-1][1],
        dq=coefficients.weighted_sum(B_ROW, quadratures),
        last_slope=(tensors[-1], quadratures[-1]),
        error=(flat.unflatten(h * _sum(tableau.error_weights, slopes)), dq_error),
        stages=stages,
        slopes=tensors,
        t1=t1,
        nfe=it.nfe + int(need_quadrature[1:].sum()),
        njev=njev,
        newton=newton,
        converged=tf.reshape(~it.failed, tf.shape(t)),
    )


class Linearization(NamedTuple):
    """The solved stages of a step: their slopes (m, d), and I - h gamma J (m, d, d) at all but the first."""

    slopes: list[tf.Tensor]
    matrices: list[tf.Tensor]


def linearize(options: SolverOptions, system: OdeSystem, step: RKStep) -> Linearization:
    """Return the linearization of a step at its stages, for `differentiable_step`."""
    flat, h = FlatState(options.step_mode, step.y), step.t1 - step.stages[0][0]
    h_gamma = flat.column(h) * options.tableau.gamma
    matrices = [newton_matrix(h_gamma, evaluate_jacobian(system, flat, t, flat.flatten(y))) for t, y in step.stages[1:]]
    return Linearization([flat.flatten(k) for k in step.slopes], matrices)


def differentiable_step(
    options: SolverOptions,
    system: OdeSystem,
    span: tuple[tf.Tensor, tf.Tensor],
    y: Tensors,
    linearization: Linearization,
) -> RKStep:
    """Return a step that a tape can differentiate with respect to span, y, and what f reads.

    The first slope keeps the value of the last slope of the step before, which solves k = f up to the tolerance.
    """
    tableau, flat, (t, t1) = options.tableau, FlatState(options.step_mode, y), span
    h, y0 = flat.column(t1 - t), flat.flatten(y)
    f = flat.flatten(system.rhs(t, y, False)[0])
    slopes, stages = [linearization.slopes[0] + f - tf.stop_gradient(f)], [(t, y)]
    for i in range(1, tableau.stages):
        base, k = y0 + h * _sum(tableau.a[i, :i], slopes), linearization.slopes[i]
        stages.append((stage_time(t, t1, tableau.c[i]), flat.unflatten(base + h * tableau.gamma * k)))
        residual = flat.flatten(system.rhs(*stages[i], False)[0]) - k
        dk = tf.linalg.solve(linearization.matrices[i - 1], residual[:, :, tf.newaxis])[:, :, 0]
        slopes.append(k + dk)
    y1 = flat.unflatten(y0 + h * _sum(tableau.b, slopes))
    tensors = list(map(flat.unflatten, slopes))
    return RKStep(y1, [], (tensors[-1], []), ([], []), stages, tensors, t1, tf.constant(tableau.stages))


@cache
def predictor(tableau: Tableau) -> np.ndarray:
    """Return the weights (s, s) of the first guess of each slope, from the slopes before it.

    It is the slope of an earlier stage at the same time, or else a polynomial in t fitted to all earlier slopes.
    """
    weights, c = np.zeros_like(tableau.a), tableau.c
    for i in range(1, tableau.stages):
        powers = np.arange(min(i - 1, PREDICTOR_DEGREE) + 1)[:, np.newaxis]
        same = np.flatnonzero(c[:i] == c[i])
        if len(same):
            weights[i, same[-1]] = 1
        else:
            weights[i, :i] = np.linalg.lstsq(c[:i] ** powers, c[i] ** powers[:, 0], rcond=None)[0]
    return weights


def _first_iteration(k: tf.Tensor, newton: NewtonState, nfe: int) -> Iteration:
    """Return the loop variables before the first implicit stage."""
    zeros, false = tf.zeros_like(newton.rate), tf.zeros_like(newton.is_good)
    return Iteration(k, zeros, newton.rate, zeros, false, false, tf.constant(nfe))


def _sum(weights: np.ndarray, slopes: list[tf.Tensor]) -> tf.Tensor:
    """Return the weighted sum of the slopes."""
    terms = [tf.cast(w, k.dtype) * k for w, k in zip(weights, slopes, strict=True) if w != 0]
    return tf.add_n(terms) if terms else tf.zeros_like(slopes[0])
