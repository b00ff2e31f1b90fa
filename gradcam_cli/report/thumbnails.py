"""The pictures of a report: a photo, its map to be laid over it, and a small one of both together."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from gradcam_cli.images.encode import encode
from gradcam_cli.images.fit import Box, within
from gradcam_cli.output.figures import colour_table, overlay

PHOTO, MAP, THUMB = 640, 320, 200
"""Longer sides, in pixels: photos are never enlarged, maps always have theirs."""
EXACT = 128
"""Photos whose longer side is at most so long are kept pixel by pixel."""


def photo_format(photo: np.ndarray) -> str:
    """Return `png` for small photos, which JPEG would blur, and `jpg` for others."""
    return "png" if max(photo.shape[:2]) <= EXACT else "jpg"


def photo_picture(photo: np.ndarray) -> bytes:
    """Return the file of a photo (H, W, 3)."""
    return encode(_scaled(photo, min(max(photo.shape[:2]), PHOTO)), photo_format(photo))


def thumb_picture(photo: np.ndarray, map_: np.ndarray, view: Box, cmap: str = "jet", alpha: float = 0.5) -> bytes:
    """Return the JPEG of a photo under its map, the longer side 200 pixels."""
    small = _scaled(photo, THUMB)
    return encode(overlay(small, _resized(map_, small.shape[:2]), _scaled_box(view, photo, small), cmap, alpha), "jpg")


def map_picture(map_: np.ndarray, view: Box, cmap: str = "jet") -> bytes:
    """Return the PNG of a coloured map, transparent where the network saw nothing, the longer side 320 pixels.

    Args:
        map_: (H, W) in 0..1.
        view: the part of the photo that the network saw.
        cmap: name of a matplotlib colour map.
    """
    levels = np.zeros(_size(map_.shape, MAP), np.uint8)  # 0 is for what was not seen
    seen = within(view, map_.shape)
    there = _scaled_box(seen, map_, levels)
    inside = _resized(map_[seen.y0 : seen.y1, seen.x0 : seen.x1], (there.y1 - there.y0, there.x1 - there.x0))
    levels[there.y0 : there.y1, there.x0 : there.x1] = 1 + np.round(inside * 254).astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.putpalette(np.concatenate([[[0, 0, 0]], colour_table(cmap)[1:]]).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **({} if levels.all() else {"transparency": 0}))
    return buffer.getvalue()


def _size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return (h, w) of the proportions of a shape, the longer side as given."""
    factor = side / max(shape[:2])
    return max(round(shape[0] * factor), 1), max(round(shape[1] * factor), 1)


def _scaled(photo: np.ndarray, side: int) -> np.ndarray:
    h, w = _size(photo.shape, side)
    smooth = Image.Resampling.LANCZOS if side < max(photo.shape) else Image.Resampling.NEAREST
    return photo if photo.shape[:2] == (h, w) else np.asarray(Image.fromarray(photo).resize((w, h), smooth))


def _resized(map_: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(map_.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image).clip(0, 1)


def _scaled_box(box: Box, old: np.ndarray, new: np.ndarray) -> Box:
    fx, fy = new.shape[1] / old.shape[1], new.shape[0] / old.shape[0]
    x0, y0 = min(round(box.x0 * fx), new.shape[1] - 1), min(round(box.y0 * fy), new.shape[0] - 1)
    return Box(x0, y0, max(round(box.x1 * fx), x0 + 1), max(round(box.y1 * fy), y0 + 1))
