"""`.h5` files of Keras 3 that Keras does not open: with operations, and with the layers of `keras.applications`."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from keras import ops
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
from quick_cases import first_quick

from gradcam_cli.models.model_files import load_model_file

RNG = np.random.default_rng(0)


def operations(x):
    """Operations with the names of layers (`Add`, `Multiply`, `Maximum`) and with others, beside these layers."""
    y = L.Conv2D(4, 3, name="conv")(x) + 3.0
    y = y * ops.maximum(y, 0.1) / 6.0
    y = L.Add()([y, L.Multiply()([y, y])])
    return ops.relu6(y[:, 1:, :-1] - ops.mean(y, axis=(1, 2), keepdims=True))


def application_layers(x):
    y = L.Conv2D(4, 3)(x)
    scaled = StochasticDepth(0.1)(LayerScale(0.5, 4)(y))
    return CustomScaleLayer(0.3)([y, scaled])


@pytest.mark.parametrize("body", [operations, application_layers])
@pytest.mark.parametrize("nested", [False, True])
def test_outputs_are_those_of_the_saved_model(tmp_path, body, nested):
    image = keras.Input((8, 8, 3))
    y = body(image)
    if nested:
        outer = keras.Input((8, 8, 3))
        image, y = outer, keras.Model(image, y, name="backbone")(outer)
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(y)))
    model.set_weights([RNG.normal(size=w.shape) for w in model.get_weights()])
    model.save(tmp_path / "net.h5")
    x = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
    loaded = load_model_file(tmp_path / "net.h5", allow_unsafe=False)
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", first_quick(["MobileNetV3Small", "ConvNeXtTiny", "InceptionResNetV2"]))
def test_applications_open_from_hdf5(tmp_path, name):
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), classes=3)
    model.save(tmp_path / "net.h5")
    x = RNG.uniform(0, 255, (1, 96, 96, 3)).astype(np.float32)
    loaded = load_model_file(tmp_path / "net.h5", allow_unsafe=False)
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-5, atol=1e-7)
