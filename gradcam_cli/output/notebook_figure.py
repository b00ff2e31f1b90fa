"""A figure that a notebook shows."""

from __future__ import annotations

from matplotlib.figure import Figure

from gradcam_cli.output.figure_files import encode_figure


class NotebookFigure(Figure):
    """A matplotlib figure that a notebook shows as the value of a cell, although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        return encode_figure(self)
