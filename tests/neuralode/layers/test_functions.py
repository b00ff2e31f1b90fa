"""Every kind of f in an ODEBlock: saved in this process, loaded in another one; calls, and clear errors."""

import os
import subprocess
import sys

import keras
import numpy as np
import ode_functions
import pytest
import tensorflow as tf
from ode_functions import FUNCTIONS, X, random_model

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode import ODEBlock, odeint


@pytest.mark.extended
@pytest.mark.slow
def test_saved_models_have_equal_weights_and_outputs_in_another_process(tmp_path):
    """For `.keras` and `.weights.h5`, without a warning."""
    saved, loaded = tmp_path / "saved", tmp_path / "loaded"
    saved.mkdir()
    loaded.mkdir()
    models = {name: random_model(name) for name in FUNCTIONS}
    for name, model in models.items():
        model.save(saved / f"{name}.keras")
        model.save_weights(saved / f"{name}.weights.h5")
    path = os.pathsep.join([os.path.dirname(ode_functions.__file__), *sys.path])
    command = [sys.executable, ode_functions.__file__, saved, loaded]
    result = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert len(list(loaded.iterdir())) == 2 * len(FUNCTIONS)
    for name, model in models.items():
        weights, output = [x.numpy() for x in model.trainable_variables], model(X)
        assert len(weights) == FUNCTIONS[name][1]
        for suffix in ("keras", "weights.h5"):
            arrays = np.load(loaded / f"{name}.{suffix}.npz")
            np.testing.assert_allclose(arrays["output"], output, rtol=1e-5, atol=1e-6, err_msg=name)
            for i, expected in enumerate(weights):
                np.testing.assert_array_equal(arrays[f"w{i}"], expected, err_msg=name)


@pytest.mark.parametrize("per_sample_steps", [False, True])
def test_calling_conventions_agree(per_sample_steps):
    """The equations z' = t z and z' = -z have the same solution however f takes its arguments: z e^(1/2) and z / e."""
    t, z = keras.Input((1,)), keras.Input((4,))
    product = keras.Model([t, z], t * z)
    for f in (lambda t, z: t * z, tf.function(lambda t, z: t * z), lambda *args: args[0] * args[1], product):
        actual = odeint(f, tf.constant(X), (0, 1), per_sample_steps=per_sample_steps).z[-1]
        np.testing.assert_allclose(actual, X * np.exp(0.5), rtol=1e-4)
    for f in (lambda z: -z, tf.negative, keras.layers.Lambda(lambda z: -z)):
        actual = odeint(f, tf.constant(X), (0, 1), per_sample_steps=per_sample_steps).z[-1]
        np.testing.assert_allclose(actual, X * np.exp(-1), rtol=1e-4)


def test_time_is_broadcast_to_the_input_of_a_functional_model():
    """A model that takes the time as an image, (n, 2, 2, 1)."""
    t, z = keras.Input((2, 2, 1)), keras.Input((2, 2, 3))
    z0 = tf.ones([2, 2, 2, 3])
    np.testing.assert_allclose(odeint(keras.Model([t, z], t * z), z0, (0, 1)).z[-1], z0 * np.exp(0.5), rtol=1e-4)


def test_errors_at_construction():
    dense = keras.layers.Dense(4)
    for f in (lambda t, z: z, 3, None):
        with pytest.raises(UsageError, match="layer or a registered function"):
            ODEBlock(f)
    for options, message in (
        ({"t_span": (0, 1, 2)}, "initial and final time"),
        ({"t_span": (0,), "return_trajectory": True}, "initial and final time"),
        ({"t_span": (1, 1)}, "increase or decrease"),
        ({"t_span": (0, float("nan"))}, "finite"),
        ({"per_sample_steps": "never"}, "per_sample_steps"),
        ({"augment_dims": -1}, "augment_dims"),
        ({"solver": "rk5"}, "solver: expected one of"),
        ({"rtol": -1.0}, "rtol"),
        ({"gradient": "exact"}, "gradient: expected one of"),
        ({"adjoint_solver": "rk5"}, "solver"),
        ({"per_sample_steps": True, "adjoint_seminorm": False}, "adjoint_seminorm"),
    ):
        with pytest.raises(UsageError, match=message):
            ODEBlock(dense, **options)


@keras.saving.register_keras_serializable("test")
class UntrackedVariable(keras.Layer):
    """Keras 3 does not track a `tf.Variable`, so it would be neither trained nor saved."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.w = tf.Variable(1.0, name="scale")

    def call(self, t, z):
        return self.w * z


def test_errors_when_the_block_is_built():
    w = tf.Variable(2.0)

    @keras.saving.register_keras_serializable("test")
    def reads_variable(t, z):
        return w * z

    for f, message in (
        (keras.layers.Dense(3), "expected the shape"),
        (keras.layers.Dense(4, dtype="float64"), "expected float32"),
        (UntrackedVariable(), "variable scale, which is not among the weights"),
        (reads_variable, "not among the weights"),
        (keras.layers.Dense(4, activity_regularizer="l2"), "activity regularizer"),
    ):
        with pytest.raises(UsageError, match=message):
            ODEBlock(f)(X)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_dropout_in_attention_is_accepted_only_without_effect(rate):
    class F(keras.Layer):
        def __init__(self):
            super().__init__()
            self.attention = keras.layers.MultiHeadAttention(1, 2, dropout=rate)

        def call(self, t, z):
            return self.attention(z, z)

    z = tf.random.stateless_normal([2, 3, 4], (1, 2))
    if rate:
        with pytest.raises(UsageError, match="random numbers"):
            ODEBlock(F())(z)
    else:
        assert ODEBlock(F())(z).shape == z.shape
