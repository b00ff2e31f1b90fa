"""Recipro-CAM requires a layer that all paths from the image to the score pass."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli import explain
from gradcam_cli.errors import ModelError

IMAGE = np.random.default_rng(3).integers(0, 256, (12, 12, 3), np.uint8)


def residual():
    """A stem, a branch, and their sum: the stem also reaches the sum around the branch."""
    x = keras.Input((12, 12, 3))
    stem = L.Conv2D(4, 3, name="stem")(x)
    branch = L.Conv2D(4, 3, padding="same", name="branch")(stem)
    total = L.Add(name="total")([stem, branch])
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(total)))


@pytest.mark.parametrize("layer", ["stem", "total", "auto"])
def test_a_layer_that_all_paths_pass_is_explained(layer):
    """A linear end: each cell alone has its own part of the score."""
    model = residual()
    result = explain(IMAGE, model, preprocess="0..1", method="reciprocam", layer=layer, target_class=1)
    assert result.cam.shape == (10, 10)
    if layer != "stem":
        A = keras.Model(model.input, model.get_layer("total").output)(IMAGE[None] / 255)[0].numpy()
        expected = A @ model.layers[-1].get_weights()[0][:, 1] / 100
        np.testing.assert_allclose(result.cam, expected - expected.min(), rtol=1e-3, atol=1e-5)


def test_a_layer_with_paths_around_it_is_refused():
    message = "^method reciprocam requires a layer that all paths from the image to the score pass: .* around branch"
    with pytest.raises(ModelError, match=message):
        explain(IMAGE, residual(), preprocess="0..1", method="reciprocam", layer="branch")


def test_a_dependence_on_shapes_is_no_path():
    """Flatten reads the batch size of the image."""
    for layer in ("conv1", "conv2"):
        assert explain(IMAGE, small_network(), preprocess="0..1", method="reciprocam", layer=layer).cam.any()
