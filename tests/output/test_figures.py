"""What is drawn: colours, blending, unseen parts, and the figure."""

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import UsageError
from gradcam_cli.images.fit import Box
from gradcam_cli.output import figures

ALL = Box(0, 0, 40, 20)


def test_colours_are_matplotlibs():
    """The ends and the middle of a map have the colours that matplotlib gives 0, 0.5 and 1."""
    map_ = np.array([[0, 128 / 255, 1]])
    expected = np.round(matplotlib.colormaps["jet"]([0, 128, 255])[:, :3] * 255)
    np.testing.assert_array_equal(figures.render_heatmap(map_, Box(0, 0, 3, 1))[0], expected)


def test_blending_by_hand():
    """A quarter of the map's colour and three quarters of the photo."""
    photo = np.full((20, 40, 3), 200, np.uint8)
    drawn = figures.overlay(photo, np.ones((20, 40)), ALL, "gray", opacity=0.25)
    assert (drawn == 214).all()  # 0.75 * 200 + 0.25 * 255 = 213.75
    np.testing.assert_array_equal(figures.overlay(photo, np.ones((20, 40)), ALL, "jet", opacity=0), photo)


def test_unseen_parts_are_gray():
    """Outside a crop nothing is coloured, as if the map were zero there; inside nothing is lost."""
    photo = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    view = Box(10, 0, 30, 20)
    drawn = figures.overlay(photo, np.ones((20, 40)), view)
    full = figures.overlay(photo, np.ones((20, 40)), ALL)
    np.testing.assert_array_equal(drawn[:, 10:30], full[:, 10:30])
    unseen = np.concatenate([drawn[:, :10], drawn[:, 30:]], 1)
    assert (unseen == unseen[..., :1]).all()


def test_unknown_colour_map():
    with pytest.raises(UsageError, match="--cmap rainbows"):
        figures.color_table("rainbows")


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (20, 900), (900, 20), (1, 1)])
def test_figure_shows_photo_and_overlay(shape):
    """Left the photo, right the overlay, at their own aspect, whatever that is."""
    photo = np.full((*shape, 3), (250, 0, 0), np.uint8)
    overlaid = np.full((*shape, 3), (0, 0, 250), np.uint8)
    drawing = figures.side_by_side_figure(photo, overlaid, "281 tabby · p = 0.5 · block5_conv4 $x^2$", dpi=60)
    left, right = drawing.axes
    assert (left.images[0].get_array() == (250, 0, 0)).all()
    assert (right.images[0].get_array() == (0, 0, 250)).all()
    assert "281 tabby" in " ".join(text.get_text().replace("\n", " ") for text in drawing.texts)
    png = figures.encode_figure(drawing)
    assert png == figures.encode_figure(drawing)
    assert png.startswith(b"\x89PNG")


def test_title_fits_into_narrow_figures():
    """No letter of a long title is cut off at the sides."""
    photo = np.zeros((900, 60, 3), np.uint8)
    drawing = figures.side_by_side_figure(
        photo, photo, "652 military_uniform_of_a_long_name · p = 0.670 · backbone/block5_conv4", dpi=60
    )
    box = drawing.texts[0].get_window_extent()
    width, height = drawing.get_size_inches() * 60
    assert box.x0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_shrinking_keeps_small_pictures():
    pixels = np.zeros((3, 4, 3), np.uint8)
    assert figures._thumbnail(pixels, 10).shape == (3, 4, 3)
    assert Image.fromarray(figures._thumbnail(np.zeros((30, 40, 3), np.uint8), 10)).size == (10, 8)


def test_a_sheet_shows_each_map_in_its_place():
    """Row by row and column by column: the photo in front, then the pictures, each in a cell of its own."""
    colours = {"photo": (200, 200, 200), "a": (255, 0, 0), "b": (0, 255, 0), "c": (0, 0, 255), "d": (255, 255, 0)}
    flat = {name: np.full((40, 40, 3), colour, np.uint8) for name, colour in colours.items()}
    rows = [
        [("cat", flat["photo"]), ("one", flat["a"]), ("two", flat["b"])],
        [("dog", flat["photo"]), ("one", flat["c"]), ("two", flat["d"])],
    ]
    drawing = figures.grid_figure(rows, dpi=100)
    picture = np.asarray(Image.open(io.BytesIO(figures.encode_figure(drawing))).convert("RGB"))
    for i, names in enumerate((("photo", "a", "b"), ("photo", "c", "d"))):
        for j, name in enumerate(names):
            y, x = int(100 * (0.45 + 1.25 + i * 2.95)), int(100 * (0.1 + 1.25 + j * 2.6))
            assert tuple(picture[y, x]) == colours[name], (i, j)
    assert [text.get_text() for text in drawing.texts] == ["cat", "one", "two", "dog", "one", "two"]
