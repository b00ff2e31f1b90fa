"""Grids: the place of pictures and headings."""

import io
import itertools

import numpy as np
from PIL import Image

from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.figure_files import MAX_SIDE, encode_figure, figure_pixels
from gradcam_cli.output.grids import CELL_SIZE, Cell, GridRow, grid_figure
from gradcam_cli.output.render_options import RenderOptions

COLORS = {"image": (200, 200, 200), "a": (255, 0, 0), "b": (0, 255, 0), "c": (0, 0, 255), "d": (255, 255, 0)}
FLAT = {name: np.full((40, 40, 3), color, np.uint8) for name, color in COLORS.items()}
ROWS = [
    GridRow("cat", [Cell("image", FLAT["image"]), Cell("one", FLAT["a"], "max 1"), Cell("two", FLAT["b"])]),
    GridRow("dog", [Cell("image", FLAT["image"]), Cell("one", FLAT["c"], "max 2"), Cell("two", FLAT["d"])]),
]
BAR = ColorBar(1, 1, "each", RenderOptions(), end_label="max")


def texts(figure):
    return [text.get_text() for text in figure.texts]


def center(axes, dpi, pixels):
    x, y = axes.get_position().p0 + axes.get_position().size / 2
    return tuple(pixels[int((1 - y) * pixels.shape[0]), int(x * pixels.shape[1])])


def test_grid_layout():
    """Pictures are in row-major order, with increasing columns and rows; each heading is written once."""
    figure = grid_figure(ROWS, "cats and dogs", BAR, dpi=100)
    pixels = np.asarray(Image.open(io.BytesIO(encode_figure(figure))).convert("RGB"))
    *cells, bar = figure.axes
    assert [center(axes, 100, pixels) for axes in cells] == [COLORS[name] for name in ("image", *"ab", "image", *"cd")]
    lefts, bottoms = np.array([axes.get_position().p0 for axes in cells]).reshape(2, 3, 2).transpose(2, 0, 1)
    assert (np.diff(lefts, axis=1) > 0).all()
    assert (lefts[0] == lefts[1]).all()
    assert (bottoms[0] > bottoms[1]).all()
    assert sorted(texts(figure)) == sorted(["cats and dogs", "image", "one", "two", "cat", "dog", "max 1", "max 2"])
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "", "max"]


def test_cells_with_equal_headings_are_in_one_column():
    """A row without the first map leaves its column empty."""
    rows = [ROWS[0], GridRow("dog", [Cell("two", FLAT["d"])])]
    figure = grid_figure(rows)
    lefts = [axes.get_position().x0 for axes in figure.axes]
    assert lefts[2] == lefts[3]
    assert texts(figure).count("two") == 1


def test_long_headings_do_not_overlap():
    """Headings of columns are within their columns, those of rows left of the pictures, all within the figure."""
    long = "a_very_long_layer_name/with_parts/" * 3 + "\n" + "Donaudampfschifffahrtsgesellschaft" * 2
    cells = [[Cell(f"{i} {long}", FLAT["a"], "max " + "9" * 60) for i in range(3)] for _ in range(2)]
    figure = grid_figure([GridRow(f"{long}\n{i}", row) for i, row in enumerate(cells)], long, dpi=100)
    encode_figure(figure)
    width, height = figure.get_size_inches() * 100
    boxes = {text.get_text(): text.get_window_extent() for text in figure.texts}
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes.values())
    columns = [box for text, box in boxes.items() if text[:2] in ("0 ", "1 ", "2 ")]
    assert len(columns) == 3
    assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(columns))
    assert all("Donaud" in text for text in boxes if text[:2] in ("0 ", "1 ", "2 "))
    first = figure.axes[0].get_window_extent()
    rows = [box for text, box in boxes.items() if text.startswith("a_very") and box.x1 < first.x0]
    assert len(rows) == 2


def test_huge_grids_have_a_lower_resolution():
    """The limit of matplotlib is 65,535 pixels; 300 rows at 150 dots per inch would have 112,000."""
    tiny = np.zeros((2, 2, 3), np.uint8)
    figure = grid_figure([GridRow(str(i), [Cell("image", tiny)]) for i in range(300)], dpi=150)
    assert figure.get_size_inches()[1] * 150 > MAX_SIDE
    figure.set_size_inches(0.5, figure.get_size_inches()[1])  # the test needs no wide picture
    assert figure_pixels(figure).shape[0] <= MAX_SIDE


def test_cells_are_at_most_of_the_size_of_a_cell():
    large = np.zeros((1000, 1000, 3), np.uint8)
    figure = grid_figure([GridRow("a", [Cell("image", large)])], dpi=40)
    assert figure.axes[0].images[0].get_array().shape == (CELL_SIZE * 40, CELL_SIZE * 40, 3)
