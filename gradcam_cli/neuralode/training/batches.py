"""Batches of training images: the validation split, shuffling, augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcam_cli.neuralode.training.datasets import Arrays, Data


def hold_out(data: Data, share: float, seed: int) -> tuple[Arrays, Arrays]:
    """Split the training images at random into those to learn from and those to choose by: never the test images."""
    order = np.random.default_rng(seed).permutation(len(data.x_train))
    cut = round(len(order) * share)
    kept, held = np.sort(order[cut:]), np.sort(order[:cut])
    return (data.x_train[kept], data.y_train[kept]), (data.x_train[held], data.y_train[held])


def draw_batches(
    x: np.ndarray, y: np.ndarray, size: int, seed: int, epoch: int, crop: int = 0, flip: bool = False
) -> Iterator[Arrays]:
    """Yield an epoch's batches, each of `size` images, in an order that seed and epoch decide.

    An image is moved at random by up to `crop` pixels each way, black coming in, and mirrored at random if `flip`;
    images that fill no batch wait for another epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(x))
    size = min(size, len(x))
    for start in range(0, len(x) - size + 1, size):
        chosen = order[start : start + size]
        yield vary(x[chosen], rng, crop, flip), y[chosen]


def vary(x: np.ndarray, rng: np.random.Generator, crop: int, flip: bool) -> np.ndarray:
    """Return images moved and mirrored at random, (n, h, w, c)."""
    if crop:
        n, h, w, _ = x.shape
        padded = np.pad(x, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(1, 2))  # (n, 2 crop + 1, ..., c, h, w)
        down, right = rng.integers(0, 2 * crop + 1, (2, n))
        x = np.moveaxis(windows[np.arange(n), down, right], 1, -1)
    if flip:
        x = np.where(rng.random(len(x)) < 0.5, x[:, :, ::-1].T, x.T).T
    return x
