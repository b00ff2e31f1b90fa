"""Arguments of `explain`: every wrong value raises a GradcamError that names the right ones."""

import numpy as np
import pytest
from PIL import Image
from small_models import small_network

from gradcam_cli import explain, load_model
from gradcam_cli.errors import GradcamError, InputError, UsageError

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="0..1")


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("score", "softmax", "logit, probability"),
        ("fit", "stretch", "squash, crop, pad"),
        ("method", "GradCAM", "gradcam"),
        ("interpolation", 9, "nearest, linear, cubic"),
        ("precision", "half", "float32"),
        ("counterfactual", "yes", "True, False"),
        ("aug_smooth", None, "True, False"),
        ("layer", -1, "path of a layer"),
        ("layer", None, "path of a layer"),
        ("target_class", "nobody", "class"),
        ("target_class", 99, "index from 0 to 2"),
        ("target_class", -1, "class"),
    ],
)
def test_wrong_values_are_usage_errors(classifier, argument, value, expected):
    with pytest.raises(UsageError) as caught:
        explain(IMAGE, classifier, **{argument: value})
    assert expected in caught.value.message


@pytest.mark.parametrize("image", [[1], None, 3, b"x", IMAGE.astype(int), IMAGE[None].repeat(2, 0)])
def test_wrong_images_are_input_errors(classifier, image):
    with pytest.raises(InputError):
        explain(image, classifier)


def test_pillow_image_is_explained_as_its_pixels(classifier):
    array, pillow = explain(IMAGE, classifier), explain(Image.fromarray(IMAGE), classifier)
    np.testing.assert_array_equal(array.heatmap, pillow.heatmap)


@pytest.mark.parametrize("model", [3, None, [], object()])
def test_wrong_models_are_errors(model):
    with pytest.raises(GradcamError):
        explain(IMAGE, model)
