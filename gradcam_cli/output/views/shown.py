"""What views draw: an input, its map, and how the values become colors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.images.space import IMAGE, Space


@dataclass(frozen=True)
class Shown:
    """An input and its map.

    Attributes:
        pixels: (H, W, 3) uint8 of an image, (D, H, W, 3) of a volume, (T, H, W, 3) of a film; of a signal, its values
            (T, k).
        heatmap: the map, in 0..1, with the spatial axes of the input.
        crop_box: the part of the input in the model input; the rest is drawn gray.
        space: the kind of the input, and the distances of its values.
        peak: (x, y, z) of the largest value of the map, (x,) of a signal; None for a zero map.
        limit: the value with the last color; see `colors.clip_limit`.
        with_cells: whether the cells of an enlarged map keep their edges.
        detection_box: a box that is drawn over the map of an image, or None.
    """

    pixels: np.ndarray
    heatmap: np.ndarray
    crop_box: Box
    space: Space = IMAGE
    peak: tuple[int, ...] | None = None
    limit: float = 1.0
    with_cells: bool = False
    detection_box: Box | None = None

    @property
    def place(self) -> tuple[int, ...]:
        """The place of the peak, in the order of the array's axes; the middle of the input for a zero map."""
        return self.peak[::-1] if self.peak else tuple(length // 2 for length in self.heatmap.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """The distance of two values along each axis; 0 where it is unknown."""
        return self.space.spacing or (0.0,) * self.heatmap.ndim

    def slice(self, axis: int, index: int) -> Shown:
        """Return one slice of a volume, or one frame of a film for axis 0, as an image.

        Its rows and columns are the other two axes in their order. A slice outside the crop has an empty crop box.
        """
        sides, spacing = list(self.crop_box.intervals), list(self.spacing)
        start, stop = sides.pop(axis)
        spacing.pop(axis)
        return Shown(
            np.take(self.pixels, index, axis),
            np.take(self.heatmap, index, axis),
            Box.of(sides) if start <= index < stop else Box(0, 0, 0, 0),
            Space(IMAGE.kind, tuple(spacing)),
            limit=self.limit,
            with_cells=self.with_cells,
        )

    def transposed(self) -> Shown:
        """Return a slice with its rows as columns."""
        return Shown(
            self.pixels.swapaxes(0, 1),
            self.heatmap.T,
            Box.of(self.crop_box.intervals[::-1]),
            Space(IMAGE.kind, self.spacing[::-1]),
            limit=self.limit,
            with_cells=self.with_cells,
        )
