"""A Keras layer whose answer is the solution of a differential equation."""

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
    if parameter.kind is parameter.KEYWORD_ONLY and name not in ("batch_coupled", "on_backward")
)
"""What a block passes on to `odeint`."""


@keras.saving.register_keras_serializable("gradcam")
class ODEBlock(keras.Layer):  # type: ignore[misc]
    """z(t_1) of dz/dt = f(t, z, theta), z(t_0) = the input.

    Variables of it count the evaluations of f: `nfe_forward` and `nfe_backward`, int64, since the
    block was made or `reset_nfe` was called. Where the network computes in half precision, f does, and the
    solver in float32.

    Args:
        f: a layer that is called with a time () and a state, (n, ...), and answers dz/dt of the state's shape; where
            each sample takes steps of its own, the time is (n, 1, ...).
        t_span: the first and the last time.
        batch_coupled: whether all samples take the same steps; "training": only where the network learns.
        kinetic_energy: weight of a loss, the integral of the mean of f^2 over depth, that is added where the network learns:
            it makes paths straight, and steps long.
        **kwargs: the other options of `odeint`: solver, rtol, atol, gradient, step_size and so on; the rest
            goes to the Keras layer.

    Raises:
        UsageError: f is no layer, or contains BatchNormalization or Dropout.

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations, section 3; for the kinetic loss Finlay et al. 2020,
        How to Train Your Neural ODE, equation 5.
    """

    hide_sublayers = True
    """f's layers are evaluated many times: `layers.walk` does not list them."""

    def __init__(
        self,
        f: keras.Layer,
        t_span: Sequence[float] = (0.0, 1.0),
        batch_coupled: bool | str = True,
        kinetic_energy: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.options = {name: kwargs.pop(name) for name in ODEINT_OPTIONS if name in kwargs}
        super().__init__(**kwargs)
        if not isinstance(f, keras.Layer):
            raise UsageError(f"f: expected a Keras layer, got {type(f).__name__}", "odeint takes functions, too")
        require_deterministic(f)
        if len(t_span) != 2:
            raise UsageError(f"t: expected the first and the last time, got {len(t_span)}", "odeint takes any number")
        if batch_coupled not in (True, False, "training"):
            raise UsageError(f"batch_coupled: expected True, False or 'training', got {batch_coupled}")
        self.f, self.t_span, self.batch_coupled, self.kinetic_energy = (
            f,
            (float(t_span[0]), float(t_span[1])),
            batch_coupled,
            kinetic_energy,
        )
        self._f_with_energy = lambda t, state: _with_energy(f(t, state[0]))  # one function, to be traced once

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build f for states of this shape, and the counters."""
        self.nfe_forward = self._counter("forward_evaluations")
        self.nfe_backward = self._counter("backward_evaluations")
        if not self.f.built:
            z = tf.zeros([side or 1 for side in input_shape], self.compute_dtype)
            self.f(tf.zeros([], z.dtype), z)

    def _counter(self, name: str) -> Any:
        return self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name=name, autocast=False)

    def call(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return z(t_1), of the shape of z."""
        coupled = bool(training) if self.batch_coupled == "training" else bool(self.batch_coupled)
        z0 = z if z.dtype in (tf.float32, tf.float64) else tf.cast(z, tf.float32)
        costly = training and self.kinetic_energy
        solution = odeint(
            self._f_with_energy if costly else self.f,
            (z0, tf.zeros_like(z0[..., 0])) if costly else z0,
            self.t_span,
            batch_coupled=coupled,
            backward_callback=lambda evaluations: _add_to_counter(self.nfe_backward, evaluations),
            **self.options,
        )
        _add_to_counter(self.nfe_forward, solution.nfe)
        if not costly:
            return tf.cast(solution.z[-1], z.dtype)
        states, energy = solution.z
        self.add_loss(self.kinetic_energy * tf.reduce_mean(energy[-1]))
        return tf.cast(states[-1], z.dtype)

    def reset_nfe(self) -> None:
        """Let the counters begin anew."""
        self.nfe_forward.assign(0)
        self.nfe_backward.assign(0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of z(t_1): that of z."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same block of."""
        own = {"f": keras.saving.serialize_keras_object(self.f), "t": self.t_span, "batch_coupled": self.batch_coupled}
        return {**super().get_config(), **own, "kinetic": self.kinetic_energy, **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ODEBlock:
        """Make a block of what `get_config` returned."""
        return cls(**{**config, "f": keras.saving.deserialize_keras_object(config["f"])})


def ode_blocks(model: keras.Model) -> dict[str, ODEBlock]:
    """Return the ODEBlocks of a model, also of models within it, by their names."""
    return {layer.name: layer for layer in model._flatten_layers() if isinstance(layer, ODEBlock)}


def find_block(model: keras.Model, name: str | None = None) -> ODEBlock:
    """Return the ODEBlock of a model, by its name where there are several.

    Raises:
        ModelError: it has none.
        UsageError: none has this name, or no name is given and there are several.
    """
    blocks = ode_blocks(model)
    if not blocks:
        raise ModelError(
            f"expected a model with an ODEBlock, got none in {model.name}",
            "`gradcam neuralode train` and `spiral --save` make such models",
        )
    if name not in blocks and not (name is None and len(blocks) == 1):
        raise UsageError(f"--block: expected one of {', '.join(blocks)}, got {name or 'none'}")
    return blocks[name] if name else next(iter(blocks.values()))


def _with_energy(dz: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return f, and its square's mean over the channels, which is the energy's slope."""
    return dz, tf.reduce_mean(tf.square(dz), axis=-1)


def _add_to_counter(counter: Any, nfe: tf.Tensor) -> None:
    counter.assign(counter + tf.cast(nfe, counter.dtype))
