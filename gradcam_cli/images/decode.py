"""Decoding of image files to uint8 RGB, with limits against malformed files."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gradcam_cli.errors import InputError
from gradcam_cli.images import band_files, bit_depth, heif
from gradcam_cli.images.array_files import START_BYTES, is_array
from gradcam_cli.images.band_files import is_tiff
from gradcam_cli.images.bands import to_bands, to_rgb
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.encode import FORMATS
from gradcam_cli.images.memory import bands
from gradcam_cli.images.read_options import MAX_PIXELS, ReadOptions
from gradcam_cli.images.structure import check_structure

DECODED_BYTES_PER_PIXEL, WIDE_BYTES_PER_PIXEL = 12, 20
"""Memory to decode an image: Pillow's pixels, a decoder's buffers and the array; with transparency or wide numbers."""

SAMPLES_PER_PIXEL = 277
"""Tag of a TIFF file."""
for _reader in ("PIL.TiffImagePlugin", "tifffile"):
    logging.getLogger(_reader).setLevel(logging.CRITICAL + 1)  # what they log, they also raise
MODES_OF_BANDS = ("RGBA", "LA", "CMYK")
"""Pillow's modes of images with two or four bands of 8 bits."""


def decode(
    data: bytes, max_pixels: int = MAX_PIXELS, max_value: int | None = None, rgb: str | None = None
) -> np.ndarray:
    """Decode an image file to the RGB pixels that an image viewer shows.

    The EXIF orientation is applied, transparent pixels are composited on white, 16-bit and float
    images are converted to 8 bits, and the first frame of an animation is used. Of an image of other
    bands, three are shown.

    Args:
        data: the bytes of the file.
        max_pixels: limit of the number of pixels.
        max_value: the value of white in 16-bit and float images; None: 65535, and 1 or 255.
        rgb: the bands to show, as for `bands.parse_rgb`; then the bands of all images are read.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is empty, not an image, damaged, larger than `max_pixels`, has too many parts, or has
            values above `max_value`.
    """
    return decode_all(data, ReadOptions(max_pixels, max_value, rgb)).pixels


def decode_all(data: bytes, options: ReadOptions = ReadOptions()) -> Decoded:  # noqa: B008
    """Decode an image file as `decode`, with its bands, and a note if its values use fewer than 16 bits.

    Raises:
        InputError: as `decode`; a picture is to be read with a window of values.
    """
    if not data:
        raise InputError("the file is empty")
    with one_line_errors():
        file = io.BytesIO(data)
        if _has_bands(file, options.rgb):
            bands = band_files.read_bands(data, options)
            return Decoded(to_rgb(bands, options.rgb), bands=bands)
        if options.window is not None:
            raise InputError("--window is for arrays and volumes, and this is a picture", "--max-value gives its white")
        return _decode_picture(data, _open_image(file, options.max_pixels), options.max_value, options.rgb)


def decode_opened(image: Image.Image, max_value: int | None = None, rgb: str | None = None) -> Decoded:
    """Return the pixels of a Pillow image, which stays as it is, like those of its file; see `decode`."""
    with one_line_errors():
        return _decode_picture(b"", image.copy(), max_value, rgb)


def _decode_picture(data: bytes, image: Image.Image, max_value: int | None, rgb: str | None) -> Decoded:
    """Return the pixels of an open image; with `rgb`, also its values as they are stored."""
    note, shown = None, image
    if bit_depth.has_wide_colors(image):
        decoded = _decode_wide_colors(image, data, max_value)
    else:
        image.load()
        _apply_orientation(image)
        if image.mode.startswith("I") or image.mode == "F":
            shown, note = _to_uint8(image, max_value)
        decoded = Decoded(_to_array(_as_rgb(shown)), note)
    if rgb is None:
        return decoded
    stored = np.asarray(image) if image.mode in MODES_OF_BANDS else decoded.pixels
    bands = to_bands(stored, None)
    return Decoded(to_rgb(bands, rgb), decoded.note, bands)


def _has_bands(file: BinaryIO, rgb: str | None) -> bool:
    """Return whether a file is an array, or a TIFF file that is no picture or is to be read as bands."""
    start = file.read(START_BYTES)
    file.seek(0)
    if not is_tiff(start) or rgb is not None:
        return is_array(start) or is_tiff(start)
    try:
        image = Image.open(file, formats=("TIFF",))
        samples: int = image.tag_v2.get(SAMPLES_PER_PIXEL, 1)  # type: ignore[attr-defined]
        return samples != len(image.getbands())  # of bands in planes, Pillow opens the first
    except UnidentifiedImageError:
        return True
    except Image.DecompressionBombError:  # a picture; opening it says how large it is
        return False
    finally:
        file.seek(0)


def _decode_wide_colors(image: Image.Image, data: bytes, max_value: int | None) -> Decoded:
    if max_value is None:
        image.load()
        note = bit_depth.few_bits_note(bit_depth.largest_wide_value(image))
        _apply_orientation(image)
        return Decoded(_to_array(_as_rgb(image)), note)
    low = _open_image(io.BytesIO(data), image.width * image.height)
    bit_depth.select_low_bytes(low)
    for part in (image, low):
        part.load()
        _apply_orientation(part)
    return Decoded(_to_array(_as_rgb(bit_depth.combine(image, low, max_value))), None)


def memory_to_decode(file: BinaryIO, options: ReadOptions = ReadOptions()) -> int:  # noqa: B008
    """Return the bytes that `decode_all` takes at most, from the size and the header of a file.

    Args:
        file: open at its beginning; it is left there.
        options: as for `decode_all`.

    Raises:
        InputError: as `decode`, if the header shows it.
    """
    with one_line_errors():
        num_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        if not num_bytes:
            raise InputError("the file is empty")
        if _has_bands(file, options.rgb):
            return band_files.memory_to_read(file, options)
        image = _open_image(file, options.max_pixels)
        file.seek(0)
        wide = image.mode[0] in "IF" or image.has_transparency_data or bit_depth.has_wide_colors(image)
        wide = wide or image.format == heif.FORMAT
        per_pixel = WIDE_BYTES_PER_PIXEL if wide else DECODED_BYTES_PER_PIXEL
        per_pixel += 4 * band_files.BYTES_PER_VALUE if options.rgb else 0
        return num_bytes + image.width * image.height * per_pixel


@contextlib.contextmanager
def one_line_errors(what: str = "image") -> Iterator[None]:
    """Turn what decoders raise for a damaged image or file, which is almost anything, into `InputError`."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise InputError("not an image: unknown format") from error
    except Exception as error:  # on malformed files Pillow's readers raise many types
        text = " ".join(str(error).split())  # libheif ends its messages with a newline
        raise InputError(f"damaged {what}: {text or type(error).__name__}") from error


def _open_image(file: BinaryIO, max_pixels: int) -> Image.Image:
    """Read the header of an image file and check its size."""
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels  # the caller raised the limit
    check_structure(file)
    formats = heif.formats(file) or _supported_formats()
    try:
        image = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise InputError(f"too large: {error}", "raise --max-pixels if you trust the file") from error
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise InputError(
            f"too large: expected at most {max_pixels:,} pixels, got {image.width}x{image.height} = {pixels:,}",
            "raise --max-pixels if you trust the file",
        )
    return image


@cache
def _supported_formats() -> tuple[str, ...]:
    """Return the formats in `FORMATS` that the installed Pillow supports."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _apply_orientation(image: Image.Image) -> None:
    with contextlib.suppress(Exception):  # damaged EXIF data, valid pixels
        ImageOps.exif_transpose(image, in_place=True)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_array(image: Image.Image) -> np.ndarray:
    """Copy an RGB image to an array in bands, since `np.asarray` copies all pixels twice."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in bands(pixels.shape):
        pixels[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return pixels


def _to_uint8(image: Image.Image, max_value: int | None) -> tuple[Image.Image, str | None]:
    """Convert an integer (0..65535) or float (0..1 or 0..255) image to 8 bits, and note if it uses fewer bits.

    Raises:
        InputError: a value is outside the range or not finite.
    """
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():  # a NaN is both the minimum and the maximum
        raise InputError("expected finite pixel values, got NaN or infinity")
    limit = max_value or (65535 if image.mode != "F" else 1 if high <= 1 else 255)
    if low < 0 or high > limit:
        hint = bit_depth.RAISE_HINT if low >= 0 else None
        raise InputError(f"expected pixel values in 0..{limit}, got {low:g}..{high:g}", hint)
    converted = np.empty(values.shape, np.uint8)
    for rows in bands(values.shape):
        converted[rows] = bit_depth.scale_values(values[rows], limit)
    note = None if max_value or image.mode == "F" else bit_depth.few_bits_note(int(high))
    return Image.fromarray(converted), note
