"""Images of a Python program: paths, URLs, bytes, file objects, Pillow images, arrays and tensors."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from gradcam_cli.console import ANNOUNCE, Announcement
from gradcam_cli.errors import InputError
from gradcam_cli.images import decode
from gradcam_cli.images.array_values import as_image_array, to_pixels, white_of
from gradcam_cli.images.bands import to_bands, to_rgb
from gradcam_cli.images.load import Failure, LoadedImage, load_image
from gradcam_cli.images.read_options import MAX_PIXELS, ReadOptions
from gradcam_cli.images.source import ARRAY_NAME, MAX_BYTES, Source

EXPECTED = "a path, a URL, bytes, a binary file, a Pillow image, an array or a tensor"


@dataclass(frozen=True)
class BytesSource(Source):
    """The bytes of an image file.

    Attributes:
        data: the bytes.
    """

    data: bytes = field(default=b"", compare=False, repr=False)

    @contextlib.contextmanager
    def open(self, max_bytes: int = MAX_BYTES) -> Iterator[BinaryIO]:
        """Open the bytes for random access."""
        yield io.BytesIO(self.data)


class ImageReader:
    """Reads the images of a Python program for one model.

    Args:
        channels: of the model input. For a model of 1 or 3 channels, arrays are pictures; for others, they are bands.
        max_pixels, max_value, rgb: as for `load_image`.
    """

    def __init__(
        self,
        channels: int,
        max_pixels: int = MAX_PIXELS,
        max_value: int | None = None,
        rgb: str | None = None,
    ) -> None:
        self._options = ReadOptions(max_pixels, max_value, rgb)
        self._channels, self._max_value, self._rgb = channels, max_value, rgb
        self._white: int | None = None

    def read(self, image: Any, name: str = ARRAY_NAME) -> LoadedImage | Failure:
        """Read an image; one that cannot be read becomes a `Failure`.

        Args:
            image: see `EXPECTED`. An array is uint8, or float in 0..1 or 0..255: (H, W, 3), RGBA (H, W, 4), gray (H, W)
                or (H, W, 1), each also in a batch of one. Further float arrays are read in the range of the first one.
            name: of an image that is neither a path nor a named file.
        """
        try:
            return self._read(image, name)
        except InputError as error:
            return Failure(name, error.message, error.hint)

    def fix_range(self, batch: np.ndarray) -> None:
        """Choose the range of float arrays by a batch, if it is not chosen.

        Raises:
            InputError: the range is ambiguous.
        """
        if batch.dtype.kind == "f" and self._max_value is None and self._white is None:
            self._white = white_of(batch)

    def _read(self, image: Any, name: str) -> LoadedImage | Failure:
        if isinstance(image, (str, os.PathLike)):
            return load_image(Source(os.fspath(image)), self._options)
        if isinstance(image, Image.Image):
            decoded = decode.decode_opened(image, self._max_value, self._rgb)
            file = getattr(image, "filename", None)
            name = file if isinstance(file, str) and file else name
            return LoadedImage(name, decoded.pixels, note=_note(name, decoded.note), bands=decoded.bands)
        if isinstance(image, (bytes, bytearray, memoryview)):
            return load_image(BytesSource(name, data=bytes(image)), self._options)
        if hasattr(image, "read"):
            return self._read_file(image, name)
        if isinstance(image, np.ndarray) or hasattr(image, "__array__"):
            return self._read_array(to_array(image), name)
        hint = "give the image alone, without its label" if isinstance(image, (tuple, Mapping)) else None
        hint = "explain_many explains several images" if isinstance(image, list) else hint
        raise InputError(f"expected {EXPECTED}, got {type(image).__name__}", hint)

    def _read_file(self, file: Any, name: str) -> LoadedImage | Failure:
        data, file_name = file.read(), getattr(file, "name", None)
        if not isinstance(data, bytes):
            raise InputError(f"expected a binary file, got one of {type(data).__name__}", 'open it with the mode "rb"')
        return load_image(BytesSource(file_name if isinstance(file_name, str) else name, data=data), self._options)

    def _read_array(self, array: np.ndarray, name: str) -> LoadedImage:
        is_picture = self._rgb is None and self._channels in (1, 3)
        array = as_image_array(array, None if self._rgb else self._channels)
        if not is_picture:
            bands = to_bands(array, self._max_value)
            return LoadedImage(name, to_rgb(bands, self._rgb), bands=bands)
        self.fix_range(array)
        white = self._max_value or self._white
        pixels = to_pixels(array, white)
        if pixels.shape[2] == 4:
            pixels = decode.decode_opened(Image.fromarray(pixels)).pixels
        elif pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        note = f"{array.dtype} values were read as 0 (black) to {white} (white)" if array.dtype != np.uint8 else None
        return LoadedImage(name, pixels, note=_note(name, note))


def to_array(image: Any) -> np.ndarray:
    """Return the values of an array or of a tensor of any framework.

    Raises:
        InputError: the tensor has no values, or is on a device that NumPy does not read.
    """
    try:
        array = np.asarray(image)
    except Exception as error:  # the conversion of a symbolic tensor raises many types
        raise InputError(f"expected a tensor with values, got {type(image).__name__}: {error}") from error
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _note(name: str, note: str | None) -> Announcement | None:
    return Announcement(ANNOUNCE, f"{name}: {note}") if note else None
