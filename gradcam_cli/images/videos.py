"""Videos, which the optional package av decodes with the libraries of FFmpeg.

They run in this process. The demuxer is chosen here by the first bytes, since FFmpeg's own choice includes formats that
open other files and addresses.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.damage import input_errors, missing_package
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.space import Space
from gradcam_cli.images.video_structure import check_matroska, check_mp4
from gradcam_cli.images.volume_values import check_size

UNEVEN = 0.1
"""Largest deviation of the time between two frames from the mean, as a part of it; some files round to milliseconds."""


def demuxer_of(data: bytes) -> str | None:
    """Return FFmpeg's name of the format of a video with these bytes, or None for any other file."""
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    return "avi" if data.startswith(b"RIFF") and data[8:12] == b"AVI " else None


def read_video(data: bytes, demuxer: str, max_pixels: int, max_frames: int) -> Decoded:
    """Decode the frames of a video, turned as its file says.

    Args:
        data: the bytes of the file.
        demuxer: its format, from `demuxer_of`.
        max_pixels: limit of the pixels of all frames.
        max_frames: limit of their number.

    Returns:
        The frames (T, H, W, 3), with the spacing (seconds between frames, 0, 0), or () if it varies.

    Raises:
        InputError: the file is damaged, truncated, too large, without frames, or the package av is missing.
    """
    try:
        import av
    except ImportError as error:
        raise missing_package("a video", "av", "film") from error
    with input_errors("video"):
        if demuxer == "matroska":
            check_matroska(data)
        elif demuxer == "mov":
            check_mp4(data)
        with av.open(io.BytesIO(data), format=demuxer) as film:
            count = _count_frames(_video_stream(film), max_pixels, max_frames)
        with av.open(io.BytesIO(data), format=demuxer) as film:
            stream = _video_stream(film)
            stream.codec_context.options = {"max_pixels": str(max_pixels)}
            pixels, times = _decode_frames(film.decode(stream), count, max_pixels)
            return Decoded(pixels, space=Space("film", _spacing(times, stream.average_rate)))


def _video_stream(film: Any) -> Any:
    if not film.streams.video:
        raise InputError("expected a video, got a file without pictures")
    stream = film.streams.video[0]
    if stream.codec_context is None:
        raise InputError("the compression of the video is not supported")
    stream.thread_type = "NONE"  # each thread holds frames
    return stream


def _count_frames(stream: Any, max_pixels: int, max_frames: int) -> int:
    """Return how many frames the file has, without decoding them.

    Raises:
        InputError: there are none, too many, or fewer than the file declares.
    """
    shape = (stream.codec_context.height, stream.codec_context.width, 3)
    count = 0
    for packet in stream.container.demux(stream):
        count += packet.size > 0
        if count > max_frames:
            raise InputError(f"too many frames: expected at most {max_frames:,}, got more")
        check_size((max(count, 1), *shape), max_pixels, "pixels")
    if not count or count < stream.frames:
        raise InputError(f"damaged video: expected {stream.frames or 'some'} frames, got {count:,}")
    return count


def _decode_frames(frames: Iterator[Any], count: int, max_pixels: int) -> tuple[np.ndarray, list[float | None]]:
    """Return the frames (T, H, W, 3) and their times in seconds."""
    pixels, times = np.empty((0, 0, 0, 3), np.uint8), list[float | None]()
    for frame in frames:
        if frame.is_corrupt:
            raise InputError(f"damaged video: frame {len(times)} is damaged")
        picture = frame.to_ndarray(format="rgb24")
        picture = np.rot90(picture, round(getattr(frame, "rotation", 0) / 90))
        if not times:
            check_size((count, *picture.shape), max_pixels, "pixels")
            pixels = np.empty((count, *picture.shape), np.uint8)
        if picture.shape != pixels.shape[1:] or len(times) == count:
            raise InputError("damaged video: its frames have different sizes, or are more than its packets")
        pixels[len(times)] = picture
        times.append(frame.time)
    if not times:
        raise InputError("damaged video: no frame can be decoded")
    return pixels[: len(times)], times


def _spacing(times: list[float | None], rate: Any) -> tuple[float, ...]:
    """Return the spacing of frames: of the rate that the file declares, if the frames have it."""
    known = [time for time in times if time is not None]
    if len(known) < max(2, len(times)):
        return (float(1 / rate), 0.0, 0.0) if rate and len(times) == 1 else ()
    steps = np.diff(known)
    mean = float(steps.mean())
    if mean <= 0 or abs(steps - mean).max() > UNEVEN * mean:
        return ()
    declared = float(1 / rate) if rate else mean
    return (declared if abs(declared - mean) <= UNEVEN * mean else mean, 0.0, 0.0)
