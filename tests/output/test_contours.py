"""Contour lines: their position, width and contrast."""

import numpy as np
import pytest

from gradcam_cli.images import memory
from gradcam_cli.images.box import Box
from gradcam_cli.output.colors import overlay
from gradcam_cli.output.contours import draw_contours
from gradcam_cli.output.render_options import RenderOptions


def lines(heatmap, *levels, gray=128):
    pixels = np.full((*heatmap.shape, 3), gray, np.uint8)
    draw_contours(pixels, heatmap.astype(np.float32), levels)
    return pixels


@pytest.mark.parametrize("level", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("axis", [0, 1])
def test_line_of_a_ramp(level, axis):
    """The middle of the white line lies where the ramp has the level, within half a pixel."""
    ramp = np.linspace(0, 1, 201)[:, None].repeat(80, axis=1)
    drawn = lines(ramp if axis == 0 else ramp.T, level)[..., 0]
    profile = (drawn if axis == 0 else drawn.T)[:, 40].astype(float)
    weight = np.clip(profile - 128, 0, None)
    assert weight.max() == 127  # white
    assert (weight * np.arange(201)).sum() / weight.sum() == pytest.approx(level * 200, abs=0.5)
    assert profile.min() == 0  # its edge is black


@pytest.mark.parametrize("radius", [20, 45])
def test_line_of_a_cone_is_a_circle(radius):
    """All white pixels lie on the circle of the level within a pixel and half of the line's width."""
    y, x = np.mgrid[-60:61, -60:61]
    distance = np.hypot(x, y)
    cone = np.clip(1 - distance / 60, 0, 1)
    white = lines(cone, 1 - radius / 60)[..., 0] > 250
    assert np.abs(distance[white] - radius).max() <= 1.75
    angles = np.arctan2(y[white], x[white])
    assert np.diff(np.sort(angles)).max() < 0.2  # the circle is closed


def test_line_of_a_step_follows_the_edge():
    """The line of a disc with an edge lies on the edge, within a pixel; inside and outside nothing changes."""
    y, x = np.mgrid[-60:61, -60:61]
    distance = np.hypot(x, y)
    drawn = lines((distance < 40).astype(float), 0.5)[..., 0]
    assert np.abs(distance[drawn > 250] - 40).max() <= 2.5
    assert (drawn[np.abs(distance - 40) > 4] == 128).all()


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_lines_have_contrast_on_any_background(gray):
    """A line has white and black pixels, whatever is below it."""
    drawn = lines(np.linspace(0, 1, 100)[None].repeat(20, axis=0), 0.5, gray=gray)[10, :, 0]
    assert drawn.max() == 255
    assert drawn.min() == 0


def test_flat_maps_and_single_pixels_have_no_line():
    for shape in ((20, 20), (1, 1), (1, 9), (9, 1)):
        assert (lines(np.zeros(shape), 0.5) == 128).all()
        assert (lines(np.ones(shape), 0.5) == 128).all()


def test_bands_of_rows_join(monkeypatch):
    """Bands of three rows change no pixel: the slopes at their borders use both neighbors."""
    y, x = np.mgrid[0:110, 0:50]
    wave = 0.5 + 0.5 * np.sin(x / 5) * np.cos(y / 7)
    whole = lines(wave, 0.6, 0.2)
    monkeypatch.setattr(memory, "BAND_PIXELS", 150)
    np.testing.assert_array_equal(lines(wave, 0.6, 0.2), whole)


def test_contours_are_levels_of_the_map_before_clipping():
    """The line of 0.5 lies at half of the maximum, although all values above 0.2 have the last color."""
    ramp = np.linspace(0, 1, 201, dtype=np.float32)[None].repeat(40, axis=0)
    image = np.zeros((40, 201, 3), np.uint8)
    drawn = overlay(image, ramp, Box(0, 0, 201, 40), RenderOptions(cmap="jet", contours=(0.5,)), 0.2)
    white = np.flatnonzero((drawn[20] == 255).all(axis=1))
    assert abs(white.mean() - 100) <= 0.5
