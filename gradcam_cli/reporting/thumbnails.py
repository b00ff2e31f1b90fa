"""Encoding the images of a report: an image, a map for display over it, and a thumbnail of both."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from gradcam_cli.images.box import Box, clip_to_image
from gradcam_cli.images.encode import encode
from gradcam_cli.output.colors import color_table, opacities, overlay
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.scaling import scale_box, scale_image, scale_map, scaled_size
from gradcam_cli.output.views import VIEWS, Shown

IMAGE_SIDE, MAP_SIDE, THUMBNAIL_SIDE = 640, 320, 200
"""Longer sides in pixels: images are never upsampled, maps and thumbnails always have this size."""
MAX_LOSSLESS_SIDE = 128
"""Images up to this longer side are stored without loss."""


def source_image_format(image: np.ndarray) -> str:
    """Return `png` for small images, which JPEG would blur, and `jpg` for all others."""
    return "png" if max(image.shape[:2]) <= MAX_LOSSLESS_SIDE else "jpg"


def encode_source_image(image: np.ndarray) -> bytes:
    """Encode an image (H, W, 3), downsampled to a longer side of at most 640 pixels."""
    return encode(
        scale_image(image, scaled_size(image.shape, min(max(image.shape[:2]), IMAGE_SIDE))), source_image_format(image)
    )


def encode_thumbnail(shown: Shown, options: RenderOptions) -> bytes:
    """Encode an image under its map as a JPEG with a longer side of 200 pixels; see `colors.overlay`.

    Other inputs are one picture of twice this size, for it has lines or several slices.
    """
    if shown.space.kind != "image":
        return encode(VIEWS[shown.space.kind].map_panel(shown, 2 * THUMBNAIL_SIDE, options), "jpg")
    small = scale_image(shown.pixels, scaled_size(shown.pixels.shape, THUMBNAIL_SIDE))
    small_map, crop_box = (
        scale_map(shown.heatmap, small.shape[:2]),
        scale_box(shown.crop_box, shown.pixels.shape, small.shape),
    )
    return encode(overlay(small, small_map, crop_box, options, shown.limit), "jpg")


def encode_still(shown: Shown, options: RenderOptions) -> bytes:
    """Encode one picture of a signal, a volume or a film with its map, with a longer side of at most 640 pixels."""
    return encode(VIEWS[shown.space.kind].map_panel(shown, IMAGE_SIDE, options), "jpg")


def encode_map(heatmap: np.ndarray, crop_box: Box, options: RenderOptions, limit: float = 1.0) -> bytes:
    """Encode a map as a colored PNG with a longer side of 320 pixels, transparent outside the model input.

    The page sets the opacity of the largest value; with `blend="opacity"`, smaller values are more transparent.

    Args:
        heatmap: (H, W) in 0..1.
        crop_box: the part of the image that the model input contains.
        options: the colormap, and the blend.
        limit: the value with the last color.
    """
    levels = np.zeros(scaled_size(heatmap.shape, MAP_SIDE), np.uint8)  # level 0 is transparent
    visible = clip_to_image(crop_box, heatmap.shape)
    target = scale_box(visible, heatmap.shape, levels.shape)
    target_size = target.y1 - target.y0, target.x1 - target.x0
    values = np.minimum(scale_map(heatmap[visible.y0 : visible.y1, visible.x0 : visible.x1], target_size) / limit, 1)
    levels[target.y0 : target.y1, target.x0 : target.x1] = 1 + np.round(values * 254).astype(np.uint8)
    image = Image.fromarray(levels)
    image.putpalette(np.concatenate([[[0, 0, 0]], color_table(options.cmap)[1:]]).astype(np.uint8).tobytes())
    alpha = np.round(255 * opacities(replace(options, opacity=1.0))).astype(np.uint8)
    alpha[0] = 0
    buffer = io.BytesIO()
    is_opaque = options.blend == "constant" and levels.all()
    image.save(buffer, "PNG", **({} if is_opaque else {"transparency": alpha.tobytes()}))
    return buffer.getvalue()
