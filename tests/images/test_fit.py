"""Squash, crop and pad: what the network sees of a photo."""

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.images.fit import PADDING, Box, see, view_of


def test_squash_sees_everything():
    assert view_of((100, 300), (224, 224), "squash") == Box(0, 0, 300, 100)


def test_crop_is_the_centre_of_256():
    """With the shorter side at 256 the network sees the central 224; larger photos in proportion."""
    assert view_of((256, 356), (224, 224), "crop") == Box(66, 16, 290, 240)
    assert view_of((512, 712), (224, 224), "crop") == Box(132, 32, 580, 480)


def test_pad_reaches_beyond_the_short_side():
    assert view_of((100, 300), (224, 224), "pad") == Box(0, -100, 300, 200)
    assert view_of((300, 100), (224, 224), "pad") == Box(-100, 0, 200, 300)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_input_size_photos_are_not_resampled(fit):
    """A photo of the input's own size goes in pixel by pixel, except where it is cropped."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    seen = see(pixels, view_of((32, 32), (32, 32), fit), (32, 32))
    assert (seen == pixels).all() == (fit != "crop")


def test_crop_equals_resize_then_crop():
    """Cropping the box and scaling it is the usual resize to 256 followed by the central 224."""
    rng = np.random.default_rng(1)
    photo = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)).resize((768, 512)))
    resized = Image.fromarray(photo).resize((384, 256), Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((80, 16, 304, 240)), float)
    seen = see(photo, view_of((512, 768), (224, 224), "crop"), (224, 224))
    assert np.abs(seen - expected).max() <= 1


def test_bars_have_imagenets_mean_colour():
    seen = see(np.zeros((10, 30, 3), np.uint8), view_of((10, 30), (30, 30), "pad"), (30, 30))
    np.testing.assert_array_equal(seen[0, 0], PADDING)
    assert not seen[10:20].any()


def test_grayscale_networks_see_luminance():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert (see(red, Box(0, 0, 4, 4), (4, 4), 1) == 76).all()  # ITU-R 601: 0.299 * 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 1000)])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_extreme_shapes(shape, fit):
    assert see(np.zeros((*shape, 3), np.uint8), view_of(shape, (24, 24), fit), (24, 24)).shape == (24, 24, 3)
