"""`Dynamics`: f as a function of t, z and args, with its vector-Jacobian products.

f reads its own variables: they are never replaced, so threads and distribution strategies can share them. z, a and args
are lists of tensors. t has the dtype of z, and shape (), or (n, 1, ...) with per-sample steps.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common.stateless_scope import in_stateless_scope as in_stateless_scope

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.calling import calling_convention
from gradcam_cli.neuralode.solver.layer_checks import require_deterministic
from gradcam_cli.neuralode.solver.typing import Tensors

_HALF_DTYPES = (tf.float16, tf.bfloat16)


class Dynamics:
    """dz/dt = f(t, z, *args).

    It references f weakly, so that the solver cache does not keep f alive.

    Args:
        f: a Keras layer or a function, called as described in `calling_convention`.
        t: a time, or its `tf.TensorSpec`, in the shape that f receives.
        z: a state, flattened, or its specs.
        structure: structure of the state, for `tf.nest.pack_sequence_as`.
        args: the arguments of f after t and z, flattened, or their specs.
        args_structure: structure of these arguments.

    Attributes:
        variables: the variables that f reads and that TensorFlow regards as trainable.
        closure: the floating-point tensors in the closure of f.
        has_graph_closure: whether a tensor in the closure of f belongs to the graph of an outer `tf.function`.

    Raises:
        UsageError: f contains a layer that `require_deterministic` rejects, or its output differs from z in structure,
            shape or dtype.
    """

    def __init__(
        self, f: Any, t: Any, z: Sequence[Any], structure: Any, args: Sequence[Any] = (), args_structure: Any = ()
    ) -> None:
        if isinstance(f, keras.Layer):
            require_deterministic(f)
        self._f, self._call = _weak_reference(f), calling_convention(f)
        self._structure, self._args_structure = structure, args_structure
        specs = [tf.TensorSpec(t.shape, t.dtype), *([tf.TensorSpec(x.shape, x.dtype) for x in xs] for xs in (z, args))]
        traced = tf.function(self._rhs, autograph=False).get_concrete_function(*specs)
        self.variables: list[Any] = list(traced.trainable_variables)
        captured = [x for x in traced.captured_inputs if x.dtype != tf.resource]
        self.closure: Tensors = [x for x in captured if x.dtype.is_floating]
        self.has_graph_closure = any(hasattr(x, "graph") for x in captured)
        self._parameters = parameters_of(f, self.variables)
        self.rhs = tf.function(self._rhs, autograph=False)
        self.rhs_and_vjp = tf.function(self._rhs_and_vjp, autograph=False)

    def theta(self, args: Tensors) -> list[Any]:
        """Return what the gradient is taken of: trainable variables, tensors in the closure, floating-point args."""
        return [*self._parameters, *self.closure, *floating(args)]

    def values(self) -> tuple[Tensors, Tensors]:
        """Return the current values of `variables`, and those of `theta([])`."""
        values = {id(x): tf.convert_to_tensor(x) for x in self.variables}
        return list(values.values()), [*(values[id(x)] for x in self._parameters), *self.closure]

    def _rhs(self, t: tf.Tensor, z: Tensors, args: Tensors) -> Tensors:
        """Return f(t, z, *args), in the shapes and dtype of z."""
        state = tf.nest.pack_sequence_as(self._structure, z)
        dz = self._call(self._f(), t, state, tf.nest.pack_sequence_as(self._args_structure, args))
        return [_match_state(x, y) for x, y in zip(self._flatten(dz), z, strict=True)]

    def _flatten(self, dz: Any) -> Tensors:
        try:
            tf.nest.assert_same_structure(self._structure, dz, check_types=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"f(t, z): expected the structure of z, got {tf.nest.map_structure(type, dz)}") from error
        return [tf.convert_to_tensor(x) for x in tf.nest.flatten(dz)]

    def _rhs_and_vjp(
        self,
        t: tf.Tensor,
        z: Tensors,
        a: Tensors,
        args: Tensors,
        need_theta_gradient: bool,
        need_time_gradient: bool,
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Return f, -a df/dz, and the requested parts of -a df/d(theta, t), from one forward and one backward pass.

        Source:
            Chen et al. 2018, Neural Ordinary Differential Equations, appendix B.2.
        """
        sources = [*z, *(self.theta(args) if need_theta_gradient else []), *([t] if need_time_gradient else [])]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            dz = self._rhs(t, z, args)
        gradients = tape.gradient(dz, sources, [-x for x in a], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(x) for x in gradients]
        return dz, gradients[: len(z)], gradients[len(z) :]


def parameters_of(f: Any, variables: list[Any]) -> list[Any]:
    """Return the variables that are trained: for a Keras layer, those that are not frozen."""
    if not isinstance(f, keras.Layer):
        return variables
    frozen = {id(x) for variable in f.non_trainable_variables for x in tensorflow_variables(variable)}
    return [x for x in variables if id(x) not in frozen]


def tensorflow_variables(variable: Any) -> Sequence[Any]:
    """Return the TensorFlow variables of a Keras variable: one, or one for each replica of a distribution strategy."""
    value = getattr(variable, "_value", variable)  # `variable.value` would be a cast inside a half-precision layer
    return value.values if isinstance(value, tf.distribute.DistributedValues) else [value]


def floating(tensors: Tensors) -> Tensors:
    """Return the floating-point tensors."""
    return [x for x in tensors if x.dtype.is_floating]


def _weak_reference(f: Callable[..., Any]) -> Callable[[], Any]:
    """Return a function that returns f while f is alive."""
    try:
        return weakref.WeakMethod(f) if hasattr(f, "__self__") and hasattr(f, "__func__") else weakref.ref(f)
    except TypeError:
        return lambda: f


def _match_state(dz: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Return a slope in the dtype and static shape of its state. f may compute in half precision.

    Raises:
        UsageError: the slope has another shape, or a dtype that is neither that of z nor half precision.
    """
    if dz.dtype != z.dtype and dz.dtype not in _HALF_DTYPES:
        raise UsageError(
            f"f(t, z): expected {z.dtype.name}, the dtype of z, got {dz.dtype.name}",
            "create the layer with dtype='float64', or cast z0",
        )
    if not dz.shape.is_compatible_with(z.shape):
        raise UsageError(f"f(t, z): expected the shape {z.shape} of z, got {dz.shape}")
    if not z.shape.is_fully_defined():
        dz = tf.reshape(dz, tf.shape(z))
    dz.set_shape(z.shape)
    return tf.cast(dz, z.dtype)
