"""Squash, crop and pad: what the network sees of a photo."""

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.images.fit import PADDING_COLOR, Box, crop_box_for, resize_to_input


def test_squash_sees_everything():
    assert crop_box_for((100, 300), (224, 224), "squash") == Box(0, 0, 300, 100)


def test_crop_is_the_centre_of_256():
    """With the shorter side at 256 the network sees the central 224; larger photos in proportion."""
    assert crop_box_for((256, 356), (224, 224), "crop") == Box(66, 16, 290, 240)
    assert crop_box_for((512, 712), (224, 224), "crop") == Box(132, 32, 580, 480)


def test_pad_reaches_beyond_the_short_side():
    assert crop_box_for((100, 300), (224, 224), "pad") == Box(0, -100, 300, 200)
    assert crop_box_for((300, 100), (224, 224), "pad") == Box(-100, 0, 200, 300)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_input_size_photos_are_not_resampled(fit):
    """A photo of the input's own size goes in pixel by pixel, except where it is cropped."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    seen = resize_to_input(pixels, crop_box_for((32, 32), (32, 32), fit), (32, 32))
    assert (seen == pixels).all() == (fit != "crop")


def test_crop_equals_resize_then_crop():
    """Cropping the box and scaling it is the usual resize to 256 followed by the central 224."""
    rng = np.random.default_rng(1)
    photo = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)).resize((768, 512)))
    resized = Image.fromarray(photo).resize((384, 256), Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((80, 16, 304, 240)), float)
    seen = resize_to_input(photo, crop_box_for((512, 768), (224, 224), "crop"), (224, 224))
    assert np.abs(seen - expected).max() <= 1


def test_bars_have_imagenets_mean_colour():
    seen = resize_to_input(np.zeros((10, 30, 3), np.uint8), crop_box_for((10, 30), (30, 30), "pad"), (30, 30))
    np.testing.assert_array_equal(seen[0, 0], PADDING_COLOR)
    assert not seen[10:20].any()


def test_grayscale_networks_see_luminance():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert (resize_to_input(red, Box(0, 0, 4, 4), (4, 4), 1) == 76).all()  # ITU-R 601: 0.299 * 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 1000)])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_extreme_shapes(shape, fit):
    assert resize_to_input(np.zeros((*shape, 3), np.uint8), crop_box_for(shape, (24, 24), fit), (24, 24)).shape == (
        24,
        24,
        3,
    )
