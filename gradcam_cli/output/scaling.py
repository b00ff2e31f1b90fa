"""Images, maps and boxes at the size of a panel or a thumbnail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from gradcam_cli.images.box import Box


def scaled_size(shape: Sequence[float], side: int) -> tuple[int, int]:
    """Return (h, w) with the aspect ratio of `shape` and the longer side `side`."""
    factor = side / max(shape[:2])
    return max(round(shape[0] * factor), 1), max(round(shape[1] * factor), 1)


def panel_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return the size of an image in a panel: at most `side` pixels; small images are enlarged by a whole number."""
    factor = side // max(shape[:2])
    return (shape[0] * factor, shape[1] * factor) if factor else scaled_size(shape, side)


def scale_image(image: np.ndarray, size: tuple[int, int], *, smooth: bool = False) -> np.ndarray:
    """Return an image (H, W, 3) uint8 at another size (h, w).

    Args:
        image: the image.
        size: (h, w).
        smooth: whether an enlarged image is interpolated; otherwise its pixels are repeated.
    """
    enlarged = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    resampling = Image.Resampling.LANCZOS if max(size) < max(image.shape[:2]) else enlarged
    return image if image.shape[:2] == size else np.asarray(Image.fromarray(image).resize(size[::-1], resampling))


def scale_map(heatmap: np.ndarray, size: tuple[int, int], *, with_cells: bool = False) -> np.ndarray:
    """Return a map (H, W) in 0..1 at another size (h, w).

    Args:
        heatmap: the map.
        size: (h, w).
        with_cells: whether the pixels of an enlarged map are repeated, so that its cells keep their edges.
    """
    enlarged = max(size) > max(heatmap.shape)
    resampling = Image.Resampling.NEAREST if with_cells and enlarged else Image.Resampling.BILINEAR
    if heatmap.shape == size:
        return heatmap
    return np.asarray(Image.fromarray(heatmap.astype(np.float32)).resize(size[::-1], resampling)).clip(0, 1)


def scale_box(box: Box, old: tuple[int, ...], new: tuple[int, ...]) -> Box:
    """Return a box in the pixels of an image of (H, W) in those of an image of another size; it is not empty."""
    fx, fy = new[1] / old[1], new[0] / old[0]
    x0, y0 = min(round(box.x0 * fx), new[1] - 1), min(round(box.y0 * fy), new[0] - 1)
    return Box(x0, y0, max(round(box.x1 * fx), x0 + 1), max(round(box.y1 * fy), y0 + 1))
