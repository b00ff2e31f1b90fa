"""Augmentation for the training of `mini`: objects at varied scale and position on varied backgrounds.

Whole-image training would leave a class activation map nothing to localize.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy import ndimage


class Fractions(NamedTuple):
    """Fractions of the objects that are shrunk, zoomed, and partly occluded, each 0 to 1."""

    small: float
    zoomed: float
    occluded: float


STRONG, WEAK = Fractions(0.1, 0.25, 0.2), Fractions(0.05, 0.15, 0.0)


def draw_patterns(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Draw constants, gradients, stripes, checkerboards, and coarse to fine noise, (count, side, side) in 0..1."""
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    angle, waves, phase = rng.uniform(0, 2 * np.pi, (3, count, 1, 1)).astype(np.float32)
    along = np.cos(angle) * ramp[:, None] + np.sin(angle) * ramp
    across = np.sin(angle) * ramp[:, None] - np.cos(angle) * ramp
    stripes, checks = (np.sin((1 + 3 * waves) * line + phase) for line in (along, across))
    sharpness = rng.uniform(1, 20, (count, 1, 1)).astype(np.float32)
    checks, stripes = np.tanh(sharpness * stripes * checks), np.tanh(sharpness * stripes)
    grids = [(grid, rng.normal(0, 0.8, (count // 3 + 1, grid, grid)).astype(np.float32)) for grid in (4, 10, side)]
    noise = np.concatenate([ndimage.zoom(v, (1, side / g, side / g), order=1) for g, v in grids])[:count]
    kinds = np.stack([np.zeros_like(along), along, stripes, checks, noise])
    return np.clip(kinds[rng.integers(0, len(kinds), count), np.arange(count)] / 2 + 0.5, 0, 1)


def draw_backgrounds(rng: np.random.Generator, images: np.ndarray, count: int, side: int) -> np.ndarray:
    """Draw backgrounds from two-color patterns, blurred images and color noise.

    Args:
        rng: source of random numbers.
        images: (n, 32, 32, 3) uint8, to be blurred.
        count: number of backgrounds.
        side: side of a background in pixels.

    Returns:
        (count, side, side, 3) uint8.
    """
    first, second = rng.uniform(0, 255, (2, count, 1, 1, 3)).astype(np.float32)
    patterns = first + draw_patterns(rng, count, side)[..., None] * (second - first)
    coarse = images[rng.integers(0, len(images), count)].reshape(count, 4, 8, 4, 8, 3).mean((2, 4), dtype=np.float32)
    blurred = ndimage.zoom(coarse, (1, side / 4, side / 4, 1), order=1, grid_mode=True, mode="nearest")
    fraction = np.clip(rng.uniform(-1.2, 1.6, (count, 1, 1, 1)), 0, 1).astype(np.float32)
    strength = np.clip(rng.uniform(-60, 60, (count, 1, 1, 1)), 0, None).astype(np.float32)
    noise = rng.standard_normal((count, side, side, 3), np.float32) * strength
    backgrounds: np.ndarray = np.clip(patterns + fraction * (blurred - patterns) + noise, 0, 255)
    return backgrounds.astype(np.uint8)


def box_coverage(corner: tf.Tensor, size: tf.Tensor, side: int) -> tf.Tensor:
    """Return the fraction of each pixel inside a box, (n, side, side, 1), from corners and sizes (n, 2) in pixels."""
    pixel = tf.range(side, dtype=tf.float32)[None, :, None]
    low, high = corner[:, None, :], (corner + size)[:, None, :]
    inside = tf.clip_by_value(tf.minimum(pixel + 1, high) - tf.maximum(pixel, low), 0, 1)
    return (inside[:, :, 1, None] * inside[:, None, :, 0])[..., None]


def object_boxes(u: tf.Tensor, side: int, fractions: Fractions) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the box of each object: small within the image, equal to the image, or larger and cut by its border.

    Args:
        u: uniform random numbers, (n, 5).
        side: side of the image in pixels.
        fractions: fractions of small and zoomed objects.

    Returns:
        Which objects are small (n, 1), and corners and sizes of the boxes (n, 2) in pixels, x before y.
    """
    small, zoomed = u[:, :1] < fractions.small, u[:, :1] > 1 - fractions.zoomed
    scale = tf.where(small, 0.35 + 0.55 * u[:, 1:2], tf.where(zoomed, 1 + 0.6 * u[:, 1:2], 1.0))
    aspect = tf.where(small | zoomed, tf.exp(0.3 * (u[:, 2:3] - 0.5)), 1.0)
    size = side * tf.concat([scale * aspect, scale / aspect], 1)
    margin, border = side - size, tf.where(small, 0.0, side / 8)
    corner = tf.minimum(margin, 0) - border + u[:, 3:5] * (tf.abs(margin) + 2 * border)
    return small, corner, size


def resample_into_boxes(images: tf.Tensor, corner: tf.Tensor, size: tf.Tensor, side: int) -> tf.Tensor:
    """Resample square images (n, h, h, 3) so that each fills its box in (n, side, side, 3); low-pass if it shrinks."""
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    smooth = tf.nn.avg_pool2d(tf.nn.avg_pool2d(padded, 2, 1, "VALID"), 2, 1, "VALID")
    step = images.shape[1] / size
    smoothing = tf.clip_by_value(tf.reduce_mean(step, 1) - 1, 0, 1)[:, None, None, None]
    start, zero = (0.5 - corner) * step - 0.5, tf.zeros_like(step[:, 0])
    rows = [step[:, 0], zero, start[:, 0], zero, step[:, 1], start[:, 1], zero, zero]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images + smoothing * (smooth - images), transforms=tf.stack(rows, 1), output_shape=[side, side],
        interpolation="BILINEAR", fill_mode="REFLECT", fill_value=0.0,
    )  # fmt: skip


def jitter_colors(x: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
    """Change saturation, contrast and brightness of x in 0..255 slightly, by uniform random numbers (n, 3)."""
    saturation, contrast, brightness = tf.split(u[:, None, None, :], 3, -1)
    gray = tf.reduce_mean(x, -1, keepdims=True)
    x = gray + (x - gray) * (0.7 + 0.6 * saturation) - 127.5
    return tf.clip_by_value(x * (0.8 + 0.4 * contrast) + 127.5 + 50 * (brightness - 0.5), 0, 255)


def augment(images: tf.Tensor, backgrounds: tf.Tensor, u: tf.Tensor, side: int, fractions: Fractions) -> tf.Tensor:
    """Return a batch of training inputs.

    Args:
        images: (n, h, h, 3) uint8.
        backgrounds: (n, side, side, 3) uint8.
        u: uniform random numbers, (n, 13).
        side: side of the inputs in pixels.
        fractions: fractions of small, zoomed and occluded objects.

    Returns:
        (n, side, side, 3) float32 in -1..1.
    """
    images, backgrounds = tf.cast(images, tf.float32), tf.cast(backgrounds, tf.float32)
    images = tf.where(u[:, :1, None, None] < 0.5, images, images[:, :, ::-1])
    small, corner, size = object_boxes(u[:, 1:6], side, fractions)
    visible = tf.where(small[..., None, None], box_coverage(corner, size, side), 1.0)
    occluder = tf.where(u[:, 6:7] < fractions.occluded, side * (0.15 + 0.25 * u[:, 9:10]), 0.0)
    visible *= 1 - box_coverage(side * u[:, 7:9] - occluder / 2, tf.tile(occluder, [1, 2]), side)
    x = backgrounds + visible * (resample_into_boxes(images, corner, size, side) - backgrounds)
    return jitter_colors(x, u[:, 10:13]) / 127.5 - 1
