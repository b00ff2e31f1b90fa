"""From a source to a decoded photo, or to the reason why there is none."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images import decode
from gradcam_cli.images.source import Source

if TYPE_CHECKING:
    pass

BYTES_PER_PIXEL, MAX_HEADER_BYTES = 16, 1 << 24
"""No file of an image takes more: four channels of 32 bits, and what stands beside them."""


class LoadedImage(NamedTuple):
    """A decoded image: (H, W, 3) uint8, with its name, the hash of its file and the seconds it took."""

    name: str
    pixels: np.ndarray
    sha256: str | None = None
    seconds: float = 0.0


def load_image(source: Source, max_pixels: int = decode.MAX_PIXELS) -> LoadedImage | Unexplained:
    """Read and decode one source; what is wrong with it becomes a Unexplained."""
    start = time.perf_counter()
    try:
        data = source.read(BYTES_PER_PIXEL * max_pixels + MAX_HEADER_BYTES)
        pixels = decode.decode(data, max_pixels)
    except InputError as error:
        return Unexplained(source.name, error.message, error.hint)
    except MemoryError:
        return Unexplained(source.name, "out of memory", "a smaller --max-pixels refuses such files at once")
    return LoadedImage(source.name, pixels, hashlib.sha256(data).hexdigest(), time.perf_counter() - start)


@dataclass(frozen=True)
class Unexplained:
    """An input that gave no map: it failed, or was skipped because its files were there already.

    Attributes:
        source: the input's name.
        error: what went wrong, or None where the input was skipped.
        hint: what to do about it, or None.
    """

    source: str
    error: str | None = None
    hint: str | None = None

    @property
    def status(self) -> str:
        """`failed` or `skipped`."""
        return "failed" if self.error else "skipped"
