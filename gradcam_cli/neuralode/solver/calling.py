"""How f is called: f(t, z, *args), an autonomous f(z), or a functional Keras model of [t, z, *args]."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def calling_convention(f: Any) -> Callable[[Any, tf.Tensor, Any, Sequence[Any]], Any]:
    """Return a function (f, t, z, args) -> dz/dt that calls f with the arguments it takes.

    - A functional or Sequential Keras model with several inputs takes the list [t, z, *args]. t is broadcast to the
      shape of its input, for example to (n, 1).
    - An f with a single required argument is autonomous: f(z, *args).
    - Any other f takes (t, z, *args).

    Args:
        f: a Keras layer or a function. It is only inspected; the result holds no reference to it.
    """
    inputs = getattr(f, "inputs", None) if isinstance(f, keras.Model) else None
    if inputs and len(inputs) > 1:
        shape = tuple(inputs[0].shape)
        return lambda f, t, z, args: f([_broadcast_time(t, z, shape), z, *args])
    if _num_required(f) == 1:
        return lambda f, t, z, args: f(z, *args)
    return lambda f, t, z, args: f(t, z, *args)


def _num_required(f: Any) -> int | None:
    """Return the number of required positional arguments; None if it is not known or not fixed."""
    function = f.call if isinstance(f, keras.Layer) else getattr(f, "python_function", f)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without signature
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters)


def _broadcast_time(t: tf.Tensor, z: Any, shape: tuple[int | None, ...]) -> tf.Tensor:
    """Return t, () or (n, 1, ...), in the shape of an input of a functional model, whose first axis is the batch."""
    if not shape:
        return t
    n = tf.shape(tf.nest.flatten(z)[0])[:1]
    column = tf.reshape(t, [-1] + [1] * (len(shape) - 1))
    return tf.broadcast_to(column, tf.concat([n, [size or 1 for size in shape[1:]]], 0))
