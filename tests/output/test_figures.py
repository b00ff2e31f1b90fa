"""Colors, blending, hatching outside the crop, figures and grids."""

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import UsageError
from gradcam_cli.images.fit import Box
from gradcam_cli.output import figures

ALL = Box(0, 0, 40, 20)


def test_colors_equal_matplotlib():
    """0, 0.5 and 1 have the colors of matplotlib's colormap."""
    map_ = np.array([[0, 128 / 255, 1]])
    expected = np.round(matplotlib.colormaps["jet"]([0, 128, 255])[:, :3] * 255)
    np.testing.assert_array_equal(figures.render_heatmap(map_, Box(0, 0, 3, 1))[0], expected)


def test_blending_by_hand():
    """At opacity 0.25 a pixel is a quarter of the color and three quarters of the image."""
    image = np.full((20, 40, 3), 200, np.uint8)
    drawn = figures.overlay(image, np.ones((20, 40)), ALL, "gray", opacity=0.25)
    assert (drawn == 214).all()  # 0.75 * 200 + 0.25 * 255 = 213.75
    np.testing.assert_array_equal(figures.overlay(image, np.ones((20, 40)), ALL, "jet", opacity=0), image)


def test_opacity_follows_the_value_by_hand():
    """With opacity 0.8, the values 0, 0.5 and 1 have the opacities 0, 0.4 and 0.8."""
    image, values = np.full((1, 3, 3), 200, np.uint8), np.array([[0, 0.5, 1]])
    drawn = figures.transparent_overlay(image, values, Box(0, 0, 3, 1), "gray", opacity=0.8)
    assert drawn[0, :, 0].tolist() == [200, 171, 244]  # 0.6 * 200 + 0.4 * 128; 0.2 * 200 + 0.8 * 255


def test_pixels_outside_the_crop_are_gray():
    """Outside the crop all pixels are gray; inside they equal those without crop."""
    image = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    crop_box = Box(10, 0, 30, 20)
    drawn = figures.overlay(image, np.ones((20, 40)), crop_box)
    full = figures.overlay(image, np.ones((20, 40)), ALL)
    np.testing.assert_array_equal(drawn[:, 10:30], full[:, 10:30])
    outside = np.concatenate([drawn[:, :10], drawn[:, 30:]], 1)
    assert (outside == outside[..., :1]).all()


def test_unknown_colormap_is_refused():
    with pytest.raises(UsageError, match="--cmap rainbows"):
        figures.color_table("rainbows")


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (20, 900), (900, 20), (1, 1)])
def test_figure_shows_image_and_overlay(shape):
    """The image is on the left and the overlay on the right, for all aspect ratios."""
    image = np.full((*shape, 3), (250, 0, 0), np.uint8)
    overlaid = np.full((*shape, 3), (0, 0, 250), np.uint8)
    figure = figures.side_by_side_figure(image, overlaid, "281 tabby · p = 0.5 · block5_conv4 $x^2$", dpi=60)
    left, right = figure.axes
    assert (left.images[0].get_array() == (250, 0, 0)).all()
    assert (right.images[0].get_array() == (0, 0, 250)).all()
    assert "281 tabby" in " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    png = figures.encode_figure(figure)
    assert png == figures.encode_figure(figure)
    assert png.startswith(b"\x89PNG")


def test_title_fits_into_narrow_figures():
    """A long title is inside the figure."""
    image = np.zeros((900, 60, 3), np.uint8)
    figure = figures.side_by_side_figure(
        image, image, "652 military_uniform_of_a_long_name · p = 0.670 · backbone/block5_conv4", dpi=60
    )
    box = figure.texts[0].get_window_extent()
    width, height = figure.get_size_inches() * 60
    assert box.x0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_thumbnail_keeps_small_images():
    pixels = np.zeros((3, 4, 3), np.uint8)
    assert figures._thumbnail(pixels, 10).shape == (3, 4, 3)
    assert Image.fromarray(figures._thumbnail(np.zeros((30, 40, 3), np.uint8), 10)).size == (10, 8)


def test_grid_layout():
    """Cells are in row-major order: the image first, then its maps, with their labels."""
    colors = {"image": (200, 200, 200), "a": (255, 0, 0), "b": (0, 255, 0), "c": (0, 0, 255), "d": (255, 255, 0)}
    flat = {name: np.full((40, 40, 3), color, np.uint8) for name, color in colors.items()}
    rows = [
        [("cat", flat["image"]), ("one", flat["a"]), ("two", flat["b"])],
        [("dog", flat["image"]), ("one", flat["c"]), ("two", flat["d"])],
    ]
    figure = figures.grid_figure(rows, dpi=100)
    pixels = np.asarray(Image.open(io.BytesIO(figures.encode_figure(figure))).convert("RGB"))
    for i, names in enumerate((("image", "a", "b"), ("image", "c", "d"))):
        for j, name in enumerate(names):
            y, x = int(100 * (0.45 + 1.25 + i * 2.95)), int(100 * (0.1 + 1.25 + j * 2.6))
            assert tuple(pixels[y, x]) == colors[name], (i, j)
    assert [text.get_text() for text in figure.texts] == ["cat", "one", "two", "dog", "one", "two"]
