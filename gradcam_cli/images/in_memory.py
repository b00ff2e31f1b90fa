"""Inputs of a Python program: paths, URLs, bytes, file objects, Pillow images, arrays and tensors."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from gradcam_cli.console import ANNOUNCE, Announcement
from gradcam_cli.errors import InputError
from gradcam_cli.images import decode
from gradcam_cli.images.array_inputs import to_input
from gradcam_cli.images.array_values import as_image_array, one_of_batch, to_pixels, white_of
from gradcam_cli.images.axes import arrange
from gradcam_cli.images.bands import to_bands, to_rgb
from gradcam_cli.images.discover import find_sources
from gradcam_cli.images.load import Failure, LoadedImage, load_image
from gradcam_cli.images.read_options import ReadOptions
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
    """Reads the inputs of a Python program for one model.

    Args:
        input_shape: (h, w, c) of the model, or (spatial axes..., c) of signals, volumes and films. For a model of
            images of 1 or 3 channels, arrays are pictures; for others, they are bands.
        options: how they are read; the rank is that of the model.
    """

    def __init__(self, input_shape: Sequence[int], options: ReadOptions = ReadOptions()) -> None:  # noqa: B008
        self.input_shape = tuple(input_shape)
        self._options = options._replace(rank=len(self.input_shape) - 1)
        self._is_picture = (
            self._options.rank == 2
            and self.input_shape[-1] in (1, 3)
            and options.rgb is None
            and options.window is None
        )
        self._white: int | None = None

    def read(self, image: Any, name: str = ARRAY_NAME) -> LoadedImage | Failure:
        """Read an input; one that cannot be read becomes a `Failure`.

        Args:
            image: see `EXPECTED`. An array is uint8, or float in 0..1 or 0..255: (H, W, 3), RGBA (H, W, 4), gray (H, W)
                or (H, W, 1), each also in a batch of one. Further float arrays are read in the range of the first one.
                For a model of other inputs, it is (T,), (T, c), (D, H, W) or (D, H, W, c) of any numbers.
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
        fixed = self._options.max_value is not None or self._white is not None
        if self._is_picture and batch.dtype.kind == "f" and not fixed:
            self._white = white_of(batch)

    def _read(self, image: Any, name: str) -> LoadedImage | Failure:
        if isinstance(image, (str, os.PathLike)):
            return load_image(self._source(os.fspath(image)), self._options)
        if isinstance(image, Image.Image):
            self._require_images(image)
            decoded = decode.decode_opened(image, self._options.max_value, self._options.rgb)
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

    def _source(self, path: str) -> Source:
        """Return a path as a source: a folder of slices or frames is one input of a model of volumes and films."""
        if self._options.rank == 3 and os.path.isdir(path):
            return next((each for each in find_sources([path], rank=3) if each.name == path), Source(path))
        return Source(path)

    def _read_file(self, file: Any, name: str) -> LoadedImage | Failure:
        data, file_name = file.read(), getattr(file, "name", None)
        if not isinstance(data, bytes):
            raise InputError(f"expected a binary file, got one of {type(data).__name__}", 'open it with the mode "rb"')
        return load_image(BytesSource(file_name if isinstance(file_name, str) else name, data=data), self._options)

    def _require_images(self, image: Image.Image) -> None:
        if self._options.rank != 2 or self._options.window is not None:
            raise InputError(f"expected a file or an array, got a Pillow image of {image.width}x{image.height}")

    def _read_array(self, array: np.ndarray, name: str) -> LoadedImage:
        options = self._options
        if options.rank != 2 or options.axes:
            num_axes = len(options.axes) if options.axes else options.rank + 1
            array, kind = arrange(one_of_batch(array, num_axes), options.axes, options.rank)
            if kind != "image":
                decoded = to_input(array, kind, options)
                return LoadedImage(name, decoded.pixels, bands=decoded.bands, space=decoded.space)
        array = as_image_array(array, None if options.rgb else self.input_shape[-1])
        if not self._is_picture:
            bands = to_bands(array, options.max_value, options.window)
            return LoadedImage(name, to_rgb(bands, options.rgb), bands=bands)
        self.fix_range(array)
        white = options.max_value or self._white
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
