"""From a small raw map to a map of the photo's size, and what can be said of it in numbers."""

from __future__ import annotations

import numpy as np

from gradcam_cli.images.fit import Box, clip_to_image

BOX_THRESHOLD = 0.15
INTERPOLATIONS = {"nearest": 0, "linear": 1, "cubic": 3}
"""Values of `--interpolation`, with the order of the spline."""


def upsample(L: np.ndarray, shape: tuple[int, int], interpolation: str = "linear") -> np.ndarray:
    """Enlarge a map so that the centre of each cell lands at the centre of the area it stands for.

    Args:
        L: (u, v), not negative.
        shape: (H, W) of the result, reached exactly.
        interpolation: `nearest`, `linear`, or `cubic` (its undershoot is clipped at zero).

    Returns:
        (H, W) float32, not negative. A constant map stays constant up to its border.
    """
    order = INTERPOLATIONS[interpolation]
    enlarged: np.ndarray = _interpolation_matrix(L.shape[0], shape[0], order) @ L.astype(np.float32)
    enlarged = enlarged @ _interpolation_matrix(L.shape[1], shape[1], order).T
    return enlarged.clip(min=0)


def _interpolation_matrix(u: int, H: int, order: int) -> np.ndarray:
    """Return what each of u cells in a line adds to each of H pixels, (H, u) float32.

    `scipy.ndimage.zoom` is linear and separable: the zoom of the identity holds these weights, and two
    products with them are the zoom of a map, six times as fast.
    """
    from scipy import ndimage  # here, so that the help does not wait for it

    cells = np.eye(u, dtype=np.float32)
    weights: np.ndarray = ndimage.zoom(cells, (H / u, 1), order=order, mode="nearest", grid_mode=True)
    return weights


def paste_into_image(upsampled: np.ndarray, crop_box: Box, shape: tuple[int, int]) -> np.ndarray:
    """Lay a map of the network's view onto the photo: zero where the network saw nothing.

    Args:
        upsampled: (y1 - y0, x1 - x0), the map of the view.
        crop_box: the part of the photo that the network saw; it may reach beyond the photo.
        shape: (H, W) of the photo.
    """
    H, W = shape
    if crop_box == (0, 0, W, H):
        return upsampled
    canvas = np.zeros(shape, upsampled.dtype)
    seen = clip_to_image(crop_box, shape)
    inside = upsampled[seen.y0 - crop_box.y0 : seen.y1 - crop_box.y0, seen.x0 - crop_box.x0 : seen.x1 - crop_box.x0]
    canvas[seen.y0 : seen.y1, seen.x0 : seen.x1] = inside
    return canvas


def normalize(upsampled: np.ndarray) -> np.ndarray:
    """Divide a map by its own maximum, once; a map of zeros stays a map of zeros."""
    maximum = upsampled.max()
    return upsampled / maximum if maximum > 0 else upsampled


def peak(heatmap: np.ndarray) -> tuple[int, int] | None:
    """Return (x, y) of the map's largest value, the first in reading order, or None for a map of zeros."""
    if not heatmap.any():
        return None
    y, x = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    return int(x), int(y)


def bounding_box(heatmap: np.ndarray, threshold: float = BOX_THRESHOLD) -> Box | None:
    """Return the box around the largest connected region above a share of the maximum.

    Pixels are connected by their sides. None for a map of zeros.

    Source:
        Selvaraju et al. 2017, section 4.1, with the threshold of 15 %.
    """
    if not heatmap.any():
        return None
    from scipy import ndimage

    regions, _ = ndimage.label(heatmap > threshold * heatmap.max())
    sizes = np.bincount(regions.ravel())[1:]
    rows, columns = ndimage.find_objects(regions)[np.argmax(sizes)]
    return Box(columns.start, rows.start, columns.stop, rows.stop)
