"""Films: animated GIF, WebP and PNG files, videos, and folders of frames."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from gradcam_cli.errors import InputError
from gradcam_cli.images.bands import Bands
from gradcam_cli.images.damage import input_errors, naming
from gradcam_cli.images.decode import decode_all, decode_opened
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space
from gradcam_cli.images.structure import check_structure
from gradcam_cli.images.videos import demuxer_of, read_video
from gradcam_cli.images.volume_values import check_size

ANIMATIONS = ("GIF", "WEBP", "PNG")
"""Pillow's names of the formats of animated images."""
MAX_FRAMES = 100_000
"""Frames of a film: 55 minutes at 30 frames per second. A file of some megabytes can declare millions of empty ones."""
SINGLE_FRAME = "a single frame: the model sees it as a film in which nothing moves"
"""A note: it may be a photo that was given by mistake."""


def read_film(data: bytes, options: ReadOptions) -> Decoded:
    """Read an animated GIF, WebP or PNG file, or a video (MP4, MOV, AVI, MKV, WebM).

    Transparent pixels are composited on white, as those of photos. Sound is left out.

    Args:
        data: the bytes of the file.
        options: the limit of its size.

    Returns:
        The frames (T, H, W, 3). The spacing is (seconds between frames, 0, 0), or empty if frames have no duration or
        different ones.

    Raises:
        InputError: the file is damaged, truncated, too large, no film, or a video and the package av is missing.
    """
    if not data:
        raise InputError("the file is empty")
    if demuxer := demuxer_of(data):
        decoded = read_video(data, demuxer, options.max_pixels, MAX_FRAMES)
    else:
        with input_errors("animation"):
            decoded = _read_animation(data, options)
    return decoded if len(decoded.pixels) > 1 else decoded._replace(note=SINGLE_FRAME)


def read_frames(files: Sequence[tuple[str, Callable[[], bytes]]], options: ReadOptions) -> Decoded:
    """Read a film from images of one size.

    Args:
        files: name of each frame, and what returns its bytes; in the order of the frames.
        options: as for images; the limit holds for the pixels of all frames.

    Returns:
        The frames (T, H, W, 3), without a spacing; of images of bands, also their values (T, H, W, k).

    Raises:
        InputError: there is no frame, a frame cannot be read, or has another size or number of bands than the first.
    """
    if not files:
        raise InputError("expected at least one frame, got none")
    _check_count(len(files))
    pixels, values, first = np.empty((0, 0, 0, 3), np.uint8), None, None
    for i, (name, read) in enumerate(files):
        frame = _decode_frame(name, read, options)
        if first is None:
            first = frame
            check_size((len(files), *frame.pixels.shape), options.max_pixels, "pixels")
            pixels = np.empty((len(files), *frame.pixels.shape), np.uint8)
            if frame.bands:
                check_size((len(files), *frame.bands.values.shape), options.max_pixels, "pixels")
                values = np.empty((len(files), *frame.bands.values.shape), np.float32)
        _check_like(frame, first, name)
        pixels[i] = frame.pixels
        if values is not None and frame.bands:
            values[i] = frame.bands.values
    assert first is not None  # noqa: S101
    bands = Bands(values, first.bands.scaled) if values is not None and first.bands else None
    return Decoded(pixels, first.note if len(files) > 1 else SINGLE_FRAME, bands, Space("film"))


def _decode_frame(name: str, read: Callable[[], bytes], options: ReadOptions) -> Decoded:
    with naming(name):
        return decode_all(read(), options._replace(rank=2, axes=None))


def _check_like(frame: Decoded, first: Decoded, name: str) -> None:
    (height, width), expected = frame.pixels.shape[:2], first.pixels.shape[:2]
    if (height, width) != expected:
        raise InputError(f"{name}: expected a frame of {expected[1]}x{expected[0]} pixels, got {width}x{height}")
    if _kind_of_bands(frame) != _kind_of_bands(first):
        raise InputError(f"{name}: expected the bands and the type of values of the first frame, got others")


def _kind_of_bands(frame: Decoded) -> tuple[int, bool] | None:
    return (frame.bands.values.shape[2], frame.bands.scaled) if frame.bands else None


def _check_count(count: int) -> None:
    if count > MAX_FRAMES:
        raise InputError(f"too many frames: expected at most {MAX_FRAMES:,}, got {count:,}")


def _read_animation(data: bytes, options: ReadOptions) -> Decoded:
    file = io.BytesIO(data)
    check_structure(file)
    try:
        image = Image.open(file, formats=ANIMATIONS)
    except Image.DecompressionBombError as error:
        raise InputError(f"too large: {error}", "raise --max-pixels if you trust the file") from error
    except UnidentifiedImageError as error:
        raise InputError("not a film: unknown format") from error
    check_size((1, image.height, image.width, 3), options.max_pixels, "pixels")
    count = _count_frames(image, options.max_pixels)
    pixels = np.empty((count, image.height, image.width, 3), np.uint8)
    durations = set()
    for i in range(count):
        image.seek(i)
        pixels[i] = decode_opened(image, options.max_value).pixels
        durations.add(float(image.info.get("duration", 0)))
    seconds = durations.pop() / 1000 if len(durations) == 1 else 0.0
    return Decoded(pixels, space=Space("film", (seconds, 0.0, 0.0) if 0 < seconds < math.inf else ()))


def _count_frames(image: Image.Image, max_pixels: int) -> int:
    """Return the number of frames; it is counted, because a GIF does not declare it and a PNG may lie."""
    count = 0
    while True:
        try:
            image.seek(count)
        except EOFError:
            break
        count += 1
        _check_count(count)
        check_size((count, image.height, image.width, 3), max_pixels, "pixels")
    declared = count if image.format == "GIF" else getattr(image, "n_frames", 1)
    if count < declared:
        raise InputError(f"damaged animation: expected {declared:,} frames, got {count:,}")
    return count
