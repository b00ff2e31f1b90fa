"""Reading and decoding of one image source."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images import decode
from gradcam_cli.images.source import Source

BYTES_PER_PIXEL, MAX_HEADER_BYTES = 16, 1 << 24
"""Upper limits of an image file's size: four channels of 32 bits, and its headers."""


class LoadedImage(NamedTuple):
    """A decoded image.

    Attributes:
        name: path or URL, or `-` for standard input.
        pixels: (H, W, 3) uint8 RGB.
        sha256: hash of the file, or None for pixels that come from an array.
        seconds: time to read and decode it.
    """

    name: str
    pixels: np.ndarray
    sha256: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Failure:
    """An input that could not be explained.

    Attributes:
        source: the input's name.
        error: the reason.
        hint: how to fix it, or None.
    """

    source: str
    error: str
    hint: str | None = None
    status = "failed"


@dataclass(frozen=True)
class Skipped:
    """An input that was skipped because its output files exist."""

    source: str
    error: None = None
    hint: None = None
    status = "skipped"


Unexplained = Failure | Skipped
"""An input without a map."""


def load_image(source: Source, max_pixels: int = decode.MAX_PIXELS) -> LoadedImage | Failure:
    """Read and decode one source; an image that cannot be read becomes a `Failure`."""
    start = time.perf_counter()
    try:
        data = source.read(BYTES_PER_PIXEL * max_pixels + MAX_HEADER_BYTES)
        pixels = decode.decode(data, max_pixels)
    except InputError as error:
        return Failure(source.name, error.message, error.hint)
    except MemoryError:
        return Failure(source.name, "out of memory", "reduce --max-pixels to reject such files")
    return LoadedImage(source.name, pixels, hashlib.sha256(data).hexdigest(), time.perf_counter() - start)
