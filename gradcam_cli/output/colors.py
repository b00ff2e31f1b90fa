"""Coloring of maps, and blending of their colors with the image."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box, clip_to_image
from gradcam_cli.images.memory import bands
from gradcam_cli.near_matches import did_you_mean
from gradcam_cli.output.contours import draw_contours
from gradcam_cli.output.render_options import RenderOptions

DEFAULT = RenderOptions()


@functools.cache
def color_table(cmap: str) -> np.ndarray:
    """Return the 256 colors of a matplotlib colormap, (256, 3) uint8.

    Raises:
        UsageError: the colormap is unknown.
    """
    import matplotlib

    if cmap not in matplotlib.colormaps:
        raise UsageError(
            f"--cmap {cmap}: expected the name of a matplotlib colormap, got {cmap!r}",
            did_you_mean(cmap, matplotlib.colormaps) or "for example viridis, inferno, jet, turbo, gray",
        )
    colors = matplotlib.colormaps[cmap].resampled(256)(np.arange(256))[:, :3]
    return np.round(colors * 255).astype(np.uint8)


def opacities(options: RenderOptions) -> np.ndarray:
    """Return the opacities of the 256 colors, (256,) in 0..1."""
    return options.opacity * (np.ones(256) if options.blend == "constant" else np.linspace(0, 1, 256))


@functools.lru_cache(64)
def _blend_tables(cmap: str, opacity: float, blend: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the image and the weighted colors, (256, 3) uint16 each, in units of 1/256.

    The colors contain half a unit, so that the sum is rounded when it is divided by 256.
    """
    alpha = np.round(256 * opacities(RenderOptions(cmap, opacity, blend)))[:, np.newaxis]
    return np.repeat(256 - alpha, 3, axis=1).astype(np.uint16), (alpha * color_table(cmap) + 128).astype(np.uint16)


def overlay(
    image: np.ndarray, heatmap: np.ndarray, crop_box: Box, options: RenderOptions = DEFAULT, limit: float = 1.0
) -> np.ndarray:
    """Blend the colors of a map with the image, and draw its contour lines.

        (1 - a) image + a color,  a = opacity min(value / limit, 1); with `blend="constant"`, a = opacity

    Args:
        image: (H, W, 3) uint8.
        heatmap: (H, W) in 0..1.
        crop_box: the part of the image in the model input; the rest is drawn gray and hatched.
        options: all but `clip` and `dpi` apply.
        limit: the value with the last color; see `clip_limit`.

    Returns:
        (H, W, 3) uint8.
    """
    weights, colors = _blend_tables(options.cmap, options.opacity, options.blend)
    result = np.empty(image.shape, np.uint8)
    for rows in bands(image.shape):  # 16-bit integers: drawing must not be slower than the network
        indices = _color_indices(heatmap[rows], limit)
        blended = np.take(weights, indices, axis=0)
        blended *= to_gray(image[rows]) if options.background == "gray" else image[rows]
        blended += np.take(colors, indices, axis=0)
        blended >>= np.uint16(8)
        result[rows] = blended
    draw_contours(result, heatmap, options.contours)
    return _hatch_outside_crop(result, image, crop_box)


def to_gray(image: np.ndarray) -> np.ndarray:
    """Return the luminance (ITU-R 601) of an image, (H, W, 3) uint8 with equal channels."""
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def render_heatmap(heatmap: np.ndarray, crop_box: Box, cmap: str = DEFAULT.cmap, limit: float = 1.0) -> np.ndarray:
    """Color a map.

    Args:
        heatmap: (H, W) in 0..1.
        crop_box: the part of the image in the model input; the rest is drawn gray and hatched.
        cmap: name of a matplotlib colormap.
        limit: the value with the last color; see `clip_limit`.

    Returns:
        (H, W, 3) uint8.
    """
    colored = np.empty((*heatmap.shape, 3), np.uint8)
    for rows in bands(heatmap.shape):
        colored[rows] = color_table(cmap)[_color_indices(heatmap[rows], limit)]
    return _hatch_outside_crop(colored, None, crop_box)


def clip_limit(heatmap: np.ndarray, percent: float) -> float:
    """Return the value above which `percent` % of the pixels lie; 1 if `percent` or this value is 0.

    Args:
        heatmap: (H, W) in 0..1.
        percent: 0..100.
    """
    limit = float(np.percentile(heatmap, 100 - percent)) if percent else 1.0
    return limit or 1.0


def _color_indices(heatmap: np.ndarray, limit: float) -> np.ndarray:
    """Return color table indices, (H, W) uint8, of values in 0..1; those above the limit have the last color."""
    scaled = heatmap * np.float32(255 / limit) + np.float32(0.5)
    return (scaled if limit == 1 else np.minimum(scaled, 255)).astype(np.uint8)


def _hatch_outside_crop(pixels: np.ndarray, background: np.ndarray | None, crop_box: Box) -> np.ndarray:
    """Replace the pixels outside the crop by the background, or 128, in gray with diagonal stripes; in place."""
    H, W, _ = pixels.shape
    visible = clip_to_image(crop_box, (H, W))
    if visible == (0, 0, W, H):
        return pixels
    period = max(8, min(H, W) // 30)
    for rows in bands(pixels.shape):
        stripes = (np.add.outer(np.arange(rows.start, rows.stop), np.arange(W)) % period) < period // 4
        gray = np.full(stripes.shape, 64.0) if background is None else background[rows].mean(axis=2) * 0.5
        outside = np.ones(stripes.shape, bool)
        outside[max(visible.y0 - rows.start, 0) : max(visible.y1 - rows.start, 0), visible.x0 : visible.x1] = False
        pixels[rows][outside] = np.where(stripes, gray + 60, gray).astype(np.uint8)[outside][:, None]
    return pixels
