"""Batches of training images: validation split, shuffling, augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcam_cli.neuralode.training.dataset_checks import Arrays
from gradcam_cli.neuralode.training.datasets import Dataset


def train_validation_split(data: Dataset, fraction: float, seed: int) -> tuple[Arrays, Arrays]:
    """Split the training images at random into training and validation images.

    Args:
        data: its test images are not used.
        fraction: fraction of validation images.
        seed: random seed.

    Returns:
        Images and classes for training, and images and classes for validation.
    """
    order = np.random.default_rng(seed).permutation(len(data.x_train))
    cut = round(len(order) * fraction)
    training, validation = np.sort(order[cut:]), np.sort(order[:cut])
    return (data.x_train[training], data.y_train[training]), (data.x_train[validation], data.y_train[validation])


def iter_batches(
    x: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    random_shift: int = 0,
    random_flip: bool = False,
) -> Iterator[Arrays]:
    """Yield the augmented batches of an epoch. Their order depends on seed and epoch.

    Images that do not fill a batch are left out.

    Args:
        x: (n, h, w, c), pixels.
        y: (n,), classes.
        batch_size: images per batch.
        seed: random seed.
        epoch: number of the epoch.
        random_shift: maximum random shift of an image, in pixels.
        random_flip: whether images are mirrored at random.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(x))
    batch_size = min(batch_size, len(x))
    for start in range(0, len(x) - batch_size + 1, batch_size):
        batch = order[start : start + batch_size]
        yield augment(x[batch], rng, random_shift, random_flip), y[batch]


def augment(x: np.ndarray, rng: np.random.Generator, random_shift: int, random_flip: bool) -> np.ndarray:
    """Return images (n, h, w, c) shifted and mirrored at random; the border is filled with black."""
    if random_shift:
        n, h, w, _ = x.shape
        padded = np.pad(x, ((0, 0), (random_shift, random_shift), (random_shift, random_shift), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(1, 2))  # (n, 2s + 1, 2s + 1, c, h, w)
        down, right = rng.integers(0, 2 * random_shift + 1, (2, n))
        x = np.moveaxis(windows[np.arange(n), down, right], 1, -1)
    if random_flip:
        x = np.where(rng.random(len(x)) < 0.5, x[:, :, ::-1].T, x.T).T
    return x
