"""gradcam's `odeint`: compiled by XLA for the tiny f, a plain `tf.function` for the convolutional one.

With --compiled the latter is compiled, too, but only forward: XLA is very slow at the gradients of convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from ode_harness import Arrays, Contender, Setting, measure

from gradcam_cli.neuralode.layers.odenet import ConvField
from gradcam_cli.neuralode.solver.odeint import odeint


class Field(NamedTuple):
    """f, its variables, and how their gradients are brought into the layout of the inputs."""

    f: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    variables: list[tf.Variable]
    laid_out: Callable[[Sequence[tf.Tensor]], list[tf.Tensor]]


def tiny(arrays: Arrays) -> Field:
    """Return f(t, z) = W2 tanh(W1 z + b1) + b2."""
    w1, b1, w2, b2 = variables = [tf.Variable(arrays[name]) for name in ("w1", "b1", "w2", "b2")]
    return Field(lambda t, z: tf.matmul(tf.tanh(tf.matmul(z, w1) + b1), w2) + b2, variables, list)


def convolutional(arrays: Arrays) -> Field:
    """Return the package's own f with ReLU, which keeps the kernels for time apart."""
    f = ConvField("relu")
    f.build((), arrays["z0"].shape)
    variables = []
    for i, layer in enumerate(f.convs, 1):
        parts = np.split(arrays[f"kernel{i}"], [1], axis=2)
        variables += _assigned([layer.time_kernel, layer.kernel, layer.bias], [*parts, arrays[f"bias{i}"]])
    for i, layer in enumerate(f.norms, 1):
        variables += _assigned([layer.gamma, layer.beta], [arrays[f"scale{i}"], arrays[f"offset{i}"]])

    def laid_out(g: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [tf.concat(g[0:2], axis=2), g[2], tf.concat(g[3:5], axis=2), g[5], *g[6:]]

    return Field(f, variables, laid_out)


def _assigned(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> list[tf.Variable]:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return [variable.value for variable in variables]


FIELDS = {"tiny": tiny, "convolutional": convolutional}


def prepare(setting: Setting) -> Contender:
    """Return all functions, traced when they are first called."""
    field, problem = FIELDS[setting.name](setting.arrays), setting.problem
    z0, g = tf.constant(setting.arrays["z0"]), tf.constant(setting.arrays["g"])
    jit_compile = setting.name == "tiny" or setting.compiled

    def solve(f: Any, z0: tf.Tensor) -> tf.Tensor:
        return odeint(f, z0, (0.0, problem.t1), rtol=problem.rtol, atol=problem.atol).z[-1]

    def differentiate(f: Any, z0: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(z0)
            loss = tf.reduce_sum(g * solve(f, z0))
        return tape.gradient(loss, [z0, *field.variables])

    forward = tf.function(lambda z0: solve(field.f, z0), autograph=False, jit_compile=jit_compile)
    both = tf.function(lambda z0: differentiate(field.f, z0), autograph=False, jit_compile=jit_compile)

    def gradient() -> tuple[tf.Tensor, list[tf.Tensor]]:
        of_z0, *of_theta = both(z0)
        return of_z0, field.laid_out(of_theta)

    def count(backward: bool) -> int:
        calls: list[int] = []

        def counted(t: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
            tf.numpy_function(lambda: calls.append(1), [], [])
            return field.f(t, z)

        tf.function(lambda z0: (differentiate if backward else solve)(counted, z0), autograph=False)(z0)
        return len(calls)

    f, vjp = loops(field, g, jit_compile)
    contender = Contender(
        slope=lambda: field.f(tf.constant(problem.t1 / 2), z0),
        f=lambda times: f(z0, tf.constant(times)),
        forward=lambda: forward(z0),
        count=count,
    )
    if setting.compiled:
        return contender
    return contender._replace(vjp=lambda times: vjp(z0, tf.constant(times)), gradient=gradient)


def loops(field: Field, g: tf.Tensor, jit_compile: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the functions that evaluate f, and f with its product, so often in a row."""

    def f(z: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        def body(i: tf.Tensor, z: tf.Tensor) -> Any:
            return i + 1, field.f(tf.cast(i, z.dtype) * 1e-3, z)

        return tf.while_loop(lambda i, z: i < times, body, (0, z))[1]

    def vjp(z: tf.Tensor, times: tf.Tensor) -> Any:
        def body(i: tf.Tensor, z: tf.Tensor, _: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(z)
                dz = field.f(tf.cast(i, z.dtype) * 1e-3, z)
            return i + 1, dz, tape.gradient(dz, [z, *field.variables], g)

        products = [tf.zeros_like(x) for x in [z, *field.variables]]
        return tf.while_loop(lambda i, *_: i < times, body, (0, z, products))[1:]

    return tuple(tf.function(x, autograph=False, jit_compile=jit_compile) for x in (f, vjp))


if __name__ == "__main__":
    measure(prepare)
