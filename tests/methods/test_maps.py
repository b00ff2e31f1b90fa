"""Enlarging, placing and normalising maps, and the numbers taken from them."""

import numpy as np
import pytest
from scipy import ndimage

from gradcam_cli.images.fit import Box
from gradcam_cli.methods import maps

SHAPES = [(14, 14), (224, 224), (225, 301), (1, 1), (1, 37), (600, 13), (7, 9)]


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_constant_maps_stay_constant(shape, order):
    """A constant map is constant up to its border, at every shape, which is reached exactly."""
    enlarged = maps.upsample(np.full((14, 14), 0.7, np.float32), shape, order)
    assert enlarged.shape == shape
    np.testing.assert_allclose(enlarged, 0.7, rtol=1e-6)


@pytest.mark.parametrize(("u", "H"), [(7, 224), (14, 225), (3, 10), (4, 1001), (13, 299)])
def test_shapes_that_do_not_divide(u, H):
    assert maps.upsample(np.ones((u, u + 1), np.float32), (H, H + 7)).shape == (H, H + 7)


def test_cell_centres_land_where_they_belong():
    """A ramp of cell centres, enlarged fourfold, is the ramp of the pixel centres between them."""
    cells = np.arange(5, dtype=np.float32)[None, :].repeat(2, 0)
    enlarged = maps.upsample(cells, (8, 20))
    centres = (np.arange(20) + 0.5) / 4 - 0.5  # where each pixel's centre lies, in cells
    np.testing.assert_allclose(enlarged[0], np.clip(centres, 0, 4), atol=1e-6)


def test_enlarging_by_hand():
    """[0, 4] doubled linearly is 0, 1, 3, 4: pixel centres at -1/4, 1/4, 3/4, 5/4 of the cells."""
    np.testing.assert_allclose(maps.upsample(np.array([[0, 4]], np.float32), (1, 4)), [[0, 1, 3, 4]], atol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_enlarging_is_scipys_zoom(shape, order):
    """The two products are what one call of zoom on the whole map gives."""
    L = np.random.default_rng(0).random((14, 9), np.float32)
    factors = (shape[0] / 14, shape[1] / 9)
    zoomed = ndimage.zoom(L, factors, order=order, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(maps.upsample(L, shape, order), zoomed.clip(min=0), atol=2e-6)


def test_order_zero_repeats_cells():
    np.testing.assert_array_equal(
        maps.upsample(np.array([[1, 2]], np.float32), (2, 4), 0), [[1, 1, 2, 2], [1, 1, 2, 2]]
    )


def test_cubic_undershoot_is_clipped():
    """The cubic spline swings below zero beside a peak; the map does not."""
    spike = np.zeros((9, 9), np.float32)
    spike[4, 4] = 1
    assert maps.upsample(spike, (90, 90), 3).min() == 0


def test_normalise_divides_by_the_maximum_only():
    np.testing.assert_array_equal(maps.normalize(np.array([[1.0, 2.0, 4.0]])), [[0.25, 0.5, 1.0]])


def test_zero_maps_stay_zero():
    zero = np.zeros((3, 3), np.float32)
    assert not maps.normalize(zero).any()
    assert maps.peak(zero) is None
    assert maps.bounding_box(zero) is None


def test_place_inside_and_beyond():
    """A crop's map is zero outside the crop; a padded photo's map loses its bars."""
    ones = np.ones((2, 2))
    np.testing.assert_array_equal(
        maps.paste_into_image(ones, Box(1, 0, 3, 2), (3, 4)), [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    )
    padded = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(maps.paste_into_image(padded, Box(0, -1, 4, 3), (2, 4)), padded[1:3])


def test_peak_and_box_by_hand():
    """The box holds the largest region above 15 %, not the highest peak, and no diagonal neighbour."""
    map_ = np.zeros((5, 6))
    map_[0, 0] = 1.0  # the peak, alone
    map_[2:4, 2:5] = 0.5  # the largest region
    map_[4, 5] = 0.5  # touches it at a corner only
    map_[1, 2] = 0.14  # below the threshold
    assert maps.peak(map_) == (0, 0)
    assert maps.bounding_box(map_) == Box(2, 2, 5, 4)
