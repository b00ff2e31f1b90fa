"""Encoding the images of a report: an image, a map for display over it, and a thumbnail of both."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from gradcam_cli.images.encode import encode
from gradcam_cli.images.fit import Box, clip_to_image
from gradcam_cli.output.figures import color_table, overlay

IMAGE_SIDE, MAP_SIDE, THUMBNAIL_SIDE = 640, 320, 200
"""Longer sides in pixels: images are never upsampled, maps and thumbnails always have this size."""
MAX_LOSSLESS_SIDE = 128
"""Images up to this longer side are stored without loss."""


def source_image_format(image: np.ndarray) -> str:
    """Return `png` for small images, which JPEG would blur, and `jpg` for all others."""
    return "png" if max(image.shape[:2]) <= MAX_LOSSLESS_SIDE else "jpg"


def encode_source_image(image: np.ndarray) -> bytes:
    """Encode an image (H, W, 3), downsampled to a longer side of at most 640 pixels."""
    return encode(_scale_image(image, min(max(image.shape[:2]), IMAGE_SIDE)), source_image_format(image))


def encode_thumbnail(
    image: np.ndarray, heatmap: np.ndarray, crop_box: Box, cmap: str = "jet", opacity: float = 0.5
) -> bytes:
    """Encode an image under its map as a JPEG with a longer side of 200 pixels."""
    small = _scale_image(image, THUMBNAIL_SIDE)
    small_map = _resize_map(heatmap, small.shape[:2])
    return encode(overlay(small, small_map, _scale_box(crop_box, image, small), cmap, opacity), "jpg")


def encode_map(heatmap: np.ndarray, crop_box: Box, cmap: str = "jet") -> bytes:
    """Encode a map as a colored PNG with a longer side of 320 pixels, transparent outside the model input.

    Args:
        heatmap: (H, W) in 0..1.
        crop_box: the part of the image that the model input contains.
        cmap: name of a matplotlib colormap.
    """
    levels = np.zeros(_scaled_size(heatmap.shape, MAP_SIDE), np.uint8)  # level 0 is transparent
    visible = clip_to_image(crop_box, heatmap.shape)
    target = _scale_box(visible, heatmap, levels)
    target_size = target.y1 - target.y0, target.x1 - target.x0
    values = _resize_map(heatmap[visible.y0 : visible.y1, visible.x0 : visible.x1], target_size)
    levels[target.y0 : target.y1, target.x0 : target.x1] = 1 + np.round(values * 254).astype(np.uint8)
    image = Image.fromarray(levels)
    image.putpalette(np.concatenate([[[0, 0, 0]], color_table(cmap)[1:]]).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **({} if levels.all() else {"transparency": 0}))
    return buffer.getvalue()


def _scaled_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return (h, w) with the aspect ratio of `shape` and the longer side `side`."""
    factor = side / max(shape[:2])
    return max(round(shape[0] * factor), 1), max(round(shape[1] * factor), 1)


def _scale_image(image: np.ndarray, side: int) -> np.ndarray:
    h, w = _scaled_size(image.shape, side)
    resampling = Image.Resampling.LANCZOS if side < max(image.shape) else Image.Resampling.NEAREST
    return image if image.shape[:2] == (h, w) else np.asarray(Image.fromarray(image).resize((w, h), resampling))


def _resize_map(heatmap: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(heatmap.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image).clip(0, 1)


def _scale_box(box: Box, old: np.ndarray, new: np.ndarray) -> Box:
    fx, fy = new.shape[1] / old.shape[1], new.shape[0] / old.shape[0]
    x0, y0 = min(round(box.x0 * fx), new.shape[1] - 1), min(round(box.y0 * fy), new.shape[0] - 1)
    return Box(x0, y0, max(round(box.x1 * fx), x0 + 1), max(round(box.y1 * fy), y0 + 1))
