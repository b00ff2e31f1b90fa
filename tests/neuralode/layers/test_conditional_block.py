"""`ODEBlock` with further inputs, trajectories and added channels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ode_functions import X, decay

from gradcam_cli.neuralode import ODEBlock


@keras.saving.register_keras_serializable("test")
class Growth(keras.Layer):
    """z' = w c z, with the condition c."""

    def build(self, t_shape, z_shape, c_shape=None):
        self.w = self.add_weight(shape=(), initializer="ones", name="w")

    def call(self, t, z, c):
        return self.w * c * z


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
@pytest.mark.parametrize("per_sample_steps", [False, True])
def test_conditional_block(gradient, per_sample_steps, tmp_path):
    """block([z, c]) is z e^(w c); dL/dc and dL/dw of the sum of its elements have closed forms."""
    z, c = keras.Input((4,)), keras.Input((1,))
    options = {"gradient": gradient, "per_sample_steps": per_sample_steps, "rtol": 1e-5, "atol": 1e-6}
    model = keras.Model([z, c], ODEBlock(Growth(), name="ode", **options)([z, c]))
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    c = np.array([[-1.0], [0.5], [1.0]], np.float32)
    condition = tf.constant(c)
    with tf.GradientTape() as tape:
        tape.watch(condition)
        y = model([tf.constant(X), condition])
    c_gradient, w_gradient = tape.gradient(y, [condition, model.trainable_variables[0].value])
    np.testing.assert_allclose(y, X * np.exp(c), rtol=1e-4)
    np.testing.assert_allclose(c_gradient, (X * np.exp(c)).sum(1, keepdims=True), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(w_gradient, (c * X * np.exp(c)).sum(), rtol=1e-3)


def test_trajectory():
    """The states at all times of t_span, z e^-t, batch first."""
    times = (0.0, 0.25, 1.0, 3.0)
    model = keras.Sequential([keras.Input((4,)), ODEBlock(decay, times, return_trajectory=True)])
    assert model.output_shape == (None, 4, 4)
    expected = X[:, None] * np.exp(-np.array(times))[None, :, None]
    np.testing.assert_allclose(model(X), expected, rtol=1e-4, atol=1e-6)
    block = ODEBlock.from_config(model.layers[0].get_config())
    assert (block.times, block.t_span, block.return_trajectory) == (times, (0.0, 3.0), True)
    np.testing.assert_allclose(ODEBlock(decay, return_trajectory=True)(X)[:, 0], X)


@keras.saving.register_keras_serializable("test")
class Rotation(keras.Layer):
    """z' = J z in the plane of z and its added channel; half a turn reflects z, which no ODE in one dimension does."""

    def call(self, t, z):
        return np.pi * tf.stack([-z[..., 1], z[..., 0]], -1)


def test_augmented_dimensions(tmp_path):
    """Zeros are appended to the channels: (z, 0) turns to (-z, 0)."""
    model = keras.Sequential([keras.Input((1,)), ODEBlock(Rotation(), augment_dims=1, rtol=1e-6, atol=1e-6)])
    model.save(tmp_path / "model.keras")
    z = np.array([[1.0], [-2.0]], np.float32)
    for each in (model, keras.models.load_model(tmp_path / "model.keras")):
        assert each.output_shape == (None, 2)
        np.testing.assert_allclose(each(z), [[-1, 0], [2, 0]], atol=1e-4)


def test_augmented_dimensions_train_a_reflection():
    """An augmented block learns x -> -x on points of both signs; without, trajectories cannot cross (Dupont 2019)."""
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    losses = {}
    for augment_dims in (0, 1):
        keras.utils.set_random_seed(0)
        f = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1 + augment_dims)])
        model = keras.Sequential([keras.Input((1,)), ODEBlock(f, augment_dims=augment_dims, rtol=1e-3, atol=1e-3)])
        optimizer = keras.optimizers.Adam(0.05)
        optimizer.build(model.trainable_variables)

        @tf.function
        def step(model=model, optimizer=optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x)[:, :1] + x) ** 2)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
            return loss

        for _ in range(100):
            losses[augment_dims] = float(step())
    assert losses[1] < 0.02
    assert losses[0] > 0.2
