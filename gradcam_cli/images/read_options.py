"""How the files of inputs are read."""

from __future__ import annotations

from typing import NamedTuple

MAX_PIXELS = 89_478_485
"""Pillow's default limit against decompression bombs."""


class ReadOptions(NamedTuple):
    """How the files of inputs are read.

    Attributes:
        max_pixels: limit of the number of pixels, of the voxels of a volume, and of the pixels of all frames of a film.
        max_value: the value of white in 16-bit and float images; None: 65535, and 1 or 255.
        rgb: the bands to show, as for `bands.parse_rgb`; then the bands of all images are read.
        rank: number of spatial axes of the model input: 1 for signals, 2 for images, 3 for volumes and films.
        axes: the order of the axes of arrays and NIfTI files, such as `CHW`; None: by the rank.
        window: center and width of the values of a volume that are shown from black to white, and that reach the model
            as 0..255; None: they reach it as they are stored.
    """

    max_pixels: int = MAX_PIXELS
    max_value: int | None = None
    rgb: str | None = None
    rank: int = 2
    axes: str | None = None
    window: tuple[float, float] | None = None
