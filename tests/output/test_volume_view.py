"""Volumes: the slices through the peak, their places and sizes."""

import numpy as np
import pytest
from shown_inputs import numbered_slices, shown

from gradcam_cli.images.box import Box
from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import VIEWS, volume

RENDER = RenderOptions(dpi=60)
BAR = ColorBar(2.0, 2.0, "gradcam (logit)", RENDER)


def parts_by_axis(each, side):
    return {part.axis: part for part in volume.arrange(each, side, side)}


def corner(panel, part):
    """The gray of the slice's first corner, which no crosshair crosses."""
    return panel[part.top + 1, part.left + 1].tolist()


def test_the_slices_are_those_of_the_peak():
    """Slice 6 is gray 120; the other two show all slices: from the first, 0, to the last, 160."""
    each = numbered_slices()
    panel, parts = volume.image_panel(each, 400), parts_by_axis(each, 400)
    assert corner(panel, parts[0]) == [120] * 3
    for axis in (1, 2):
        part = parts[axis]
        h, w = part.size
        picture = panel[part.top : part.top + h, part.left : part.left + w]
        first, last = picture[1, 1], picture[-2, -2]
        assert (first.max(), last.min()) == (0, 160)


@pytest.mark.parametrize(
    ("axis", "row", "column"), [(0, 5.5 / 24, 11.5 / 16), (1, 6.5 / 9, 11.5 / 16), (2, 5.5 / 24, 6.5 / 9)]
)
def test_crosshairs_cross_at_the_peak(axis, row, column):
    """At slice 6 of 9, row 5 of 24 and column 11 of 16; at the right of the stored slice, columns are slices."""
    each = numbered_slices()
    each.pixels[:] = 0
    part = parts_by_axis(each, 400)[axis]
    h, w = part.size
    picture = volume.image_panel(each, 400)[part.top : part.top + h, part.left : part.left + w]
    bright = picture[:, :, 0] > 100
    assert bright[:, 0].argmax() == int(row * h)
    assert bright[0].argmax() == int(column * w)
    assert not bright[int(row * h), int(column * w)]  # the middle is open


def test_the_map_is_at_the_peak_only():
    each = numbered_slices(peak=(6, 12, 8))
    plain, drawn = volume.image_panel(each, 400), volume.map_panel(each, 400, RENDER)
    changed = (plain != drawn).any(axis=2)
    part = parts_by_axis(each, 400)[0]
    h, w = part.size
    rows, columns = np.nonzero(changed[part.top : part.top + h, part.left : part.left + w])
    assert abs(rows.mean() - 12.5 * h / 24) < 1.5
    assert abs(columns.mean() - 8.5 * w / 16) < 1.5


def test_a_zero_map_shows_the_middle():
    each = numbered_slices()
    zero = shown(each.pixels, np.zeros(each.heatmap.shape), "volume")
    assert corner(volume.image_panel(zero, 400), parts_by_axis(zero, 400)[0]) == [80] * 3  # slice 4 of 9
    assert volume.places_label(zero) == "slices through the middle: x = 8, y = 12, z = 4"


@pytest.mark.parametrize(
    ("shape", "spacing", "sizes"),
    [
        ((20, 40, 40), (1.0, 1.0, 1.0), {0: (2, 2), 1: (1, 2), 2: (2, 1)}),  # an angle: at the right, y is vertical
        ((10, 40, 40), (2.0, 1.0, 1.0), {0: (2, 2), 1: (1, 2), 2: (2, 1)}),  # millimeters, not voxels
        ((100, 40, 40), (), {0: (2, 2), 1: (5, 2), 2: (5, 2)}),  # a row: z is vertical
        ((300, 8, 8), (5.0, 0.7, 0.7), {0: (1, 1), 1: (6, 1), 2: (6, 1)}),  # not to scale
    ],
)
def test_sides_are_in_proportion(shape, spacing, sizes):
    parts = parts_by_axis(shown(np.zeros((*shape, 3), np.uint8), np.zeros(shape), "volume", spacing), 600)
    unit = parts[0].size[0] / sizes[0][0]
    for axis, expected in sizes.items():
        assert np.allclose(parts[axis].size, np.multiply(expected, unit), atol=6)


def test_captions_name_voxels_and_millimeters():
    each = numbered_slices(spacing=(5.0, 0.5, 0.5))
    assert volume.places_label(each) == "slices through the peak: x = 11 (5.5 mm), y = 5 (2.5 mm), z = 6 (30 mm)"
    figure = volume.figure(each, ["a.nii.gz"], BAR, RENDER)
    assert volume.places_label(each) in [text.get_text() for text in figure.texts]
    for axes in figure.axes[:2]:
        assert sorted(text.get_text() for text in axes.texts) == ["x = 11", "y = 5", "z = 6"]
    assert encode_figure(figure) == encode_figure(volume.figure(each, ["a.nii.gz"], BAR, RENDER))


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 512, 512), (300, 8, 8), (2, 3, 500)])
def test_panels_fit_their_side(shape):
    each = shown(np.zeros((*shape, 3), np.uint8), np.ones(shape), "volume", (5.0, 0.7, 0.7))
    plain, drawn = volume.image_panel(each, 300), volume.map_panel(each, 300, RENDER)
    assert plain.shape == drawn.shape
    assert 250 <= max(plain.shape) <= 300


@pytest.mark.parametrize(("axis", "count"), [(0, 9), (1, 24), (2, 16)])
def test_a_sheet_has_all_slices_of_an_axis(axis, count):
    assert len(VIEWS["volume"].sheet(numbered_slices(), 60, RENDER, axis)) == count


def test_a_sheet_is_thinned_out_evenly():
    """Of nine slices, three: the first, the middle and the last."""
    pictures = VIEWS["volume"].sheet(numbered_slices(), 60, RENDER, at_most=3)
    assert [picture[0, 0].tolist() for picture in pictures] == [[0] * 3, [80] * 3, [160] * 3]


def test_slices_outside_the_crop_are_hatched():
    """Slice 1 lies before the crop, slice 6 in it: only its rows before 10 are gray."""
    each = numbered_slices()
    cropped = shown(each.pixels, each.heatmap, "volume", box=Box(0, 10, 4, 16, 24, 8))
    whole = volume.slice_panel(cropped, 0, 1, 240, RENDER)
    part = volume.slice_panel(cropped, 0, 6, 240, RENDER)
    assert {*np.unique(whole)} == {10, 70}  # half of the gray 20, and stripes
    assert {*np.unique(part[:95])} == {60, 120}
    assert {*np.unique(part[105:])} == {120}
