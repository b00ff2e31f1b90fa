"""Solver options, the error norm, and the choice of step sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.batching import PerSampleSteps, SharedSteps, StepMode
from gradcam_cli.neuralode.solver.butcher_tableau import Tableau
from gradcam_cli.neuralode.solver.tableaus import SOLVERS
from gradcam_cli.neuralode.solver.typing import Tensors

MIN_ERROR = 1e-10
"""Lower bound of the error norm in the step factor."""

MIN_RELATIVE_STEP = 16 * 2.0**-52
"""A step smaller than this fraction of the time underflows."""


Tolerance = float | tuple[Any, ...]
"""A number, or for each tensor of the state a nested tuple that broadcasts with it."""


@dataclass(frozen=True)
class SolverOptions:
    """The options of a solve, validated.

    Attributes:
        solver: a name in `SOLVERS`.
        rtol: relative tolerance; the error is measured in units of atol + rtol max(|z|, |z'|).
        atol: absolute tolerance.
        step_size: maximum size of fixed steps, which are equal between two requested times. None: adaptive steps; for
            a solver without error estimate, a single step from each requested time to the next.
        first_step: size of the first step; None: Hairer's rule.
        max_steps: maximum number of accepted and rejected steps together.
        per_sample_steps: whether the steps of each sample are chosen separately.
        max_step: maximum size of adaptive steps.
        jump_t: increasing times at which f is discontinuous in t; adaptive steps end there.
        dense: whether the solution inside the steps is kept.
        safety: factor below 1 on the ideal step size.
        min_factor: lower bound of the ratio of two successive step sizes.
        max_factor: upper bound of that ratio.

    Raises:
        UsageError: a value is out of range.
    """

    solver: str = "dopri5"
    rtol: Tolerance = 1e-6
    atol: Tolerance = 1e-8
    step_size: float | None = None
    first_step: float | None = None
    max_steps: int = 10_000
    per_sample_steps: bool = False
    max_step: float | None = None
    jump_t: tuple[float, ...] = ()
    dense: bool = False
    safety: float = 0.9
    min_factor: float = 0.2
    max_factor: float = 10.0

    def __post_init__(self) -> None:
        """Validate each option."""
        if self.solver not in SOLVERS:
            raise UsageError(f"solver: expected one of {', '.join(SOLVERS)}, got {self.solver}")
        for name in ("rtol", "atol", "step_size", "first_step", "max_steps", "max_step"):
            for value in _numbers(getattr(self, name)):
                if not (math.isfinite(value) and value >= 0 and (value > 0 or name == "rtol")):
                    raise UsageError(f"{name}: expected a positive number, got {value}")
        if not all(map(math.isfinite, self.jump_t)):
            raise UsageError(f"jump_t: expected finite times, got {', '.join(map(str, self.jump_t))}")
        if not self.adaptive and self.max_step is not None:
            raise UsageError("max_step requires adaptive steps", "step_size is the maximum size of fixed steps")
        if not self.adaptive and self.jump_t:
            raise UsageError("jump_t requires adaptive steps", "request the times of the jumps: fixed steps end there")
        if self.jump_t and SOLVERS[self.solver].c.max() > 1:
            raise UsageError(
                f"jump_t: {self.solver} evaluates f after the end of each step, so it cannot stop at a jump",
                "use kvaerno3, or solve from jump to jump",
            )
        if not 0 < self.min_factor < self.safety < 1 < self.max_factor:
            raise UsageError(
                "expected 0 < min_factor < safety < 1 < max_factor, "
                f"got {self.min_factor}, {self.safety}, {self.max_factor}"
            )

    @property
    def adaptive(self) -> bool:
        """Whether the error estimate chooses the steps."""
        return self.step_size is None and SOLVERS[self.solver].adaptive

    @property
    def interpolates(self) -> bool:
        """Whether requested times lie inside steps; fixed steps end at each of them."""
        return self.adaptive

    @property
    def max_reconstruction_error(self) -> float:
        """Maximum error of the state of a backward solve, in units of the tolerance.

        rtol^(-2/3), where a third of the digits is left; with rtol = 0, the same of atol.
        """
        tolerance = max(_numbers(self.rtol)) or max(_numbers(self.atol))
        return float(tolerance ** (-2 / 3))

    @property
    def tableau(self) -> Tableau:
        """The method; for fixed steps without the stages that only error estimate and dense output use."""
        tableau = SOLVERS[self.solver]
        return tableau if self.adaptive or self.dense else tableau.without_error_estimate()

    @property
    def step_mode(self) -> StepMode:
        """How samples share steps."""
        return PerSampleSteps() if self.per_sample_steps else SharedSteps()

    def error_norm(self, error: Tensors, y: Tensors, y1: Tensors) -> tf.Tensor:
        """Return the error estimate in units of the tolerance, () or (n,) float64; up to 1 the step is accepted.

        sqrt(mean (e / (atol + rtol max(|y|, |y1|)))^2)
        """
        scale = self.error_scale([tf.maximum(tf.abs(u), tf.abs(v)) for u, v in zip(y, y1, strict=True)])
        return self.step_mode.rms([x / u for x, u in zip(error, scale, strict=True)])

    def error_scale(self, y: Tensors) -> Tensors:
        """Return atol + rtol |y|, the unit of the error. In [*z, *a], z and a have the same tolerances."""

        def tolerance(values: Tolerance, i: int, x: tf.Tensor) -> Any:
            return tf.constant(values[i % len(values)], x.dtype) if isinstance(values, tuple) else values

        return [tolerance(self.atol, i, x) + tolerance(self.rtol, i, x) * tf.abs(x) for i, x in enumerate(y)]

    def step_factor(self, error: tf.Tensor, nonfinite_factor: tf.Tensor | None = None) -> tf.Tensor:
        """Return the ratio of the next step size to this step's.

            clip(safety error^(-1/q), min_factor, max_factor)

        Args:
            error: the error norm, () or (n,) float64.
            nonfinite_factor: the ratio for an error that is not finite; None: min_factor.
        """
        ideal = self.safety * tf.maximum(error, MIN_ERROR) ** -self.tableau.error_exponent
        bounded = tf.clip_by_value(ideal, self.min_factor, self.max_factor)
        fallback = tf.cast(self.min_factor, error.dtype) if nonfinite_factor is None else nonfinite_factor
        return tf.where(tf.math.is_finite(error), bounded, fallback)

    def is_underflow(self, h: tf.Tensor, t: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return whether a step of size h would vanish in the rounding of the times."""
        return h < MIN_RELATIVE_STEP * tf.maximum(tf.abs(t), tf.abs(target))


def _numbers(value: Any) -> list[float]:
    """Return the numbers of an option: none, one, or those of a nested tuple."""
    if value is None:
        return []
    return [x for part in value for x in _numbers(part)] if isinstance(value, tuple) else [value]


def initial_step_size(
    options: SolverOptions, slope: Sequence[Tensors], y: Sequence[Tensors], h0: tf.Tensor
) -> tf.Tensor:
    """Return the size of the first step by Hairer's rule, from an Euler step of size h0.

        h1 = (0.01 / max(d1, d2))^(1/(p+1)),  h = min(100 h0, h1)

    Args:
        options: solver and tolerances.
        slope: f at the start, and after the Euler step.
        y: the state at the start, and after the Euler step.
        h0: from `trial_step_size`.

    Source:
        Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.4.
    """
    scale = options.error_scale(y[0])
    d1 = _norm(options, slope[0], scale)
    d2 = _norm(options, [u - v for u, v in zip(slope[1], slope[0], strict=True)], scale) / h0
    max_d = tf.maximum(d1, d2)
    h1 = (0.01 / tf.maximum(max_d, 1e-15)) ** (1 / (options.tableau.order + 1))
    h1 = tf.where(max_d <= 1e-15, tf.maximum(1e-3 * h0, 1e-6), h1)
    h = tf.minimum(100 * h0, h1)
    return tf.where(tf.math.is_finite(h), h, h0)


def trial_step_size(options: SolverOptions, slope: Tensors, y: Tensors, span: tf.Tensor) -> tf.Tensor:
    """Return h0, the size of the Euler step in Hairer's rule.

    h0 = 0.01 |y| / |f|, or 1e-6 |span| where a norm is tiny or not finite
    """
    scale = options.error_scale(y)
    d0, d1 = _norm(options, y, scale), _norm(options, slope, scale)
    regular = (d0 > 1e-5) & (d1 > 1e-5) & tf.math.is_finite(d0) & tf.math.is_finite(d1)
    h0 = tf.where(regular, 0.01 * d0 / tf.where(regular, d1, tf.ones_like(d1)), 1e-6 * span)
    return tf.minimum(h0, span)


def _norm(options: SolverOptions, x: Tensors, scale: Tensors) -> tf.Tensor:
    return options.step_mode.rms([u / v for u, v in zip(x, scale, strict=True)])


def combined_error_norm(
    options: SolverOptions, error: tuple[Tensors, Tensors], y: Tensors, y1: Tensors, q: Tensors, q1: Tensors
) -> tf.Tensor:
    """Return the larger of the error norms of y and, if estimated, of the quadratures q."""
    norms = [options.error_norm(error[0], y, y1)]
    if error[1]:
        norms.append(options.error_norm(error[1], q, q1))
    return tf.reduce_max(tf.stack(norms), axis=0)
