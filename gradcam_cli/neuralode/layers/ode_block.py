"""`ODEBlock`: a Keras layer whose output is the solution of a differential equation."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.neuralode.solver.dynamics import require_deterministic
from gradcam_cli.neuralode.solver.odeint import odeint

ODEINT_OPTIONS = tuple(
    name
    for name, parameter in inspect.signature(odeint).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in ("per_sample_steps", "backward_callback")
)
"""The keyword arguments that an `ODEBlock` passes to `odeint`."""


@keras.saving.register_keras_serializable("gradcam")
class ODEBlock(keras.Layer):  # type: ignore[misc]
    """z(t_1) of dz/dt = f(t, z, theta), z(t_0) = input; input and output have shape (n, ...).

    In a half-precision model, f computes in half precision and the solver in float32.

    Args:
        f: a layer that maps a time and a state (n, ...) to dz/dt of the same shape. The time has shape (), or
            (n, 1, ...) with per-sample steps.
        t_span: the initial and final time (t_0, t_1).
        per_sample_steps: whether the steps of each sample are chosen separately; "inference": only outside training.
        kinetic_energy: weight of an added training loss, the integral of mean f^2 over [t_0, t_1]. It straightens the
            trajectories, so that larger steps suffice.
        **kwargs: keyword arguments of `odeint` and of `keras.Layer`.

    Attributes:
        nfe_forward: int64 variable, number of forward function evaluations since creation or `reset_nfe`.
        nfe_backward: int64 variable, the same for the backward solves.

    Raises:
        UsageError: f is not a layer, or contains BatchNormalization, dropout or noise, or an argument is invalid.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations, section 3. The kinetic energy: Finlay et al. 2020,
        How to Train Your Neural ODE, equation 5.
    """

    hide_sublayers = True
    """`gradcam_cli.network.layers.walk` omits the layers of f, because they run many times in a forward pass."""

    def __init__(
        self,
        f: keras.Layer,
        t_span: Sequence[float] = (0.0, 1.0),
        per_sample_steps: bool | str = False,
        kinetic_energy: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.options = {name: kwargs.pop(name) for name in ODEINT_OPTIONS if name in kwargs}
        super().__init__(**kwargs)
        if not isinstance(f, keras.Layer):
            raise UsageError(f"f: expected a Keras layer, got {type(f).__name__}", "odeint accepts functions")
        require_deterministic(f)
        if len(t_span) != 2:
            raise UsageError(
                f"t_span: expected the initial and final time, got {len(t_span)} times", "odeint accepts any number"
            )
        if per_sample_steps not in (True, False, "inference"):
            raise UsageError(f"per_sample_steps: expected True, False or 'inference', got {per_sample_steps}")
        self.f, self.t_span = f, (float(t_span[0]), float(t_span[1]))
        self.per_sample_steps, self.kinetic_energy = per_sample_steps, kinetic_energy
        self._f_with_energy = lambda t, state: _with_energy(f(t, state[0]))  # a single object, traced only once

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build f for states of this shape, and the counters."""
        self.nfe_forward = self._counter("nfe_forward")
        self.nfe_backward = self._counter("nfe_backward")
        if not self.f.built:
            z = tf.zeros([size or 1 for size in input_shape], self.compute_dtype)
            self.f(tf.zeros([], z.dtype), z)

    def _counter(self, name: str) -> Any:
        return self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name=name, autocast=False)

    def call(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return z(t_1), in the shape and dtype of z.

        Raises:
            SolverError: in eager mode, the solve failed.
        """
        per_sample = not training if self.per_sample_steps == "inference" else bool(self.per_sample_steps)
        z0 = z if z.dtype in (tf.float32, tf.float64) else tf.cast(z, tf.float32)
        add_energy = training and self.kinetic_energy
        solution = odeint(
            self._f_with_energy if add_energy else self.f,
            (z0, tf.zeros_like(z0[..., 0])) if add_energy else z0,
            self.t_span,
            per_sample_steps=per_sample,
            backward_callback=lambda nfe: _add_to_counter(self.nfe_backward, nfe),
            **self.options,
        )
        _add_to_counter(self.nfe_forward, solution.nfe)
        if not add_energy:
            return tf.cast(solution.z[-1], z.dtype)
        states, energy = solution.z
        self.add_loss(self.kinetic_energy * tf.reduce_mean(energy[-1]))
        return tf.cast(states[-1], z.dtype)

    def reset_nfe(self) -> None:
        """Set `nfe_forward` and `nfe_backward` to zero."""
        self.nfe_forward.assign(0)
        self.nfe_backward.assign(0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the output shape, which equals the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments, with f serialized."""
        arguments = {
            "f": keras.saving.serialize_keras_object(self.f),
            "t_span": self.t_span,
            "per_sample_steps": self.per_sample_steps,
            "kinetic_energy": self.kinetic_energy,
        }
        return {**super().get_config(), **arguments, **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ODEBlock:
        """Create a block from the result of `get_config`."""
        return cls(**{**config, "f": keras.saving.deserialize_keras_object(config["f"])})


def ode_blocks(model: keras.Model) -> dict[str, ODEBlock]:
    """Return the ODEBlocks of a model and its nested models, by name."""
    return {layer.name: layer for layer in model._flatten_layers() if isinstance(layer, ODEBlock)}


def find_block(model: keras.Model, name: str | None = None) -> ODEBlock:
    """Return the ODEBlock of a model.

    Args:
        model: a Keras model.
        name: name of the block; required if the model has several.

    Raises:
        ModelError: the model has no ODEBlock.
        UsageError: no block has this name, or the name is missing and there are several blocks.
    """
    blocks = ode_blocks(model)
    if not blocks:
        raise ModelError(
            f"model {model.name} has no ODEBlock",
            "`gradcam neuralode train` and `gradcam neuralode spiral --save-model` write such models",
        )
    if name not in blocks and not (name is None and len(blocks) == 1):
        raise UsageError(f"--block: expected one of {', '.join(blocks)}, got {name or 'none'}")
    return blocks[name] if name else next(iter(blocks.values()))


def _with_energy(dz: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return f, and mean f^2 over the channels: the time derivative of the kinetic energy."""
    return dz, tf.reduce_mean(tf.square(dz), axis=-1)


def _add_to_counter(counter: Any, nfe: tf.Tensor) -> None:
    counter.assign(counter + tf.cast(nfe, counter.dtype))
