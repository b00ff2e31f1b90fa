"""The accepted steps of a forward solve, recomputed and differentiated."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.dynamics import Dynamics
from gradcam_cli.neuralode.solver.forward_solve import ForwardSolution, ForwardSystem
from gradcam_cli.neuralode.solver.implicit_step import differentiable_step, linearize, take_step
from gradcam_cli.neuralode.solver.newton import MAX_REPLAY_ITERATIONS
from gradcam_cli.neuralode.solver.runge_kutta import RKStep
from gradcam_cli.neuralode.solver.step_interpolation import combine, locate
from gradcam_cli.neuralode.solver.step_size import SolverOptions
from gradcam_cli.neuralode.solver.typing import Tensors


class Cotangents(NamedTuple):
    """Derivatives of the loss, accumulated from the last step to the first.

    Attributes:
        row: int32, per step mode: the states at later requested times are included.
        a: dL/dz at the current time.
        theta: dL/dtheta so far.
        t: float64 (times, ...), per step mode: dL/dt so far.
        nfe: int32 (), number of function evaluations so far.
        converged: bool, per step mode, whether Newton's method converged in all recomputed steps.
    """

    row: tf.Tensor
    a: Tensors
    theta: Tensors
    t: tf.Tensor
    nfe: tf.Tensor
    converged: tf.Tensor


class OutputCotangents(NamedTuple):
    """Derivatives of the loss with respect to the results of a step: its end, its start (directly), its slopes."""

    end: Tensors
    start: Tensors
    slopes: list[Tensors]


class StepReplay:
    """Recomputes steps and their vector-Jacobian products.

    Args:
        dynamics: f.
        options: the options of the forward solve.
        solution: the forward solve, with the ends of its steps.
        g: dL/dz at the requested times, each (times, ...).
        args: the arguments of f after t and z.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        options: SolverOptions,
        solution: ForwardSolution,
        g: Tensors,
        args: Tensors,
    ) -> None:
        self.options, self.mode = options, options.step_mode
        self.t, self.ends, self.g = solution.t, solution.ends, g
        self.system, self.theta = ForwardSystem(dynamics, options, args), dynamics.theta(args)
        self.interpolates = options.interpolates and solution.t.shape[0] not in (1, 2)
        self.tableau = options.tableau if self.interpolates else options.tableau.without_error_estimate()
        self.sign = tf.sign(self.t[-1] - self.t[0])

    def span(self, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the times at the start and end of step k."""
        return tf.where(k == 0, self.t[0], self.ends[tf.maximum(k - 1, 0)]), self.ends[k]

    def initial_state(self, z: Tensors) -> Tensors:
        """Return what a step starts from: z, and for an implicit solver with adaptive steps the first slope."""
        if not (self.options.adaptive and self.tableau.implicit):
            return z
        return [*z, *self._system_of(self.span(tf.constant(0))).rhs(self.t[0], z, False)[0]]

    def step(self, span: tuple[tf.Tensor, tf.Tensor], state: Tensors) -> RKStep:
        """Take the step of a span from a state."""
        z, system = state[: len(self.g)], self._system_of(span)
        first_slope = self._first_slope(system, span[0], z, state[len(z) :])
        return take_step(
            self.options,
            system,
            span,
            z,
            first_slope=(first_slope, []) if first_slope else None,
            tableau=self.tableau,
            max_iterations=MAX_REPLAY_ITERATIONS,
        )

    def state_after(self, step: RKStep, state: Tensors) -> Tensors:
        """Return what the step after a step starts from."""
        return [*step.y, *(step.last_slope[0] if len(state) > len(step.y) else [])]

    def _first_slope(self, system: ForwardSystem, t: tf.Tensor, z: Tensors, slope: Tensors) -> Tensors:
        """Return the first slope of a step, which is evaluated after a jump of f."""
        if not (slope and self.options.jump_t):
            return slope
        jumps = tf.constant(self.options.jump_t, tf.float64)
        at_jump = tf.reduce_any(t[..., tf.newaxis] == jumps, axis=-1)
        after_jump: Tensors = self.mode.select(at_jump, system.rhs(t, z, False)[0], slope)
        return after_jump

    def _system_of(self, span: tuple[tf.Tensor, tf.Tensor]) -> ForwardSystem:
        return self.system.between(*map(tf.stop_gradient, span)) if self.options.jump_t else self.system

    def backprop(self, k: tf.Tensor, state: Tensors, c: Cotangents) -> Cotangents:
        """Return the cotangents before step k, from those after it, and the state before it."""
        span, z = self.span(k), state[: len(self.g)]
        sources, system = [*z, *self.theta, *span], self._system_of(span)
        solved = self.step(span, state) if self.tableau.implicit else None
        linearization = linearize(self.options, system, solved) if solved else None
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            if linearization:
                step = differentiable_step(self.options, system, span, z, linearization)
            else:
                step = self.step(span, z)
            outputs = [*step.y, *(tf.nest.flatten(step.slopes) if self.interpolates else [])]
        c, of_outputs, of_span = self._collect(span, step, c)
        output_gradients = [*of_outputs.end, *tf.nest.flatten(of_outputs.slopes)]
        gradients = tape.gradient(outputs, sources, output_gradients, tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(x) for x in gradients]
        a = [x + y for x, y in zip(gradients[: len(z)], of_outputs.start, strict=True)]
        theta = [x + y for x, y in zip(c.theta, gradients[len(z) : -2], strict=True)]
        of_span = [x + y for x, y in zip(gradients[-2:], of_span, strict=True)]
        nfe = c.nfe + step.nfe + (solved.nfe if solved else 0)
        converged = c.converged & solved.converged if solved else c.converged
        return Cotangents(c.row, a, theta, c.t + self._time_gradient(c.row, span, of_span), nfe, converged)

    def _collect(
        self, span: tuple[tf.Tensor, tf.Tensor], step: RKStep, c: Cotangents
    ) -> tuple[Cotangents, OutputCotangents, Tensors]:
        """Add the derivatives of the loss with respect to the states at the requested times in a step.

        For P = h sum_i b_i(x) k_i and D = dP/dt, with x = (t - t_0) / h:  dP/dt_0 = (x - 1) D - P / h,
        dP/dt_1 = P / h - x D.

        Returns:
            The cotangents, with the row before the step, those of the results of the step, and those of its span.
        """
        zeros = [tf.zeros_like(x) for x in c.a]
        slopes = [zeros] * self.tableau.stages if self.interpolates else []
        of_span = [tf.zeros_like(span[0])] * 2

        def due(row: tf.Tensor) -> tf.Tensor:
            return (row > 0) & (self.sign * (self.mode.take(self.t, row) - span[0]) > 0)

        def body(row: tf.Tensor, cotangents: OutputCotangents, of_span: Tensors, of_t: tf.Tensor) -> tuple[object, ...]:
            is_due, t = due(row), self.mode.take(self.t, row)
            weight = tf.cast(is_due, tf.float64)
            g = [self.mode.take(x, row) for x in self.g]
            g = [self.mode.broadcast(weight, x) * x for x in g]
            if self.interpolates:
                cotangents, of_span, rate = self._interpolation(span, step, t, g, cotangents, of_span)
                of_t = self.mode.put(of_t, row, self.mode.take(of_t, row) + rate)
            else:
                cotangents = cotangents._replace(end=_add(cotangents.end, g))
            return row - tf.cast(is_due, tf.int32), cotangents, of_span, of_t

        variables = (c.row, OutputCotangents(c.a, zeros, slopes), of_span, c.t)
        row, cotangents, of_span, of_t = tf.while_loop(
            lambda row, *_: tf.reduce_any(due(row)), body, variables, parallel_iterations=1
        )
        return c._replace(row=row, t=of_t), cotangents, of_span

    def _interpolation(
        self,
        span: tuple[tf.Tensor, tf.Tensor],
        step: RKStep,
        t: tf.Tensor,
        g: Tensors,
        cotangents: OutputCotangents,
        of_span: Tensors,
    ) -> tuple[OutputCotangents, Tensors, tf.Tensor]:
        """Add the derivatives through the state at a time t in the step. Also return g . dz/dt; 0 for the last time."""
        point, h = locate(self.options, span, t), span[1] - span[0]
        inner = tf.cast(~point.at_end, tf.float64)
        at_end = [self.mode.broadcast(1 - inner, x) * x for x in g]
        inside = [x - y for x, y in zip(g, at_end, strict=True)]
        weights = tf.unstack(point.weights, num=self.tableau.stages, axis=-1)
        slopes = [
            _add(k, [self.mode.broadcast(w, x) * x for x in inside])
            for k, w in zip(cotangents.slopes, weights, strict=True)
        ]
        D = self.mode.dot(g, combine(self.options, point.rates, step.slopes))
        P = self.mode.dot(inside, combine(self.options, point.weights, step.slopes)) / tf.where(
            h == 0, tf.ones_like(h), h
        )
        start = of_span[0] + inner * (point.x - 1) * D - P
        end = of_span[1] - inner * point.x * D + P
        cotangents = OutputCotangents(_add(cotangents.end, at_end), _add(cotangents.start, inside), slopes)
        return cotangents, [start, end], tf.where(t == self.t[-1], tf.zeros_like(D), D)

    def _time_gradient(self, row: tf.Tensor, span: tuple[tf.Tensor, tf.Tensor], of_span: Tensors) -> tf.Tensor:
        """Return the gradient of the requested times, (times, ...), from that of the start and end of a step.

        The ends of adaptive steps are constants, except for the first and the last time. Fixed steps divide the
        interval from row to row + 1: an end at its fraction s passes s of its gradient to row + 1, and 1 - s to row.
        """
        if self.options.adaptive:
            first, last = self.t[0], self.t[-1]
            parts = [_masked_sum(time, span, of_span) for time in (first, last)]
            rows = [tf.zeros_like(row), tf.zeros_like(row) + tf.shape(self.t)[0] - 1]
        else:
            rows = [row, row + 1]
            start, end = (self.mode.take(self.t, i) for i in rows)
            fractions = [(x - start) / (end - start) for x in span]
            shares = [[1 - s for s in fractions], fractions]
            parts = [tf.add_n([s * g for s, g in zip(share, of_span, strict=True)]) for share in shares]
        zeros = tf.zeros_like(self.t)
        return tf.add_n([self.mode.put(zeros, i, part) for i, part in zip(rows, parts, strict=True)])


def _masked_sum(time: tf.Tensor, span: tuple[tf.Tensor, tf.Tensor], of_span: Tensors) -> tf.Tensor:
    """Return the sum of the gradients of the ends that equal a time."""
    return tf.add_n([tf.where(x == time, g, tf.zeros_like(g)) for x, g in zip(span, of_span, strict=True)])


def _add(x: Tensors, y: Tensors) -> Tensors:
    return [u + v for u, v in zip(x, y, strict=True)]
