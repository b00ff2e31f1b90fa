"""Upsampling, placement and normalization of maps, peak and bounding box."""

import numpy as np
import pytest
from scipy import ndimage

from gradcam_cli.images.box import Box
from gradcam_cli.methods import maps

SHAPES = [(14, 14), (224, 224), (225, 301), (1, 1), (1, 37), (600, 13), (7, 9)]


@pytest.mark.parametrize("interpolation", maps.INTERPOLATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_constant_maps_stay_constant(shape, interpolation):
    """A constant map stays constant up to its border, for all shapes."""
    upsampled = maps.upsample(np.full((14, 14), 0.7, np.float32), shape, interpolation)
    assert upsampled.shape == shape
    np.testing.assert_allclose(upsampled, 0.7, rtol=1e-6)


@pytest.mark.parametrize(("u", "H"), [(7, 224), (14, 225), (3, 10), (4, 1001), (13, 299)])
def test_upsampling_to_any_size(u, H):
    assert maps.upsample(np.ones((u, u + 1), np.float32), (H, H + 7)).shape == (H, H + 7)


def test_cell_centers_are_aligned_with_pixel_centers():
    """A ramp, upsampled fourfold, equals the ramp at the pixel centers."""
    cells = np.arange(5, dtype=np.float32)[None, :].repeat(2, 0)
    upsampled = maps.upsample(cells, (8, 20))
    centers = (np.arange(20) + 0.5) / 4 - 0.5  # pixel centers in units of map positions
    np.testing.assert_allclose(upsampled[0], np.clip(centers, 0, 4), atol=1e-6)


def test_linear_upsampling_by_hand():
    """[0, 4] doubled is 0, 1, 3, 4: the pixel centers are at -1/4, 1/4, 3/4 and 5/4."""
    np.testing.assert_allclose(maps.upsample(np.array([[0, 4]], np.float32), (1, 4)), [[0, 1, 3, 4]], atol=1e-6)


@pytest.mark.parametrize("interpolation", maps.INTERPOLATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_upsampling_equals_scipy_zoom(shape, interpolation):
    """The matrix products equal `scipy.ndimage.zoom` on the map."""
    L = np.random.default_rng(0).random((14, 9), np.float32)
    factors = (shape[0] / 14, shape[1] / 9)
    zoomed = ndimage.zoom(L, factors, order=maps.INTERPOLATIONS[interpolation], mode="nearest", grid_mode=True)
    np.testing.assert_allclose(maps.upsample(L, shape, interpolation), zoomed.clip(min=0), atol=2e-6)


def test_nearest_repeats_values():
    np.testing.assert_array_equal(
        maps.upsample(np.array([[1, 2]], np.float32), (2, 4), "nearest"), [[1, 1, 2, 2], [1, 1, 2, 2]]
    )


def test_cubic_undershoot_is_clipped():
    """Negative values of the cubic spline next to a peak are clipped to zero."""
    spike = np.zeros((9, 9), np.float32)
    spike[4, 4] = 1
    assert maps.upsample(spike, (90, 90), "cubic").min() == 0


def test_normalize_divides_by_the_maximum():
    np.testing.assert_array_equal(maps.normalize(np.array([[1.0, 2.0, 4.0]])), [[0.25, 0.5, 1.0]])


def test_zero_maps_stay_zero():
    zero = np.zeros((3, 3), np.float32)
    assert not maps.normalize(zero).any()
    assert maps.peak(zero) is None
    assert maps.bounding_box(zero) is None


def test_paste_crop_and_padding():
    """The map is zero outside a crop, and the bars of a padded image are removed."""
    ones = np.ones((2, 2))
    np.testing.assert_array_equal(
        maps.paste_into_image(ones, Box(1, 0, 3, 2), (3, 4)), [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    )
    padded = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(maps.paste_into_image(padded, Box(0, -1, 4, 3), (2, 4)), padded[1:3])


def test_peak_and_box_by_hand():
    """The box contains the largest 4-connected region above 15 % of the maximum, not the peak."""
    map_ = np.zeros((5, 6))
    map_[0, 0] = 1.0  # the peak, a region of one pixel
    map_[2:4, 2:5] = 0.5  # the largest region
    map_[4, 5] = 0.5  # touches it at a corner only
    map_[1, 2] = 0.14  # below the threshold
    assert maps.peak(map_) == (0, 0)
    assert maps.bounding_box(map_) == Box(2, 2, 5, 4)
