"""Upsampling, placement and normalization of maps, their peak and their bounding box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcam_cli.images.box import Box, clip_to_image
from gradcam_cli.images.memory import bands

BOX_THRESHOLD = 0.15
"""Fraction of the maximum above which pixels belong to the bounding box."""

INTERPOLATIONS = {"nearest": 0, "linear": 1, "cubic": 3}
"""Values of `--interpolation`, with the degree of the spline."""


def upsample(L: np.ndarray, shape: tuple[int, ...], interpolation: str = "linear") -> np.ndarray:
    """Upsample a map with half-pixel centers (`align_corners=False`).

    Args:
        L: (u, v), or of any other number of spatial dimensions; non-negative.
        shape: (H, W) of the result, with as many dimensions.
        interpolation: a key of `INTERPOLATIONS`; negative values of `cubic` are clipped to zero.

    Returns:
        (H, W) float32, non-negative. A constant map stays constant up to its border.
    """
    upsampled: np.ndarray = L.astype(np.float32)
    for u, H in zip(L.shape, shape, strict=True):  # the first axis becomes the last one, as often as there are axes
        if u == H:
            upsampled = np.moveaxis(upsampled, 0, -1)
        else:
            weights = interpolation_matrix(u, H, INTERPOLATIONS[interpolation])
            upsampled = np.tensordot(upsampled, weights, axes=(0, 1))
    return upsampled.clip(min=0, out=upsampled)


def value_at(L: np.ndarray, box: Box, point: Sequence[int], interpolation: str) -> float:
    """Return the value of the upsampled map at one pixel of the image, in units of the map.

    Args:
        L: (u, v), or of any other number of spatial dimensions; non-negative.
        box: the part of the image that the cells cover, in pixels.
        point: (x, y) in this part; (x, y, z) for three dimensions.
        interpolation: a key of `INTERPOLATIONS`.
    """
    value = L.astype(np.float32)
    for (start, stop), place in zip(box.intervals, reversed(point), strict=True):
        if len(value) == stop - start:
            value = value[place - start]
        else:
            weights = interpolation_matrix(len(value), stop - start, INTERPOLATIONS[interpolation])[place - start]
            value = np.tensordot(weights, value, axes=(0, 0))
    return float(value)


def interpolation_matrix(u: int, H: int, order: int) -> np.ndarray:
    """Return the matrix (H, u) float32 that interpolates u values to H, with half-pixel centers.

    `scipy.ndimage.zoom` is linear and separable, so the zoom of the identity matrix is this matrix. Two
    matrix products are six times as fast as `zoom` on the map.
    """
    from scipy import ndimage  # imported late, since it slows down --help

    identity = np.eye(u, dtype=np.float32)
    weights: np.ndarray = ndimage.zoom(identity, (H / u, 1), order=order, mode="nearest", grid_mode=True)
    return weights


def paste_into_image(upsampled: np.ndarray, crop_box: Box, shape: Sequence[int]) -> np.ndarray:
    """Paste the map of a crop into a map of the image size, which is zero outside the crop.

    Args:
        upsampled: the map of the crop, of the shape of the box.
        crop_box: the crop in image pixels; it may extend beyond the image.
        shape: (H, W) of the image, or any other spatial shape.

    Returns:
        (H, W), of the dtype of `upsampled`.
    """
    if crop_box == Box.whole(shape):
        return upsampled
    canvas = np.zeros(shape, upsampled.dtype)
    visible = clip_to_image(crop_box, shape)
    pairs = zip(visible.intervals, crop_box.intervals, strict=True)
    canvas[visible.slices] = upsampled[tuple(slice(a - first, b - first) for (a, b), (first, _) in pairs)]
    return canvas


def to_image(L: np.ndarray, crop_box: Box, shape: Sequence[int], interpolation: str) -> np.ndarray:
    """Upsample the map of a crop, paste it into a map of the image size and normalize it.

    Args:
        L: (u, v), or of any other number of spatial dimensions; non-negative.
        crop_box: the crop in image pixels.
        shape: (H, W) of the image, with as many dimensions.
        interpolation: a key of `INTERPOLATIONS`.

    Returns:
        (H, W) float32 in 0..1.
    """
    return normalize(paste_into_image(upsample(L, crop_box.shape, interpolation), crop_box, shape))


def normalize(upsampled: np.ndarray) -> np.ndarray:
    """Divide a map by its maximum, in place, and return it; a zero map is unchanged."""
    maximum = upsampled.max()
    return np.divide(upsampled, maximum, out=upsampled) if maximum > 0 else upsampled


def peak(heatmap: np.ndarray) -> tuple[int, ...] | None:
    """Return (x, y) of the first maximum in row-major order, or None for a zero map; (x,) or (x, y, z) likewise."""
    if not heatmap.any():
        return None
    return tuple(int(place) for place in reversed(np.unravel_index(np.argmax(heatmap), heatmap.shape)))


def bounding_box(heatmap: np.ndarray, threshold: float = BOX_THRESHOLD) -> Box | None:
    """Return the box around the largest region above a fraction of the maximum, connected along the axes.

    Args:
        heatmap: (H, W), or of any other number of dimensions; non-negative.
        threshold: fraction of the maximum, 0..1.

    Returns:
        The box, or None for a zero map.

    Source:
        Selvaraju et al. 2017, section 4.1, with the threshold of 15 %.
    """
    if not heatmap.any():
        return None
    from scipy import ndimage

    regions, count = ndimage.label(heatmap > threshold * heatmap.max())
    sizes = np.zeros(count + 1, np.int64)
    for band in bands((len(regions), regions[0].size)):
        sizes += np.bincount(regions[band].ravel(), minlength=count + 1)
    largest = ndimage.find_objects(regions)[np.argmax(sizes[1:])]
    return Box.of((part.start, part.stop) for part in largest)
