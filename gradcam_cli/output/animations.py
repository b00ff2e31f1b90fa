"""Encoding of animations."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image


def encode_animation(frames: Sequence[np.ndarray], image_format: str = "gif", seconds: float = 0.2) -> bytes:
    """Encode a looping animation.

    Args:
        frames: (H, W, 3) uint8 each, all of equal size.
        image_format: `gif` with 256 colors per frame, or `apng`.
        seconds: duration of a frame.
    """
    buffer = io.BytesIO()
    images = [Image.fromarray(frame) for frame in frames]
    if image_format == "gif":
        images = [image.convert("P", palette=Image.Palette.ADAPTIVE) for image in images]
    kind = "GIF" if image_format == "gif" else "PNG"
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], duration=round(1000 * seconds), loop=0)
    return buffer.getvalue()
