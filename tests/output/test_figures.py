"""Figures of a map: panels, heading and color bar."""

import itertools

import numpy as np
import pytest

from gradcam_cli.images.box import Box
from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.figures import side_by_side_figure, thumbnail
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.scaling import panel_size, scale_box, scale_image, scale_map

HEADING = ["cat.png", "281 tabby · p = 0.5", "gradcam · block5_conv4 14x14 $x^2$ · vgg19"]
BAR = ColorBar(2.5, 2.5, "gradcam (logit)", RenderOptions(cmap="gray", opacity=0.5))


def text_of(figure):
    return " ".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (20, 900), (900, 20), (1, 1)])
def test_figure_shows_image_and_overlay(shape):
    """The image is on the left and the overlay on the right, for all aspect ratios."""
    image = np.full((*shape, 3), (250, 0, 0), np.uint8)
    overlaid = np.full((*shape, 3), (0, 0, 250), np.uint8)
    figure = side_by_side_figure(image, overlaid, HEADING, BAR, dpi=60)
    left, right, _ = figure.axes
    assert (left.images[0].get_array() == (250, 0, 0)).all()
    assert (right.images[0].get_array() == (0, 0, 250)).all()
    for words in ("cat.png", "281 tabby", "p = 0.5", "gradcam", "block5_conv4 14x14", "vgg19"):
        assert words in text_of(figure)
    png = encode_figure(figure)
    assert png == encode_figure(figure)
    assert png.startswith(b"\x89PNG")


def test_heading_fits_into_narrow_figures():
    """Long names are inside the figure, and do not touch each other or the panels."""
    image = np.zeros((900, 60, 3), np.uint8)
    heading = ["a_long_name" * 20 + ".png", "652 military uniform of a long name " * 3, "gradcam · " + "block/" * 40]
    figure = side_by_side_figure(image, image, heading, BAR, dpi=100)
    encode_figure(figure)
    boxes = [text.get_window_extent() for text in figure.texts]
    width, height = figure.get_size_inches() * 100
    assert all(box.x0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert all(upper.y0 >= lower.y1 - 2 for upper, lower in itertools.pairwise(boxes))
    assert boxes[-1].y0 >= figure.axes[0].get_window_extent().y1


def test_color_bar_goes_from_zero_to_the_maximum():
    """Labels are 0, half and the maximum; the colors are those over black and over white."""
    image = np.zeros((30, 40, 3), np.uint8)
    axes = side_by_side_figure(image, image, HEADING, BAR).axes[-1]
    assert axes.get_ylim() == (0, 2.5)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1.25", "2.5"]
    assert axes.get_ylabel() == "gradcam (logit)"
    colors = axes.images[0].get_array()
    assert colors[0, :, 0].tolist() == [128, 255]  # 0.5 * 255 over black, 0.5 * 255 + 0.5 * 255 over white
    assert colors[-1, :, 0].tolist() == [0, 255]  # zero is invisible


def test_color_bar_of_a_clipped_map():
    """From the limit on, the color is the last one; the limit has a label. Lines are at levels of the maximum."""
    image = np.zeros((30, 40, 3), np.uint8)
    bar = BAR._replace(limit=0.5, options=RenderOptions(cmap="gray", opacity=1, contours=(0.5, 0.9)))
    axes = side_by_side_figure(image, image, HEADING, bar).axes[-1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.5", "2.5"]
    column = axes.images[0].get_array()[:, 0, 0][::-1]  # over black, from 0 up
    assert (column[52:] == 255).all()  # 0.5 / 2.5 = 51 / 255
    # a value v is the gray v / 0.5 with the opacity v / 0.5
    assert column[26] == pytest.approx(255 * (26 / 51) ** 2, abs=2)
    assert sorted({float(line.get_ydata()[0]) for line in axes.lines}) == [1.25, 2.25]


def test_zero_maps_have_no_color_bar():
    image = np.zeros((30, 40, 3), np.uint8)
    assert len(side_by_side_figure(image, image, HEADING, BAR._replace(end=0.0)).axes) == 2


def test_thumbnail_keeps_small_images():
    assert thumbnail(np.zeros((3, 4, 3), np.uint8), 10).shape == (3, 4, 3)
    assert thumbnail(np.zeros((30, 40, 3), np.uint8), 10).shape == (8, 10, 3)


def test_panels_enlarge_small_images_by_whole_numbers():
    """32x20 pixels in a panel of 100 are repeated three times; large images are shrunk to it."""
    assert panel_size((20, 32, 3), 100) == (60, 96)
    assert panel_size((200, 400, 3), 100) == (50, 100)
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    np.testing.assert_array_equal(scale_image(image, (4, 6)), image.repeat(2, axis=0).repeat(2, axis=1))
    assert scale_box(Box(1, 0, 2, 1), image.shape, (4, 6, 3)) == (2, 0, 4, 2)


def test_enlarged_maps_are_smooth_or_keep_their_cells():
    heatmap = np.array([[0, 1]], np.float32)
    np.testing.assert_array_equal(scale_map(heatmap, (1, 4), with_cells=True), [[0, 0, 1, 1]])
    np.testing.assert_allclose(scale_map(heatmap, (1, 4)), [[0, 0.25, 0.75, 1]])
