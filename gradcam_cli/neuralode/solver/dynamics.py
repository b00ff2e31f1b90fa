"""`Dynamics`: f as a pure function of t, z and its parameters theta, with its vector-Jacobian products.

z, a and theta are lists of tensors. t has the dtype of z, and shape (), or (n, 1, ...) with per-sample steps.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import variable_accessed

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.typing import Tensors

RANDOM_LAYERS = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianDropout",
    "AlphaDropout",
)
UNSUPPORTED_LAYERS = {
    "BatchNormalization": "its statistics change with every evaluation and couple the samples of a batch",
    **dict.fromkeys(
        (*RANDOM_LAYERS, "GaussianNoise"), "it draws new random numbers at every evaluation, so f is not a function"
    ),
}
"""Layers that f must not contain, and the reason."""

_HALF_DTYPES = (tf.float16, tf.bfloat16)


class Dynamics:
    """dz/dt = f(t, z, theta).

    It references f weakly, so that the solver cache does not keep f alive.

    Args:
        f: a Keras layer, or a function (t, z) -> dz/dt. A tensor in the closure of a function is a constant.
        t: a time in the shape that f receives.
        z: a state, flattened.
        structure: structure of the state, for `tf.nest.pack_sequence_as`.

    Raises:
        UsageError: f contains a layer of `UNSUPPORTED_LAYERS`, or its output differs from z in structure, shape or
            dtype.
    """

    def __init__(self, f: Any, t: tf.Tensor, z: Tensors, structure: Any) -> None:
        f = getattr(f, "python_function", f)  # unwraps a tf.function
        self._f, self._structure = _weak_reference(f), structure
        self._is_layer = isinstance(f, keras.Layer)
        if self._is_layer:
            require_deterministic(f)
            if not f.built:
                f(t, tf.nest.pack_sequence_as(structure, z))
        traced_variables = self._trace_variables(t, z)
        self._variables = [] if self._is_layer else traced_variables
        self.rhs = tf.function(self._rhs, autograph=False)
        self.rhs_and_vjp = tf.function(self._rhs_and_vjp, autograph=False)

    @property
    def theta(self) -> list[Any]:
        """The parameters of f: trainable variables."""
        return list(self._f().trainable_variables) if self._is_layer else self._variables

    @property
    def non_trainable(self) -> list[Any]:
        """The non-trainable variables of a layer; empty for a function."""
        return list(self._f().non_trainable_variables) if self._is_layer else []

    def _trace_variables(self, t: tf.Tensor, z: Tensors) -> list[Any]:
        """Return the trainable variables that f reads. A `tf.function` inside f is traced with its real variables."""

        def evaluate(t: tf.Tensor, z: Tensors) -> Any:
            with keras.StatelessScope():
                return self._f()(t, tf.nest.pack_sequence_as(self._structure, z))

        specs = [tf.TensorSpec(x.shape, x.dtype) for x in z]
        traced = tf.function(evaluate, autograph=False).get_concrete_function(tf.TensorSpec(t.shape, t.dtype), specs)
        return list(traced.trainable_variables)

    def __call__(self, t: tf.Tensor, z: Tensors, theta: Tensors, non_trainable: Tensors) -> Tensors:
        """Return f(t, z), in the shapes and dtype of z."""
        state = tf.nest.pack_sequence_as(self._structure, z)
        variables = [getattr(x, "_value", x) for x in self.theta]  # the TensorFlow variables inside Keras variables
        with (
            keras.StatelessScope(zip(self.non_trainable, non_trainable, strict=True)),
            _substituted_variables(variables, theta),
        ):
            dz = self._f()(t, state)
        _check_no_captured_variables(variables)
        return [_match_state(x, y) for x, y in zip(self._flatten(dz), z, strict=True)]

    def _flatten(self, dz: Any) -> Tensors:
        try:
            tf.nest.assert_same_structure(self._structure, dz, check_types=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"f(t, z): expected the structure of z, got {tf.nest.map_structure(type, dz)}") from error
        return [tf.convert_to_tensor(x) for x in tf.nest.flatten(dz)]

    def _rhs(self, t: tf.Tensor, z: Tensors, theta: Tensors, non_trainable: Tensors) -> Tensors:
        return self(t, z, theta, non_trainable)

    def _rhs_and_vjp(
        self,
        t: tf.Tensor,
        z: Tensors,
        a: Tensors,
        theta: Tensors,
        non_trainable: Tensors,
        need_theta_gradient: bool,
        need_time_gradient: bool,
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Return f, -a df/dz, and the requested parts of -a df/d(theta, t), from one forward and one backward pass.

        Source:
            Chen et al. 2018, Neural Ordinary Differential Equations, appendix B.2.
        """
        sources = [*(theta if need_theta_gradient else []), *([t] if need_time_gradient else [])]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*z, *sources])
            dz = self(t, z, theta, non_trainable)
        gradients = tape.gradient(
            dz, [*z, *sources], [-x for x in a], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        gradients = [tf.convert_to_tensor(x) for x in gradients]
        return dz, gradients[: len(z)], gradients[len(z) :]


def _weak_reference(f: Callable[..., Any]) -> Callable[[], Any]:
    """Return a function that returns f while f is alive."""
    try:
        return weakref.WeakMethod(f) if hasattr(f, "__self__") and hasattr(f, "__func__") else weakref.ref(f)
    except TypeError:
        return lambda: f


def require_deterministic(f: keras.Layer) -> None:
    """Check that f is a deterministic function of t and z.

    Raises:
        UsageError: f contains a layer of `UNSUPPORTED_LAYERS`.
    """
    for layer in f._flatten_layers():
        for kind in type(layer).__mro__:
            if kind.__name__ in UNSUPPORTED_LAYERS and kind.__module__.startswith("keras"):
                raise UsageError(
                    f"f contains {type(layer).__name__} ({layer.name}): {UNSUPPORTED_LAYERS[kind.__name__]}",
                    "use GroupNormalization or LayerNormalization" if "Batch" in kind.__name__ else "remove it from f",
                )


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


@contextlib.contextmanager
def _substituted_variables(variables: Sequence[Any], values: Sequence[tf.Tensor]) -> Iterator[None]:
    """Replace the values of variables by tensors while the `with` block is traced.

    A function that reads variables becomes a function of tensors: their values at the start of the solve. Each read
    is still reported to TensorFlow, so that an outer `tf.function` or `odeint` detects the variables.
    """

    def reader(variable: Any, value: tf.Tensor, read: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        def read_tensor(*arguments: Any, **options: Any) -> tf.Tensor:
            variable_accessed(variable)
            return read(value, *arguments, **options)

        return read_tensor

    # Not empty in an odeint inside f.
    originals = [{name: x.__dict__[name] for name in _READ_METHODS if name in x.__dict__} for x in variables]
    try:
        for variable, value in zip(variables, values, strict=True):
            variable.__dict__.update({name: reader(variable, value, read) for name, read in _READ_METHODS.items()})
        yield
    finally:
        for variable, original in zip(variables, originals, strict=True):
            for name in _READ_METHODS:
                variable.__dict__.pop(name, None)
            variable.__dict__.update(original)


_READ_METHODS: dict[str, Callable[..., tf.Tensor]] = {
    "value": lambda value: value,
    "read_value": lambda value: value,
    "sparse_read": lambda value, indices, name=None: tf.gather(value, indices, name=name),
    "gather_nd": lambda value, indices, name=None: tf.gather_nd(value, indices, name=name),
}
"""The methods that read a variable, as functions of its value."""


def _check_no_captured_variables(variables: Sequence[Any]) -> None:
    """Check that the trace of f did not capture a variable instead of its substituted tensor.

    Raises:
        UsageError: it did; the gradient of this variable would be incomplete.
    """
    captured = {id(tensor) for tensor, _ in tf.compat.v1.get_default_graph().captures}
    for variable in variables:
        if id(variable.handle) in captured:
            name = variable.name.removesuffix(":0")
            raise UsageError(
                f"f reads the variable {name} in an inner tf.function, where its gradient would be lost",
                "remove @tf.function inside f: odeint compiles all of f",
            )
