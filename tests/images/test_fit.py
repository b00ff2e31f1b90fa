"""Squash, crop and pad: the crop box and the resized model input."""

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.images.box import Box
from gradcam_cli.images.fit import PADDING_COLOR, crop_box_for, resize_to_input


def test_squash_uses_the_whole_image():
    assert crop_box_for((100, 300), (224, 224), "squash") == Box(0, 0, 300, 100)


def test_crop_is_the_center_of_256():
    """For a shorter side of 256 the crop is the central 224x224; it scales with the image."""
    assert crop_box_for((256, 356), (224, 224), "crop") == Box(66, 16, 290, 240)
    assert crop_box_for((512, 712), (224, 224), "crop") == Box(132, 32, 580, 480)


def test_pad_extends_beyond_the_shorter_side():
    assert crop_box_for((100, 300), (224, 224), "pad") == Box(0, -100, 300, 200)
    assert crop_box_for((300, 100), (224, 224), "pad") == Box(-100, 0, 200, 300)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_images_of_the_input_size_are_not_resampled(fit):
    """An image of the input size is unchanged, except by `crop`."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    resized_input = resize_to_input(pixels, crop_box_for((32, 32), (32, 32), fit), (32, 32))
    assert (resized_input == pixels).all() == (fit != "crop")


def test_crop_equals_resize_then_crop():
    """Resizing the crop box equals the standard resize to 256 and central crop of 224."""
    rng = np.random.default_rng(1)
    photo = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)).resize((768, 512)))
    resized = Image.fromarray(photo).resize((384, 256), Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((80, 16, 304, 240)), float)
    resized_input = resize_to_input(photo, crop_box_for((512, 768), (224, 224), "crop"), (224, 224))
    assert np.abs(resized_input - expected).max() <= 1


def test_bars_have_imagenets_mean_color():
    resized_input = resize_to_input(np.zeros((10, 30, 3), np.uint8), crop_box_for((10, 30), (30, 30), "pad"), (30, 30))
    np.testing.assert_array_equal(resized_input[0, 0], PADDING_COLOR)
    assert not resized_input[10:20].any()


def test_grayscale_input_is_luminance():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert (resize_to_input(red, Box(0, 0, 4, 4), (4, 4), 1) == 76).all()  # ITU-R 601: 0.299 * 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 1000)])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_extreme_shapes_fit_the_input(shape, fit):
    assert resize_to_input(np.zeros((*shape, 3), np.uint8), crop_box_for(shape, (24, 24), fit), (24, 24)).shape == (
        24,
        24,
        3,
    )
