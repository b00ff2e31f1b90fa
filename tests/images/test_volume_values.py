"""Values of volumes: the window of values, the stretch, and the picture of their slices, against numbers by hand."""

import numpy as np
import pytest

from gradcam_cli.errors import InputError
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space
from gradcam_cli.images.volume_values import check_size, to_decoded, to_float32

VOLUME = Space("volume")


def volume(*numbers):
    """A volume of two slices (1, n / 2)."""
    return np.array(numbers, np.float32).reshape(2, 1, -1, 1)


def decoded(values, shown=None, inverted=False, **options):
    return to_decoded(values, VOLUME, ReadOptions(rank=3, **options), shown, inverted)


def test_a_window_of_values_scales_the_values():
    """40,400 is -160 to 240: -160 is black, 240 is white, and what lies beyond is clipped."""
    seen = decoded(volume(-1000, -160, 40, 240, 3000, 140), window=(40, 400))
    assert seen.bands.scaled
    assert seen.bands.values.ravel().tolist() == [0, 0, 127.5, 255, 255, 191.25]
    assert seen.pixels.shape == (2, 1, 3, 3)
    assert seen.pixels[..., 0].ravel().tolist() == [0, 0, 128, 255, 255, 191]
    assert (seen.pixels == seen.pixels[..., :1]).all()


def test_the_value_of_white_scales_the_values():
    seen = decoded(volume(0, 1000, 500, 250), max_value=1000)
    assert seen.bands.scaled
    assert seen.bands.values.ravel().tolist() == [0, 255, 127.5, 63.75]
    with pytest.raises(InputError, match=r"expected values in 0..999, got 0..1000"):
        decoded(volume(0, 1000), max_value=999)
    with pytest.raises(InputError, match=r"expected values in 0..9, got -1..1"):
        decoded(volume(-1, 1), max_value=9)


def test_without_a_window_the_values_are_kept():
    """People see the percentiles 2 and 98 of 0..100, which are 2 and 98, as black and white."""
    values = np.arange(101, dtype=np.float32).reshape(1, 1, 101, 1)
    seen = decoded(values.copy())
    assert not seen.bands.scaled
    assert np.array_equal(seen.bands.values, values)
    assert seen.pixels[0, 0, [0, 2, 50, 98, 100], 1].tolist() == [0, 0, 128, 255, 255]
    assert (decoded(volume(7, 7)).pixels == 127).all()


def test_the_window_of_the_file_is_only_for_people():
    seen = decoded(volume(0, 50, 100, 150), shown=(75, 50))
    assert seen.bands.values.ravel().tolist() == [0, 50, 100, 150]
    assert seen.pixels[..., 2].ravel().tolist() == [0, 0, 255, 255]


def test_inverted_values_are_bright_where_they_are_low():
    """Values that are scaled are what people see; others stay as they are stored."""
    stored = decoded(volume(0, 25, 75, 100), shown=(50, 100), inverted=True)
    assert stored.pixels[..., 0].ravel().tolist() == [255, 191, 64, 0]
    assert stored.bands.values.ravel().tolist() == [0, 25, 75, 100]
    scaled = decoded(volume(0, 25, 75, 100), window=(50, 100), inverted=True)
    assert scaled.bands.values.ravel().tolist() == [255, 191.25, 63.75, 0]
    assert scaled.pixels[..., 0].ravel().tolist() == [255, 191, 64, 0]


def test_three_channels_are_colors():
    """Of other numbers of channels, one is shown, or those of --rgb."""
    values = np.stack([volume(0, 255), volume(255, 0), volume(0, 0)], axis=-1)[..., 0, :]
    assert decoded(values.copy(), window=(127.5, 255)).pixels[0, 0, 0].tolist() == [0, 255, 0]
    assert decoded(values.copy(), window=(127.5, 255), rgb="2,3,1").pixels[0, 0, 0].tolist() == [255, 0, 0]
    assert decoded(values[..., :2].copy(), window=(127.5, 255)).pixels[1, 0, 0].tolist() == [255, 255, 255]
    with pytest.raises(InputError, match="--rgb 4: the input has 3 channels"):
        decoded(values, rgb="4")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_are_finite(wrong):
    with pytest.raises(InputError, match="expected finite values, got NaN or infinity"):
        decoded(volume(0, wrong))


def test_units_are_applied_in_float64():
    stored = np.array([30_000_001, 30_000_003], np.int32).reshape(1, 1, 2, 1)
    assert to_float32(stored, 2, -60_000_000).ravel().tolist() == [2, 6]
    assert to_float32(stored).dtype == np.float32


def test_sizes_are_limited():
    check_size((2, 3, 4, 3), 24)
    with pytest.raises(InputError, match="at most 23 voxels and 69 values, got 4x3x2 with 1 channels"):
        check_size((2, 3, 4, 1), 23)
    with pytest.raises(InputError, match="at most 24 voxels"):
        check_size((2, 3, 4, 4), 24)
    with pytest.raises(InputError, match="at least one value"):
        check_size((2, 0, 4, 1), 24)
