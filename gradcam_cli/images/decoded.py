"""An input after its file was decoded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradcam_cli.images.bands import Bands
from gradcam_cli.images.space import IMAGE, Space


class Decoded(NamedTuple):
    """A decoded input.

    Attributes:
        pixels: what people see: (H, W, 3) uint8 RGB of an image, (D, H, W, 3) of a volume, (T, H, W, 3) of a film; of a
            signal, its values (T, k) float32.
        note: what is unusual about its values, or None.
        bands: the values of all bands, (H, W, k), (T, k) or (D, H, W, k), if they are no colors; otherwise None.
        space: the kind of the input, and the places of its values.
    """

    pixels: np.ndarray
    note: str | None = None
    bands: Bands | None = None
    space: Space = IMAGE

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        bands = self.bands.values.nbytes if self.bands and self.bands.values is not self.pixels else 0
        return self.pixels.nbytes + bands
