"""The pictures of a report: a photo, its map to be laid over it, and a small one of both together."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from gradcam_cli.images.encode import encode
from gradcam_cli.images.fit import Box, clip_to_image
from gradcam_cli.output.figures import color_table, overlay

IMAGE_SIDE, MAP_SIDE, THUMBNAIL_SIDE = 640, 320, 200
"""Longer sides, in pixels: photos are never enlarged, maps always have theirs."""
MAX_LOSSLESS_SIDE = 128
"""Photos whose longer side is at most so long are kept pixel by pixel."""


def source_image_format(image: np.ndarray) -> str:
    """Return `png` for small photos, which JPEG would blur, and `jpg` for others."""
    return "png" if max(image.shape[:2]) <= MAX_LOSSLESS_SIDE else "jpg"


def encode_source_image(image: np.ndarray) -> bytes:
    """Return the file of a photo (H, W, 3)."""
    return encode(_scale_image(image, min(max(image.shape[:2]), IMAGE_SIDE)), source_image_format(image))


def encode_thumbnail(
    image: np.ndarray, heatmap: np.ndarray, crop_box: Box, cmap: str = "jet", opacity: float = 0.5
) -> bytes:
    """Return the JPEG of a photo under its map, the longer side 200 pixels."""
    small = _scale_image(image, THUMBNAIL_SIDE)
    return encode(
        overlay(small, _resize_map(heatmap, small.shape[:2]), _scale_box(crop_box, image, small), cmap, opacity), "jpg"
    )


def encode_map(heatmap: np.ndarray, crop_box: Box, cmap: str = "jet") -> bytes:
    """Return the PNG of a coloured map, transparent where the network saw nothing, the longer side 320 pixels.

    Args:
        heatmap: (H, W) in 0..1.
        crop_box: the part of the photo that the network saw.
        cmap: name of a matplotlib colour map.
    """
    levels = np.zeros(_scaled_size(heatmap.shape, MAP_SIDE), np.uint8)  # 0 is for what was not seen
    seen = clip_to_image(crop_box, heatmap.shape)
    there = _scale_box(seen, heatmap, levels)
    inside = _resize_map(heatmap[seen.y0 : seen.y1, seen.x0 : seen.x1], (there.y1 - there.y0, there.x1 - there.x0))
    levels[there.y0 : there.y1, there.x0 : there.x1] = 1 + np.round(inside * 254).astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.putpalette(np.concatenate([[[0, 0, 0]], color_table(cmap)[1:]]).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **({} if levels.all() else {"transparency": 0}))
    return buffer.getvalue()


def _scaled_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return (h, w) of the proportions of a shape, the longer side as given."""
    factor = side / max(shape[:2])
    return max(round(shape[0] * factor), 1), max(round(shape[1] * factor), 1)


def _scale_image(image: np.ndarray, side: int) -> np.ndarray:
    h, w = _scaled_size(image.shape, side)
    smooth = Image.Resampling.LANCZOS if side < max(image.shape) else Image.Resampling.NEAREST
    return image if image.shape[:2] == (h, w) else np.asarray(Image.fromarray(image).resize((w, h), smooth))


def _resize_map(heatmap: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(heatmap.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image).clip(0, 1)


def _scale_box(box: Box, old: np.ndarray, new: np.ndarray) -> Box:
    fx, fy = new.shape[1] / old.shape[1], new.shape[0] / old.shape[0]
    x0, y0 = min(round(box.x0 * fx), new.shape[1] - 1), min(round(box.y0 * fy), new.shape[0] - 1)
    return Box(x0, y0, max(round(box.x1 * fx), x0 + 1), max(round(box.y1 * fy), y0 + 1))
