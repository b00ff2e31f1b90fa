"""`ODEBlock`: output, training, saving, function-evaluation counts, and invalid arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ode_networks import TanhConv

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.solver.odeint import odeint


def build_classifier(**options):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, padding="same"),
            ODEBlock(TanhConv(3), name="ode", **options),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )


def images(n=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6, 6, 1)).astype(np.float32)
    return x, (x.mean((1, 2, 3)) > 0).astype(int)


def test_output_is_the_last_state_of_odeint():
    model, (x, _) = build_classifier(rtol=1e-4, solver="tsit5"), images()
    block, z = model.get_layer("ode"), model.layers[0](x)
    expected = odeint(block.f, z, (0, 1), rtol=1e-4, solver="tsit5").z[-1]
    np.testing.assert_allclose(block(z), expected, rtol=1e-6)


@pytest.mark.parametrize("gradient", ["adjoint", pytest.param("discrete", marks=pytest.mark.slow)])
def test_training_lowers_the_loss_and_counts_evaluations(gradient):
    """`fit` with a smaller last batch; `reset_nfe` sets the counts to zero."""
    model, (x, y) = build_classifier(gradient=gradient, rtol=1e-3, atol=1e-3), images(30)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    model.optimizer.learning_rate = 0.02
    history = model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    block = model.get_layer("ode")
    forward, backward = int(block.nfe_forward), int(block.nfe_backward)
    assert forward >= 12 * 7
    assert backward >= 12 * 7
    block.reset_nfe()
    model.predict(x, verbose=0)
    assert int(block.nfe_forward) > 0
    assert int(block.nfe_backward) == 0


def test_saved_model_restores_options_and_predictions(tmp_path):
    model, (x, _) = build_classifier(per_sample_steps="inference", solver="tsit5", rtol=1e-4, t_span=(0, 0.5)), images()
    before = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    block = restored.get_layer("ode")
    assert block.options == {"solver": "tsit5", "rtol": 1e-4}
    assert (block.t_span, block.per_sample_steps) == ((0.0, 0.5), "inference")
    np.testing.assert_array_equal(restored.predict(x, verbose=0), before)


@pytest.mark.slow
def test_per_sample_steps_at_inference_only():
    """With "inference", a prediction does not depend on its batch; with False it does."""
    x, _ = images()
    x[1:] *= 30
    for per_sample_steps, equal in (("inference", True), (False, False)):
        model = build_classifier(per_sample_steps=per_sample_steps, rtol=1e-2, atol=1e-2)
        in_batch, single = model(x)[:1], model(x[:1])
        assert np.allclose(in_batch, single, rtol=1e-5, atol=1e-6) == equal


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (keras.layers.BatchNormalization, "statistics"),
        (lambda: keras.layers.Dropout(0.5), "random"),
        (lambda: keras.layers.SpatialDropout2D(0.5), "random"),
        (lambda: keras.layers.GaussianNoise(0.5), "random"),
    ],
)
def test_nondeterministic_layers_raise(layer, reason):
    """ODEBlock and odeint reject nested batch normalization, dropout and noise."""

    class F(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([keras.layers.Conv2D(1, 1), keras.Sequential([layer()])])

        def call(self, t, z):
            return self.inner(z)

    with pytest.raises(UsageError, match=reason):
        ODEBlock(F())
    with pytest.raises(UsageError, match=reason):
        odeint(F(), tf.zeros([1, 2, 2, 1]), (0, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "jit_compile"), [("mixed_bfloat16", False), pytest.param("float32", True, marks=pytest.mark.extended)]
)
def test_training_in_half_precision_and_with_xla(policy, jit_compile):
    """With bfloat16, the solver stays in float32; XLA compiles the training step."""
    x, y = images(16)
    keras.utils.set_random_seed(0)
    block = ODEBlock(TanhConv(3, dtype=policy), rtol=1e-2, atol=1e-2, dtype=policy)
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(3, 3, dtype=policy), block])
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(2, dtype="float32"))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=jit_compile)
    model.optimizer.learning_rate = 0.02
    losses = model.fit(x, y, batch_size=8, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert int(block.nfe_backward) > 0
