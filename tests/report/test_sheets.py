"""The slices of volumes and the frames of films in a report."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.images.box import Box
from gradcam_cli.images.space import Space
from gradcam_cli.output.views import Shown
from gradcam_cli.pipeline.fields import FieldError
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.sheets import SHEETS, encode_sheet, profiles, shown_numbers

VOLUME, FILM = Space("volume", (2.5, 1.0, 1.0)), Space("film", (0.04, 0, 0))


def test_all_slices_of_a_short_axis_are_shown():
    assert shown_numbers(VOLUME, (3, 5, 4)) == {0: [0, 1, 2], 1: [0, 1, 2, 3, 4], 2: [0, 1, 2, 3]}
    assert shown_numbers(VOLUME, (3, 5, 1)) == {0: [0, 1, 2], 1: [0, 1, 2, 3, 4]}


def test_of_a_long_axis_64_slices_with_both_ends_and_the_peaks_are_shown():
    """The peaks at 51 and 77 of 300 frames lie between the evenly spaced ones."""
    even = shown_numbers(FILM, (300, 8, 8))
    numbers = shown_numbers(FILM, (300, 8, 8), [(1, 2, 51), None, (3, 4, 77)])[0]
    assert list(even) == [0]
    assert not {51, 77} & set(even[0])
    assert (len(numbers), numbers[0], numbers[-1]) == (64, 0, 299)
    assert len({51, 77} & set(numbers)) == 2
    assert numbers == sorted(numbers)
    assert max(np.diff(numbers)) <= 8


def test_signals_and_images_have_no_slices():
    assert shown_numbers(Space("signal"), (100,)) == shown_numbers(Space(), (8, 8)) == {}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_place_of_a_sheet_has_its_slice(axis):
    """The n-th picture, row by row, is that of the n-th number, pixel by pixel."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 11, 3), np.uint8)
    numbers = shown_numbers(VOLUME, pixels.shape)[axis][1:]
    sheet = encode_sheet(pixels, axis, numbers)
    shown = np.asarray(Image.open(io.BytesIO(sheet.data)))
    height, width = (side for other, side in enumerate(pixels.shape[:3]) if other != axis)
    assert (sheet.image_format, sheet.height, sheet.width) == ("png", height, width)
    assert shown.shape == (-(-len(numbers) // sheet.columns) * (height + 2), sheet.columns * (width + 2), 3)
    for place, number in enumerate(numbers):
        top, left = 1 + place // sheet.columns * (height + 2), 1 + place % sheet.columns * (width + 2)
        expected = np.take(pixels, number, axis)
        np.testing.assert_array_equal(shown[top : top + height, left : left + width], expected)
        np.testing.assert_array_equal(shown[top : top + height, left - 1], expected[:, 0])
        np.testing.assert_array_equal(shown[top + height, left : left + width], expected[-1])


def test_large_slices_are_downsampled():
    sheet = encode_sheet(np.zeros((5, 1024, 512, 3), np.uint8), 0, range(5))
    assert sheet[1:] == ("jpg", 3, 128, 256)
    assert Image.open(io.BytesIO(sheet.data)).size == (3 * 130, 2 * 258)


def test_profiles_are_the_largest_values_of_the_slices():
    heatmap = np.zeros((3, 2, 2), np.float32)
    heatmap[1, 0, 1], heatmap[2, 1, 1] = 1, 0.25
    assert profiles(heatmap, {0: [0, 1, 2], 2: [1]}) == [[0, 1, 0.25], [1]]


def test_files_of_a_volume(tmp_path):
    """A sheet for each axis, one picture with the map, and its thumbnail; without pixels, no file but the numbers."""
    images, numbers = ReportImages(tmp_path), {0: [0, 2], 1: [1], 2: [0]}
    heatmap = np.ones((3, 4, 5), np.float32)
    shown = images.shown(np.zeros((3, 4, 5, 3), np.uint8), heatmap, Box.whole((3, 4, 5)), "gradcam", VOLUME)
    drawn = images.draw_image("a", "x", shown, numbers)
    assert drawn["size"] == [5, 4, 3]
    assert [(each["axis"], each["numbers"]) for each in drawn["sheets"]] == list(numbers.items())
    map_ = images.draw_map("a", "x", shown, numbers)
    assert map_["profiles"] == [[1, 1], [1], [1]]
    names = [drawn["thumbnail"], map_["figure"], *(each["path"] for each in drawn["sheets"])]
    assert sorted(names) == sorted(f"report/{path.name}" for path in (tmp_path / "report").iterdir())
    missing = images.shown(None, heatmap, Box.whole((3, 4, 5)), "gradcam", VOLUME)
    assert [each["path"] for each in images.draw_image("b", "x", missing, numbers)["sheets"]] == [None] * 3
    assert images.draw_map("b", "x", missing, numbers) == {"profiles": map_["profiles"]}


@pytest.mark.parametrize(
    "change",
    [
        {"axis": 3},
        {"numbers": []},
        {"numbers": [0, 0]},
        {"numbers": [2, 1]},
        {"numbers": [-1]},
        {"numbers": list(range(65))},
        {"numbers": ["0"]},
        {"columns": 0},
        {"columns": 10**9},
        {"path": 1},
        {"width": 0},
    ],
)
def test_damaged_sheets_are_refused(change):
    valid = {"axis": 0, "path": "report/a.png", "numbers": [0, 2], "columns": 2, "width": 9, "height": 8}
    assert SHEETS([valid]) == [valid]
    with pytest.raises(FieldError):
        SHEETS([{**valid, **change}])


def test_thumbnail_of_a_film_is_the_frame_of_the_peak(tmp_path):
    """Frame 2 is white under a map that is zero but for one pixel, all others are black."""
    pixels, heatmap = np.zeros((4, 40, 40, 3), np.uint8), np.zeros((4, 40, 40), np.float32)
    pixels[2], heatmap[2, 5, 5] = 255, 1
    shown = Shown(pixels, heatmap, Box.whole(heatmap.shape), FILM, (5, 5, 2))
    name = ReportImages(tmp_path).draw_image("a", "x", shown, {})["thumbnail"]
    assert np.asarray(Image.open(tmp_path / name))[200:].min() > 240
