"""The gradient by the adjoint method: one solve backward in time, with memory that does not grow with the steps.

The augmented state Z = [z, theta, t] has the adjoint [a_z, a_theta, a_t], which obeys

    da_z/dt = -a_z df/dz,    da_theta/dt = -a_z df/dtheta,    da_t/dt = -a_z df/dt

Backward from the last requested time to the first, a_z jumps at each of them by the gradient of the loss with respect
to the state there. a_theta and a_t are pure quadratures: nothing depends on them.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 2, appendices B.2 and C.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.neuralode.solver.dynamics import Field
from gradcam_cli.neuralode.solver.forward_solve import Solved, bare
from gradcam_cli.neuralode.solver.integrate import Progress, advance, begin, evaluated
from gradcam_cli.neuralode.solver.status import Status
from gradcam_cli.neuralode.solver.step_size import Control
from gradcam_cli.neuralode.solver.typing import Tensors

FIRST_SHARE = 0.1
"""Of the last span: the first step backward, where the forward solve had fixed steps."""


class Augmented(NamedTuple):
    """The system of z and a_z, y = [*z, *a], with the quadratures [*a_theta] and, if asked for, a_t.

    All adjoints are in the unit (), or for each sample (n,); only what `density` returns is in the loss's own.
    """

    field: Field
    control: Control
    theta: Tensors
    fixed: Tensors
    of_t: bool
    unit: tf.Tensor

    def slope(self, t: tf.Tensor, y: Tensors, dense: bool) -> tuple[Tensors, Tensors]:
        """Return [f, -a df/dz] and, if dense and not left to `density`, -a df/d(theta, t)."""
        dense = dense and self.control.batch_coupled
        dz, da, v = self._vjp(t, y, y[len(y) // 2 :], dense)
        return [*dz, *da], v

    def density(self, t: tf.Tensor, y: Tensors, weight: tf.Tensor) -> Tensors:
        """Return the sum over the samples of -weight a df/d(theta, t)."""
        a = [self.control.batch.beside(weight * self.unit, x) * x for x in y[len(y) // 2 :]]
        v = self._vjp(t, y, a, True)[2]
        return [*v[:-1], tf.reduce_sum(v[-1])] if self.of_t else v

    def _vjp(self, t: tf.Tensor, y: Tensors, a: Tensors, dense: bool) -> tuple[Tensors, Tensors, Tensors]:
        z = y[: len(y) // 2]
        time, of_t = self.control.batch.beside(t, z[0]), dense and self.of_t
        found: tuple[Tensors, Tensors, Tensors] = self.field.slope_and_vjp(
            time, z, a, self.theta, self.fixed, of_theta=dense and bool(self.theta), of_t=of_t
        )
        return found


class Gradients(NamedTuple):
    """Gradients of the loss.

    Attributes:
        z: with respect to z0.
        theta: with respect to the parameters.
        t: (times,) float64, with respect to the requested times; zeros if not asked for.
        progress: where the backward solve ended; without state.
    """

    z: Tensors
    theta: Tensors
    t: tf.Tensor
    progress: Progress


def solve_adjoint(
    field: Field,
    control: Control,
    solved: Solved,
    g: Tensors,
    t: tf.Tensor,
    theta: Tensors,
    fixed: Tensors,
    of_t: bool,
    theta_in_norm: bool,
) -> Gradients:
    """Integrate z, a_z, a_theta and a_t backward through the requested times.

    The whole is linear in a, so a is solved in units of its own size: the tolerances mean the same for
    a loss of any scale.

    Args:
        field: f.
        control: the options of the backward solve.
        solved: the forward solve; its states replace the backward ones at each requested time.
        g: dL/dz at the requested times, each (times, ...).
        t: (times,) float64.
        theta: the parameters of f.
        fixed: what else f has of variables.
        of_t: whether the gradient of the times is wanted.
        theta_in_norm: whether the quadratures take part in the choice of steps.
    """
    last, unit = t.shape[0] - 1, _unit(control, g)
    system = Augmented(field, control, theta, fixed, of_t, unit)
    jumps = [x / spread(control, unit, x) for x in g]
    p = _at_the_end(control, solved, jumps, t, theta, of_t)
    of_times = tf.TensorArray(tf.float64, last + 1, element_shape=[]).write(0, tf.zeros([], tf.float64))

    def body(i: tf.Tensor, p: Progress, of_times: Any) -> Any:
        a = [x + u[i] for x, u in zip(p.y[len(g) :], jumps, strict=True)]
        p = evaluated(control, system, p._replace(y=[*(x[i] for x in solved.z), *a]))
        if of_t:
            p, f = _f(control, system, p)
            of_times = of_times.write(i, _inner([u[i] for u in g], f))
        return i - 1, advance(control, system, p, t[i - 1], theta_in_norm), of_times

    if last > 0:
        _, p, of_times = tf.while_loop(lambda i, *_: i > 0, body, (tf.constant(last), p, of_times))
    a = [(x + u[0]) * spread(control, unit, u)[0] for x, u in zip(p.y[len(g) :], jumps, strict=True)]
    q = [x * tf.cast(unit, x.dtype) for x in p.q] if control.batch_coupled else p.q
    gt = _of_times(of_times.stack(), q[-1]) if of_t else tf.zeros_like(t)
    return gradients(control, p, a, q[: len(theta)], gt)


def gradients(control: Control, p: Progress, z: Tensors, theta: Tensors, t: tf.Tensor) -> Gradients:
    """Return the gradients, with NaN in the place of those that were not solved to the end."""
    done = p.status == Status.DONE
    clean = tf.where(tf.reduce_all(done), 0.0, float("nan"))
    of_z = [x + control.batch.beside(tf.where(done, 0.0, float("nan")), x) for x in z]
    return Gradients(of_z, [x + tf.cast(clean, x.dtype) for x in theta], t + tf.cast(clean, t.dtype), bare(p))


def _at_the_end(control: Control, solved: Solved, g: Tensors, t: tf.Tensor, theta: Tensors, of_t: bool) -> Progress:
    """Return the progress at the last requested time, before the jump there."""
    last = t.shape[0] - 1
    q = [*(tf.zeros_like(x) for x in theta), *([tf.zeros([], g[0].dtype)] if of_t else [])]
    y = [*(x[last] for x in solved.z), *(tf.zeros_like(x[last]) for x in g)]
    p = begin(control, t[last], y, q, None, recorded=False)
    k = [tf.zeros_like(x) for x in y] if control.adaptive and control.tableau.fsal else []
    v = [tf.zeros_like(x) for x in q] if k and control.batch_coupled else []
    span = tf.abs(t[last] - t[last - 1])
    h = tf.where(solved.progress.h > 0, solved.progress.h, FIRST_SHARE * span)
    return p._replace(first=(k, v), h=h, status=solved.progress.status)


def _unit(control: Control, g: Tensors) -> tf.Tensor:
    """Return the size of all jumps together, a clock's, float64; 1 where there are none."""
    one = [tf.sqrt(tf.reduce_sum(tf.square(x), axis=0)) for x in g]
    unit = control.batch.rms(one)
    return tf.where(unit == 0, tf.ones_like(unit), unit)


def spread(control: Control, unit: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
    """Return a clock's value in a form that multiplies a tensor (times, ...)."""
    return control.batch.beside(unit, g[0])[tf.newaxis]


def _f(control: Control, system: Augmented, p: Progress) -> tuple[Progress, Tensors]:
    """Return f where the solve is: known, or at the price of an evaluation."""
    n = len(p.y) // 2
    if p.first[0]:
        return p, p.first[0][:n]
    time = control.batch.beside(p.t, p.y[0])
    f = system.field.slope(time, p.y[:n], system.theta, system.fixed)
    return p._replace(evaluations=p.evaluations + 1), f


def _inner(u: Tensors, v: Tensors) -> tf.Tensor:
    """Return u . v over all tensors, float64 ()."""
    return tf.add_n([tf.reduce_sum(tf.cast(x * y, tf.float64)) for x, y in zip(u, v, strict=True)])


def _of_times(of_times: tf.Tensor, a_t: tf.Tensor) -> tf.Tensor:
    """Return dL/dt, (times,): a later time moves its own state only; a_t, that of t0, moves all of them along."""
    first = tf.cast(a_t, tf.float64) - tf.reduce_sum(of_times[1:])
    return tf.concat([first[tf.newaxis], of_times[1:]], axis=0)
