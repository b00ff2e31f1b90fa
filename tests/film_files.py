"""Films of a moving square, as files of several formats."""

import io
from fractions import Fraction

import numpy as np
from PIL import Image

SIDE = 48


def square_film(count=6, height=32, width=SIDE) -> np.ndarray:
    """Return (T, H, W, 3) uint8: a bright square moves by 4 pixels a frame over dark blue."""
    film = np.full((count, height, width, 3), (10, 20, 90), np.uint8)
    for t in range(count):
        film[t, 8:20, 4 * t : 4 * t + 12] = (230, 200, 40)
    return film


def animation(frames, kind="GIF", duration=40, **options) -> bytes:
    """Return an animated file that Pillow writes."""
    images = [frame if isinstance(frame, Image.Image) else Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], duration=duration, **options)
    return buffer.getvalue()


VIDEOS = {"mp4": "libx264", "mov": "libx264", "avi": "mpeg4", "matroska": "libx264", "webm": "libvpx-vp9"}
"""FFmpeg's names of formats, and of their codecs."""


def video(frames, kind="mp4", rate=10, times=None) -> bytes:
    """Return a video; `times` are those of the frames, in steps of 1/rate."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind, options={"fflags": "+bitexact"}) as film:
        stream = film.add_stream(VIDEOS[kind], rate=rate, options={"crf": "15", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        stream.codec_context.bit_rate = 4_000_000
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            if times is not None:
                picture.pts, picture.time_base = times[i], Fraction(1, rate)
            film.mux(stream.encode(picture))
        film.mux(stream.encode(None))
    return buffer.getvalue()
