"""Encoding of animations and films; equal frames give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
from PIL import Image

from gradcam_cli.output.packages import MP4, require_package

SHORTEST = 2
"""Shortest duration of a frame of a GIF file, in hundredths of a second: browsers slow down faster ones."""
H264 = {"crf": "18", "mbtree": "0", "threads": "1", "flags": "+bitexact"}
"""Options of H.264: no difference from the frames is visible. The tree of macroblocks (`mbtree`) and threads would make
the bytes of equal films differ."""


def encode_animation(
    frames: Iterable[np.ndarray], image_format: str = "gif", seconds: float = 0.2, comment: str = ""
) -> bytes:
    """Encode a looping animation.

    Args:
        frames: (H, W, 3) uint8 each, all of equal size.
        image_format: `gif` with 256 colors per frame, or `apng`.
        seconds: duration of a frame.
        comment: ASCII text that is saved with a GIF file.
    """
    buffer = io.BytesIO()
    images = [_as_image(frame, image_format) for frame in frames]
    durations = [10 * hundredths for hundredths in _hundredths(len(images), seconds)]
    kind, options = (
        ("GIF", {"comment": comment.encode("ascii")} if comment else {}) if image_format == "gif" else ("PNG", {})
    )
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], duration=durations, loop=0, **options)
    return buffer.getvalue()


def _as_image(frame: np.ndarray, image_format: str) -> Image.Image:
    image = Image.fromarray(frame)
    return image.convert("P", palette=Image.Palette.ADAPTIVE) if image_format == "gif" else image


def _hundredths(count: int, seconds: float) -> list[int]:
    """Return the durations of frames, in whole hundredths of a second whose sum is that of the frames."""
    ends = np.round(100 * max(seconds, SHORTEST / 100) * np.arange(count + 1) + 1e-6)
    return [int(duration) for duration in np.diff(ends)]


def encode_mp4(frames: Iterable[np.ndarray], seconds: float, comment: str = "") -> bytes:
    """Encode a film as H.264 in an MP4 file, which browsers and presentation programs play.

    Args:
        frames: (H, W, 3) uint8 each, all of equal size; an odd side is extended by its last pixels.
        seconds: duration of a frame.
        comment: text that `read_mp4_comment` returns.

    Raises:
        UsageError: PyAV is not installed.
    """
    require_package(*MP4)
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as film:
        if comment:
            film.metadata["comment"] = comment
        rate = Fraction(1 / seconds).limit_denominator(1001)
        stream = film.add_stream("libx264", rate=rate, options=H264)
        for frame in _with_even_sides(frames):
            if not stream.is_open:
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], "yuv420p"
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        film.mux(stream.encode(None))
    return buffer.getvalue()


def _with_even_sides(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield frames with sides of an even number of pixels, as their colors at half the resolution require."""
    for frame in frames:
        H, W = frame.shape[:2]
        yield np.pad(frame, ((0, H % 2), (0, W % 2), (0, 0)), mode="edge")


def read_mp4_comment(data: bytes) -> str | None:
    """Return the comment of an MP4 file that `encode_mp4` wrote; None without one, or without PyAV."""
    if find_spec("av") is None:
        return None
    import av

    try:
        with av.open(io.BytesIO(data), format="mov") as film:
            comment: str | None = film.metadata.get("comment")
            return comment
    except (av.FFmpegError, ValueError):
        return None
