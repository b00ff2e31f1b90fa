"""Pictures of inputs with their maps: a table of functions for each kind of input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import film, image, signal, volume
from gradcam_cli.output.views.labels import picture_numbers
from gradcam_cli.output.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["VIEWS", "Shown", "View"]


class View(NamedTuple):
    """The functions that draw a kind of input.

    Attributes:
        image_panel: (shown, side) -> the input in one picture, (h, w, 3) uint8 with a longer side of at most `side`.
        map_panel: (shown, side, render) -> the input with its map, in a picture of the same size.
        figure: (shown, heading, bar, render) -> a matplotlib figure.
        slice_panel: (shown, axis, number, side, render) -> one slice or frame with its map; None for kinds without.
    """

    image_panel: Callable[[Shown, int], np.ndarray]
    map_panel: Callable[[Shown, int, RenderOptions], np.ndarray]
    figure: Callable[[Shown, Sequence[str], ColorBar, RenderOptions], Figure]
    slice_panel: Callable[[Shown, int, int, int, RenderOptions], np.ndarray] | None = None

    def sheet(
        self, shown: Shown, side: int, render: RenderOptions, axis: int = 0, at_most: int = 64
    ) -> list[np.ndarray]:
        """Return the slices along an axis, or the frames, with their maps; the only picture of other kinds.

        Args:
            shown: the input and its map.
            side: longer side of a picture, at most.
            render: how maps are drawn.
            axis: of the array; 0 for the slices as they are stored, and for frames.
            at_most: number of pictures; more slices are thinned out evenly, to those of `labels.picture_numbers`.
        """
        if self.slice_panel is None:
            return [self.map_panel(shown, side, render)]
        numbers = picture_numbers(shown.heatmap.shape[axis], at_most)
        return [self.slice_panel(shown, axis, number, side, render) for number in numbers]


VIEWS = {
    "image": View(image.image_panel, image.map_panel, image.figure),
    "signal": View(signal.image_panel, signal.map_panel, signal.figure),
    "volume": View(volume.image_panel, volume.map_panel, volume.figure, volume.slice_panel),
    "film": View(film.image_panel, film.map_panel, film.figure, film.slice_panel),
}
"""How each kind of input is drawn; the keys are those of `images.space.RANKS`."""
