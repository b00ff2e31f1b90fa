"""Input sizes that a model cannot process are refused with one sentence; sizes of inner models are found."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli import explain, load_model
from gradcam_cli.errors import ModelError

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


def around(inner):
    """A model with an open input around another model."""
    x = keras.Input((None, None, 3))
    return keras.Model(x, inner(x))


def test_size_of_the_inner_model_is_used():
    classifier = load_model(around(small_network(size=20)), preprocess="0..1")
    assert classifier.input_shape == (20, 20, 3)
    assert explain(IMAGE, classifier).heatmap.shape == (50, 70)


@pytest.mark.parametrize("size", [(4, 4), (30, 30)])
def test_size_that_an_inner_model_refuses(size):
    with pytest.raises(ModelError, match="cannot process inputs of") as caught:
        explain(IMAGE, load_model(around(small_network(size=20)), preprocess="0..1", input_size=size))
    assert "input_size" in caught.value.hint
    assert "Exception encountered" not in caught.value.message
    assert "\x1b" not in caught.value.message


def test_size_at_which_a_skip_connection_does_not_fit():
    """Down by 2 and up by 2 does not give back an odd size."""
    x = keras.Input((None, None, 3))
    y = L.Add()([x, L.UpSampling2D()(L.MaxPooling2D()(x))])
    model = keras.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(3, 3, name="c")(y))))
    assert explain(IMAGE, load_model(model, preprocess="0..1", input_size=(16, 16))).heatmap.any() is not None
    with pytest.raises(ModelError, match="15x15"):
        explain(IMAGE, load_model(model, preprocess="0..1", input_size=(15, 15)))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A subclassed model without a Keras graph."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv, self.dense = L.Conv2D(4, 3, name="conv"), L.Dense(3, activation="softmax")
        self.pool = L.GlobalAveragePooling2D()

    def call(self, x):
        return self.dense(self.pool(self.conv(x)))


def test_subclassed_model_from_a_file_works_as_in_memory(tmp_path):
    """The input shape is read from the file, and logits are found in the traced graph."""
    keras.utils.set_random_seed(0)
    model = Subclassed()
    model(np.zeros((1, 48, 48, 3), np.float32))
    model.save(tmp_path / "model.keras")
    opened = load_model(keras.saving.load_model(tmp_path / "model.keras"), preprocess="0..1")
    assert opened.input_shape == (48, 48, 3)
    first, second = explain(IMAGE, load_model(model, preprocess="0..1")), explain(IMAGE, opened)
    assert first.layer == "conv"
    assert first.prediction.logit is not None
    np.testing.assert_allclose(first.heatmap, second.heatmap, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"image": x}])
def test_one_input_in_a_list_or_dict(wrap):
    x = keras.Input((16, 16, 3), name="image")
    y = L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(3, 3, name="conv")(x)))
    assert explain(IMAGE, load_model(keras.Model(wrap(x), y), preprocess="0..1")).layer == "conv"
