"""The Keras layer: trained, saved, opened, counted, refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_ode_gradients import Bent

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.solver.odeint import odeint


def classifier(**options):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, padding="same"),
            ODEBlock(Bent(3), name="ode", **options),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )


def pictures(n=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6, 6, 1)).astype(np.float32)
    return x, (x.mean((1, 2, 3)) > 0).astype(int)


def test_is_odeint():
    """The block's answer is the solver's last state."""
    model, (x, _) = classifier(rtol=1e-4, solver="tsit5"), pictures()
    block, z = model.get_layer("ode"), model.layers[0](x)
    expected = odeint(block.f, z, (0, 1), rtol=1e-4, solver="tsit5").z[-1]
    np.testing.assert_allclose(block(z), expected, rtol=1e-6)


@pytest.mark.parametrize("gradient", ["adjoint", pytest.param("discrete", marks=pytest.mark.slow)])
def test_learns(gradient):
    """`fit` lowers the loss, with a last batch of another size, and counts the evaluations of both passes."""
    model, (x, y) = classifier(gradient=gradient, rtol=1e-3, atol=1e-3), pictures(30)
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


def test_saved_and_opened(tmp_path):
    """A model with a block opens with its options, and predicts the same."""
    model, (x, _) = classifier(per_sample_steps="inference", solver="tsit5", rtol=1e-4, t_span=(0, 0.5)), pictures()
    before = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    block = opened.get_layer("ode")
    assert block.options == {"solver": "tsit5", "rtol": 1e-4}
    assert (block.t_span, block.per_sample_steps) == ((0.0, 0.5), "inference")
    np.testing.assert_array_equal(opened.predict(x, verbose=0), before)


@pytest.mark.slow
def test_coupled_only_while_it_learns():
    """With "training", a prediction does not depend on the neighbours, while learning takes common steps."""
    x, _ = pictures()
    x[1:] *= 30
    for per_sample_steps, equal in (("inference", True), (False, False)):
        model = classifier(per_sample_steps=per_sample_steps, rtol=1e-2, atol=1e-2)
        together, alone = model(x)[:1], model(x[:1])
        assert np.allclose(together, alone, rtol=1e-5, atol=1e-6) == equal


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (keras.layers.BatchNormalization, "statistics"),
        (lambda: keras.layers.Dropout(0.5), "random"),
        (lambda: keras.layers.SpatialDropout2D(0.5), "random"),
        (lambda: keras.layers.GaussianNoise(0.5), "random"),
    ],
)
def test_refuses_what_is_no_function(layer, reason):
    """Wherever in f it is, by the block and by the solver."""

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


def test_refuses_what_it_cannot_keep():
    with pytest.raises(UsageError, match="Keras layer"):
        ODEBlock(lambda t, z: z)
    with pytest.raises(UsageError, match="initial and final"):
        ODEBlock(Bent(1), t_span=(0, 1, 2))
    with pytest.raises(UsageError, match="per_sample_steps"):
        ODEBlock(Bent(1), per_sample_steps="never")


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "jit_compile"), [("mixed_bfloat16", False), ("float32", True)])
def test_learns_in_half_precision_and_compiled(policy, jit_compile):
    """The solver stays in float32 where f computes in bfloat16; XLA compiles a whole step of the training."""
    x, y = pictures(16)
    keras.utils.set_random_seed(0)
    block = ODEBlock(Bent(3, dtype=policy), rtol=1e-2, atol=1e-2, dtype=policy)
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(3, 3, dtype=policy), block])
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(2, dtype="float32"))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=jit_compile)
    model.optimizer.learning_rate = 0.02
    losses = model.fit(x, y, batch_size=8, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert int(block.nfe_backward) > 0
