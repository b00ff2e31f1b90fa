"""A figure with a heading, whose axes are placed in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradcam_cli.output.text_fitting import fit_line, fit_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.08
"""Free border of a page, and the gap between its parts, in inches."""
NAME_SIZE, TEXT_SIZE = 11.0, 9.0
"""Sizes of the first line of a heading and of the others, in points."""
LINE_HEIGHT = 1.3 / 72
"""Height of a line of a size of one point, in inches."""


class Page:
    """A figure under construction: its heading is drawn, axes are added."""

    def __init__(self, width: float, height: float, heading: Sequence[str], dpi: int) -> None:
        """Draw the heading.

        Args:
            width: of the figure, in inches.
            height: of the part below the heading.
            heading: the name of the input, and what the map shows, a line each; longer lines are wrapped.
            dpi: dots per inch.
        """
        from gradcam_cli.output.notebook_figure import NotebookFigure

        name, *texts = heading
        lines = [(fit_line(name, width - 2 * GAP, NAME_SIZE), NAME_SIZE)]
        lines += [(line, TEXT_SIZE) for text in texts for line in fit_lines(text, width - 2 * GAP, TEXT_SIZE, 3)]
        self.width, self.height = width, height + 2 * GAP + sum(LINE_HEIGHT * size for _, size in lines)
        self.figure: Figure = NotebookFigure(figsize=(self.width, self.height), dpi=dpi)
        top = self.height - GAP
        for line, size in lines:
            self.figure.text(0.5, top / self.height, line, ha="center", va="top", fontsize=size, parse_math=False)
            top -= LINE_HEIGHT * size

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add axes at a place, in inches from the lower left corner."""
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)
