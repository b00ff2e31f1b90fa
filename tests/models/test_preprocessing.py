"""Preprocessing against Keras and by hand."""

import inspect

import keras
import numpy as np
import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.preprocessing import preprocess_pixels, resolve_preprocess

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", [name for name, spec in catalog().items() if not spec.built_in])
def test_equals_preprocess_input_of_keras(name):
    """The result is that of the model's `preprocess_input`, and the pixels are unchanged."""
    module = inspect.getmodule(inspect.unwrap(getattr(keras.applications, catalog()[name].keras_function)))
    before = PIXELS.copy()
    np.testing.assert_allclose(
        preprocess_pixels(PIXELS, resolve_preprocess(name)),
        module.preprocess_input(PIXELS.astype("float32")),
        atol=1e-5,
    )
    np.testing.assert_array_equal(PIXELS, before)


@pytest.mark.parametrize(("name", "low", "high"), [("none", 0, 255), ("0..1", 0, 1), ("-1..1", -1, 1)])
def test_pixels_are_scaled_to_the_range(name, low, high):
    x = preprocess_pixels(np.array([0, 255], np.uint8), name)
    np.testing.assert_allclose(x, [low, high])
    assert x.dtype == np.float32


def test_caffe_by_hand():
    """VGG gets BGR minus ImageNet's mean color."""
    red = np.array([[[[255, 0, 0]]]], np.uint8)
    np.testing.assert_allclose(
        preprocess_pixels(red, resolve_preprocess("vgg19"))[0, 0, 0], [-103.939, -116.779, 131.32], rtol=1e-6
    )


def test_unknown_preprocessing_is_refused():
    with pytest.raises(UsageError, match=r"-1\.\.1"):
        resolve_preprocess("imagenette")
