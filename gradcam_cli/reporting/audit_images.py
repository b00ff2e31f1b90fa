"""The pictures of an audit's page: crops of concepts side by side, and images with a mark."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from gradcam_cli.images.box import Box
from gradcam_cli.output.scaling import scaled_size

CROP_SIDE, IMAGE_SIDE, GAP = 88, 144, 6
"""Longer side of a crop, longer side of an image with a mark, and the space between two, in pixels."""
LINE_WIDTH = 2


def encode_crops(crops: Sequence[np.ndarray]) -> bytes:
    """Encode crops (H, W, 3) uint8 side by side as a PNG file with a transparent background."""
    return _encode_strip([_scaled(crop, CROP_SIDE) for crop in crops])


def encode_marked(images: Sequence[np.ndarray], box: Box) -> bytes:
    """Encode images (h, w, 3) uint8 of one size side by side as a PNG file, with a frame around a box."""
    strip = []
    for image in images:
        scaled = _scaled(image, IMAGE_SIDE)
        factor = scaled.width / image.shape[1]
        frame = [box.x0 * factor, box.y0 * factor, box.x1 * factor - 1, box.y1 * factor - 1]
        draw = ImageDraw.Draw(scaled)
        for grow, color in ((2 * LINE_WIDTH, "black"), (LINE_WIDTH, "white")):
            edges = [frame[0] - grow, frame[1] - grow, frame[2] + grow, frame[3] + grow]
            draw.rectangle(edges, outline=color, width=LINE_WIDTH)
        strip.append(scaled)
    return _encode_strip(strip)


def _scaled(pixels: np.ndarray, side: int) -> Image.Image:
    """Return an image with a longer side; a small one is magnified without blur."""
    height, width = scaled_size(pixels.shape, side)
    magnified = max(pixels.shape[:2]) <= side
    method = Image.Resampling.NEAREST if magnified else Image.Resampling.BILINEAR
    return Image.fromarray(pixels).resize((width, height), method)


def _encode_strip(images: Sequence[Image.Image]) -> bytes:
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    strip = Image.new("RGBA", (width, max(image.height for image in images)))
    x = 0
    for image in images:
        strip.paste(image, (x, 0))
        x += image.width + GAP
    buffer = io.BytesIO()
    strip.save(buffer, "PNG")
    return buffer.getvalue()
