"""Boxes of any number of axes: x, y, z outside, the order of array axes inside."""

import json
import pickle

import numpy as np
import pytest

from gradcam_cli.images.box import Box, clip_to_image, part_of_box
from gradcam_cli.images.fit import chosen_frames, crop_box_for, fit_box, resize_bands, resize_to_input, resolved_fit
from gradcam_cli.images.space import Space

VOLUME = Space("volume")
FILM = Space("film")


def test_the_corners_are_x_y_z_and_the_intervals_those_of_the_array():
    box = Box(1, 2, 3, 10, 20, 30)
    assert box.intervals == ((3, 30), (2, 20), (1, 10))
    assert box.shape == (27, 18, 9)
    volume = np.arange(40 * 30 * 20).reshape(40, 30, 20)
    np.testing.assert_array_equal(volume[box.slices], volume[3:30, 2:20, 1:10])
    assert Box.of(box.intervals) == box
    assert Box.whole((5, 6, 7)) == (0, 0, 0, 7, 6, 5)


def test_an_image_has_rows_and_columns_and_a_signal_one_interval():
    box = Box(3, 4, 7, 9)
    assert (box.x0, box.y0, box.x1, box.y1) == (3, 4, 7, 9)
    assert Box(3, 9).intervals == ((3, 9),)
    assert (Box(3, 9).x0, Box(3, 9).x1) == (3, 9)


def test_a_box_is_a_tuple_in_json_and_in_a_pickle():
    box = Box(1, 2, 3, 4)
    assert json.dumps(box) == "[1, 2, 3, 4]"
    again = pickle.loads(pickle.dumps(box))
    assert again == box
    assert isinstance(again, Box)


def test_a_box_is_clipped_and_divided_along_each_axis():
    assert clip_to_image(Box(-2, 1, 0, 9, 5, 40), (30, 4, 8)) == (0, 1, 0, 8, 4, 30)
    whole = Box(10, 20, 30, 18, 36, 54)  # 8 columns, 16 rows, 24 slices
    assert part_of_box(whole, [(0.5, 2), (0, 1), (1, 4)], (4, 2, 4)) == (12, 20, 33, 18, 28, 42)


def test_squash_crop_and_pad_take_the_same_part_along_every_axis():
    assert crop_box_for((30, 40, 50), (10, 10, 10), "squash") == (0, 0, 0, 50, 40, 30)
    assert crop_box_for((30, 40, 50), (10, 10, 10), "pad") == (0, -5, -10, 50, 45, 40)
    side = round(10 * 30 / 10 * 224 / 256)  # the shortest axis, less the usual margin
    assert crop_box_for((30, 40, 50), (10, 10, 10), "crop").shape == (side, side, side)


def test_windows_keep_the_size_and_pad_what_is_smaller():
    assert fit_box(VOLUME, (8, 30, 40), (10, 10, 10), "windows") == (0, 0, -1, 40, 30, 9)


def test_the_frames_of_a_film_are_chosen_over_its_whole_time():
    assert fit_box(FILM, (100, 40, 60), (4, 20, 20), "crop").intervals[0] == (0, 100)
    np.testing.assert_array_equal(chosen_frames(100, 4), [12, 37, 62, 87])
    np.testing.assert_array_equal(chosen_frames(2, 4), [0, 0, 1, 1])
    film = np.repeat(np.arange(100, dtype=np.uint8), 4 * 6 * 3).reshape(100, 4, 6, 3)
    seen = resize_to_input(film, Box.whole((100, 4, 6)), (4, 2, 3))
    np.testing.assert_array_equal(seen[:, 0, 0, 0], [12, 37, 62, 87])


def test_a_volume_is_resized_along_each_axis_alone():
    """The axes are independent: a product of three ramps stays one, each ramp resized as Pillow resizes a column."""
    ramps = [np.linspace(0, 1, length, dtype=np.float32) for length in (8, 12, 6)]
    volume = np.einsum("i,j,k->ijk", *ramps)[..., None]
    resized = resize_bands(volume, Box.whole((8, 12, 6)), (4, 6, 6))[..., 0]
    alone = [
        resize_bands(ramp[:, None], Box(0, len(ramp)), (side,))[:, 0]
        for ramp, side in zip(ramps, (4, 6, 6), strict=True)
    ]
    np.testing.assert_allclose(resized, np.einsum("i,j,k->ijk", *alone), atol=1e-6)
    np.testing.assert_allclose(alone[2], ramps[2])


def test_a_part_at_its_own_size_is_cut_out_unchanged():
    volume = np.arange(5 * 6 * 7 * 2, dtype=np.float32).reshape(5, 6, 7, 2)
    np.testing.assert_array_equal(resize_bands(volume, Box(1, 2, 3, 5, 6, 5), (2, 4, 4)), volume[3:5, 2:6, 1:5])
    padded = resize_bands(volume, Box(0, 0, -1, 7, 6, 5), (6, 6, 7))
    np.testing.assert_array_equal(padded[1:], volume)
    np.testing.assert_allclose(padded[0], np.broadcast_to(volume.mean(axis=(0, 1, 2)), (6, 7, 2)))


@pytest.mark.parametrize(
    ("rank", "kind", "expected"),
    [
        (1, "signal", "windows"),
        (2, "image", "squash"),
        (3, "volume", "windows"),
        (3, "film", "squash"),
        (3, None, "auto"),
    ],
)
def test_auto_slides_windows_over_signals_and_volumes_alone(rank, kind, expected):
    assert resolved_fit("auto", rank, kind) == expected
    assert resolved_fit("crop", rank, kind) == "crop"
