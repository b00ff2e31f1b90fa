"""`ODEBlock`: a Keras layer whose output is the solution of a differential equation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.layers.function_checks import require_tracked, validate_function
from gradcam_cli.neuralode.solver.arguments import solver_key, validate_times
from gradcam_cli.neuralode.solver.calling import calling_convention
from gradcam_cli.neuralode.solver.dynamics import Dynamics, in_stateless_scope
from gradcam_cli.neuralode.solver.odeint import odeint

ODEINT_OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(odeint).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
    and name not in ("args", "per_sample_steps", "return_steps", "dense", "backward_callback")
}
"""The keyword arguments that an `ODEBlock` passes to `odeint`, with their defaults."""


@keras.saving.register_keras_serializable("gradcam")
class ODEBlock(keras.Layer):  # type: ignore[misc]
    """z(t_1) of dz/dt = f(t, z, *args), z(t_0) = input; input and output have shape (n, ..., channels).

    `block(z)` solves with f(t, z), and `block([z, *args])` with f(t, z, *args), a conditional ODE: the further inputs
    are constant during the solve and receive gradients. In a half-precision model, f computes in half precision and
    the solver in float32.

    Args:
        f: a layer or model that maps a time and a state to dz/dt of the same shape, called as in `odeint`: f(t, z), an
            autonomous f(z), or a functional model of [t, z]. The time has shape (), or (n, 1, ...) with per-sample
            steps. A function without variables is accepted if it is registered with
            `keras.saving.register_keras_serializable`.
        t_span: the initial and final time (t_0, t_1); with return_trajectory=True, any number of times.
        per_sample_steps: whether the steps of each sample are chosen separately; "inference": only outside training.
        kinetic_energy: weight of an added training loss, the integral of mean f^2 over [t_0, t_1]. It straightens the
            trajectories, so that larger steps suffice.
        return_trajectory: return the states at all times of t_span, (n, times, ..., channels), the input first.
        augment_dims: number of channels with zeros appended to the input; the output has them, too. Trajectories that
            would intersect in the original channels can pass each other in the added ones.
        **kwargs: keyword arguments of `odeint` and of `keras.Layer`.

    Attributes:
        nfe_forward: int64 variable, number of forward function evaluations since creation or `reset_nfe`. With a
            distribution strategy, the number of the first replica.
        nfe_backward: int64 variable, the same for the backward solves.

    Raises:
        UsageError: f is not of this kind, or contains BatchNormalization, dropout or noise, or an argument is invalid.
            When the block is built: the output of f differs from the state in shape or dtype, or f reads a variable
            that Keras does not track, so that it would be neither trained nor saved.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations, section 3. The kinetic energy: Finlay et al. 2020,
        How to Train Your Neural ODE, equation 5. The added channels: Dupont et al. 2019, Augmented Neural ODEs,
        section 4.
    """

    hide_sublayers = True
    """`gradcam_cli.network.layers.walk` omits the layers of f, because they run many times in a forward pass."""

    def __init__(
        self,
        f: Callable[..., Any],
        t_span: Sequence[float] = (0.0, 1.0),
        per_sample_steps: bool | str = False,
        kinetic_energy: float = 0.0,
        return_trajectory: bool = False,
        augment_dims: int = 0,
        **kwargs: Any,
    ) -> None:
        self.options = {name: kwargs.pop(name) for name in ODEINT_OPTIONS if name in kwargs}
        super().__init__(**kwargs)
        validate_function(f)
        if per_sample_steps not in (True, False, "inference"):
            raise UsageError(f"per_sample_steps: expected True, False or 'inference', got {per_sample_steps}")
        if augment_dims < 0 or int(augment_dims) != augment_dims:
            raise UsageError(f"augment_dims: expected a number of channels, got {augment_dims}")
        solver_key(**{**ODEINT_OPTIONS, **self.options}, per_sample_steps=bool(per_sample_steps))
        self.f, self.times = f, _validate_span(t_span, return_trajectory)
        self.per_sample_steps, self.kinetic_energy = per_sample_steps, kinetic_energy
        self.return_trajectory, self.augment_dims = return_trajectory, int(augment_dims)
        call = calling_convention(f)
        # A single object, traced only once.
        self._f_with_energy = lambda t, state, *args: _with_energy(call(f, t, state[0], args))

    @property
    def t_span(self) -> tuple[float, float]:
        """The initial and final time (t_0, t_1)."""
        return self.times[0], self.times[-1]

    def build(self, input_shape: Any) -> None:
        """Build f for states of this shape, and the counters.

        f is traced even if it claims to be built: a loaded f may contain layers without variables so far.

        Args:
            input_shape: shape of the input, or the shapes of [z, *args].
        """
        self.nfe_forward = self._counter("nfe_forward")
        self.nfe_backward = self._counter("nfe_backward")
        shape, *arg_shapes = [input_shape] if _is_shape(input_shape) else input_shape
        dtype = tf.as_dtype(self.solver_dtype)
        z = tf.TensorSpec((*shape[:-1], self._num_channels(shape)), dtype)
        t = tf.TensorSpec([shape[0], *[1] * (len(shape) - 1)] if self.per_sample_steps is True else [], dtype)
        args = [tf.TensorSpec(x, dtype) for x in arg_shapes]
        trace = partial(Dynamics, self.f, t, [z], 0, args, [0] * len(args))
        with keras.StatelessScope():  # its end creates the missing variables eagerly, on every replica
            trace()
        require_tracked(self.f, trace().variables)

    def _counter(self, name: str) -> Any:
        options = {"initializer": "zeros", "trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        return self.add_weight(shape=(), dtype="int64", name=name, **options)

    @property
    def num_args(self) -> int:
        """The number of further inputs of a conditional ODE. The block must be built."""
        shape = self.get_build_config()["input_shape"]
        return 0 if _is_shape(shape) else len(shape) - 1

    @property
    def solver_dtype(self) -> str:
        """The dtype of states and times."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    def initial_state(self, z: tf.Tensor) -> tf.Tensor:
        """Return z(t_0), for an input of the block: in the solver's dtype, with the added channels."""
        z = tf.cast(z, self.solver_dtype)
        return tf.pad(z, [[0, 0]] * (len(z.shape) - 1) + [[0, self.augment_dims]]) if self.augment_dims else z

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Return z(t_1), or the states at all times, in the dtype of the input.

        Args:
            inputs: z, or [z, *args].
            training: whether the model is being trained.

        Raises:
            SolverError: in eager mode, the solve failed.
        """
        z, *args = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        per_sample = not training if self.per_sample_steps == "inference" else bool(self.per_sample_steps)
        z0 = self.initial_state(z)
        add_energy = training and self.kinetic_energy
        solution = odeint(
            self._f_with_energy if add_energy else self.f,
            (z0, tf.zeros_like(z0[..., 0])) if add_energy else z0,
            self.times,
            args=tuple(tf.cast(x, self.solver_dtype) for x in args),
            per_sample_steps=per_sample,
            backward_callback=lambda nfe: _add_to_counter(self.nfe_backward, nfe),
            **self.options,
        )
        _add_to_counter(self.nfe_forward, solution.nfe)
        states = solution.z
        if add_energy:
            states, energy = solution.z
            self.add_loss(self.kinetic_energy * tf.reduce_mean(energy[-1]))
        return tf.cast(tf.stack(tf.unstack(states), 1) if self.return_trajectory else states[-1], z.dtype)

    def reset_nfe(self) -> None:
        """Set `nfe_forward` and `nfe_backward` to zero."""
        self.nfe_forward.assign(0)
        self.nfe_backward.assign(0)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the output shape: that of the input, with the added channels, and with the times as second axis."""
        shape = tuple(input_shape if _is_shape(input_shape) else input_shape[0])
        times = (len(self.times),) if self.return_trajectory else ()
        return (shape[0], *times, *shape[1:-1], self._num_channels(shape))

    def _num_channels(self, shape: Sequence[int | None]) -> int | None:
        return None if shape[-1] is None else shape[-1] + self.augment_dims

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments, with f serialized."""
        arguments = {
            "f": keras.saving.serialize_keras_object(self.f),
            "t_span": self.times,
            "per_sample_steps": self.per_sample_steps,
            "kinetic_energy": self.kinetic_energy,
            "return_trajectory": self.return_trajectory,
            "augment_dims": self.augment_dims,
        }
        return {**super().get_config(), **arguments, **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ODEBlock:
        """Create a block from the result of `get_config`. The block builds f, for the shapes of both its arguments."""
        f = {name: value for name, value in config["f"].items() if name != "build_config"}
        return cls(**{**config, "f": keras.saving.deserialize_keras_object(f)})


def _is_shape(shape: Any) -> bool:
    return all(size is None or isinstance(size, int) for size in shape)


def _validate_span(t_span: Sequence[float], return_trajectory: bool) -> tuple[float, ...]:
    """Return the times.

    Raises:
        UsageError: they do not increase or decrease, or their number is not 2, or below 2 for a trajectory.
    """
    times = tuple(validate_times(t_span).numpy().tolist())
    if len(times) < 2 or (len(times) > 2 and not return_trajectory):
        raise UsageError(
            f"t_span: expected the initial and final time, got {len(times)} times",
            "return_trajectory=True accepts more than two",
        )
    return times


def _with_energy(dz: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return f, and mean f^2 over the channels: the time derivative of the kinetic energy."""
    return dz, tf.reduce_mean(tf.square(dz), axis=-1)


def _add_to_counter(counter: Any, nfe: tf.Tensor) -> None:
    """Add to a counter; outside a stateless scope atomically, so that threads lose no count."""
    nfe = tf.cast(nfe, counter.dtype)
    if in_stateless_scope():
        counter.assign(counter + nfe)
    else:
        counter.value.assign_add(nfe)
