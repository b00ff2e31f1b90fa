"""Grids of pictures with a heading for each column and each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.figures import COLOR_BAR_MARGIN, COLOR_BAR_WIDTH, thumbnail
from gradcam_cli.output.page import LINE_HEIGHT
from gradcam_cli.output.text_fitting import fit_line, fit_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL_SIZE = 2.5
"""Longer side of a cell of a grid, in inches."""
MIN_CELL_WIDTH, MIN_CELL_HEIGHT, GAP = 1.4, 0.9, 0.1
ROW_HEADING_WIDTH = 1.4
TITLE_SIZE, TEXT_SIZE, CAPTION_SIZE = 10.0, 8.0, 7.0
"""Sizes of text, in points."""


class Cell(NamedTuple):
    """A picture of a grid.

    Attributes:
        column: heading of its column; cells with equal headings are in one column.
        pixels: (H, W, 3) uint8.
        caption: a line below the picture.
    """

    column: str
    pixels: np.ndarray
    caption: str = ""


class GridRow(NamedTuple):
    """A row of a grid: its heading, and its cells."""

    heading: str
    cells: Sequence[Cell]


def grid_figure(rows: Sequence[GridRow], title: str = "", bar: ColorBar | None = None, dpi: int = 150) -> Figure:
    """Draw a grid. Each heading is written once: above its column, and at the left of its row.

    Args:
        rows: the rows; columns are in the order of their first cells.
        title: a line above the grid.
        bar: the color bar of all cells, or None.
        dpi: dots per inch; the longer side of a cell is 2.5 inches.
    """
    from gradcam_cli.output.notebook_figure import NotebookFigure

    columns = list(dict.fromkeys(cell.column for row in rows for cell in row.cells))
    shapes = [cell.pixels.shape[:2] for row in rows for cell in row.cells]
    width = max(CELL_SIZE * max(min(1, W / H) for H, W in shapes), MIN_CELL_WIDTH)
    heights = [max(CELL_SIZE * max(min(1, _aspect(cell)) for cell in row.cells), MIN_CELL_HEIGHT) for row in rows]
    captions = [LINE_HEIGHT * CAPTION_SIZE if any(cell.caption for cell in row.cells) else 0 for row in rows]
    headings = ["\n".join(_heading_lines(column, width)) for column in columns]
    title_height = LINE_HEIGHT * TITLE_SIZE + GAP if title else 0
    head = title_height + LINE_HEIGHT * TEXT_SIZE * max(heading.count("\n") + 1 for heading in headings)
    left = GAP + ROW_HEADING_WIDTH + GAP
    right = COLOR_BAR_MARGIN if bar else GAP
    total = np.array(
        [left + len(columns) * (width + GAP) + right, 2 * GAP + head + sum(heights) + sum(captions) + len(rows) * GAP]
    )
    figure = NotebookFigure(figsize=tuple(total), dpi=dpi)

    def write(text: str, x: float, y: float, size: float, ha: str = "center", va: str = "bottom") -> None:
        figure.text(x / total[0], y / total[1], text, ha=ha, va=va, fontsize=size, parse_math=False)

    top = total[1] - GAP
    if title:
        write(fit_line(title, total[0] - 2 * GAP, TITLE_SIZE), total[0] / 2, top, TITLE_SIZE, va="top")
    top -= head
    for j, heading in enumerate(headings):
        write(heading, left + j * (width + GAP) + width / 2, top + 0.03, TEXT_SIZE)
    for row, height, caption in zip(rows, heights, captions, strict=True):
        bottom = top - height
        lines = _heading_lines(row.heading, ROW_HEADING_WIDTH, max(int(height / (LINE_HEIGHT * TEXT_SIZE)), 1))
        write("\n".join(lines), GAP, bottom + height / 2, TEXT_SIZE, ha="left", va="center")
        for cell in row.cells:
            x = left + columns.index(cell.column) * (width + GAP)
            axes = figure.add_axes((x / total[0], bottom / total[1], width / total[0], height / total[1]))
            axes.imshow(thumbnail(cell.pixels, int(CELL_SIZE * dpi)))
            axes.axis("off")
            if cell.caption:
                write(fit_line(cell.caption, width, CAPTION_SIZE), x + width / 2, bottom - 0.02, CAPTION_SIZE, va="top")
        top = bottom - caption - GAP
    if bar:
        height = min(heights[0], CELL_SIZE)
        box = (total[0] - right + GAP, total[1] - GAP - head - height, COLOR_BAR_WIDTH, height)
        draw_color_bar(figure.add_axes(tuple(np.array(box) / np.tile(total, 2))), bar)
    return figure


def _heading_lines(heading: str, width: float, max_lines: int = 6) -> list[str]:
    """Return the wrapped lines of a heading, at most `max_lines`."""
    lines = [line for text in heading.split("\n") for line in fit_lines(text, width, TEXT_SIZE, 3)]
    return lines[:max_lines]


def _aspect(cell: Cell) -> float:
    """Return the height of a picture divided by its width."""
    return float(cell.pixels.shape[0] / cell.pixels.shape[1])
