"""Batches of training images: the validation split, shuffling, augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcam_cli.neuralode.training.datasets import Arrays, Dataset


def train_validation_split(data: Dataset, fraction: float, seed: int) -> tuple[Arrays, Arrays]:
    """Split the training images at random into those to learn from and those to choose by: never the test images."""
    order = np.random.default_rng(seed).permutation(len(data.x_train))
    cut = round(len(order) * fraction)
    kept, held = np.sort(order[cut:]), np.sort(order[:cut])
    return (data.x_train[kept], data.y_train[kept]), (data.x_train[held], data.y_train[held])


def iter_batches(
    x: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    random_shift: int = 0,
    random_flip: bool = False,
) -> Iterator[Arrays]:
    """Yield an epoch's batches, each of `batch_size` images, in an order that seed and epoch decide.

    An image is moved at random by up to `random_shift` pixels each way, black coming in, and mirrored at random if `random_flip`;
    images that fill no batch wait for another epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(x))
    batch_size = min(batch_size, len(x))
    for start in range(0, len(x) - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size]
        yield augment(x[chosen], rng, random_shift, random_flip), y[chosen]


def augment(x: np.ndarray, rng: np.random.Generator, random_shift: int, random_flip: bool) -> np.ndarray:
    """Return images moved and mirrored at random, (n, h, w, c)."""
    if random_shift:
        n, h, w, _ = x.shape
        padded = np.pad(x, ((0, 0), (random_shift, random_shift), (random_shift, random_shift), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(1, 2))  # (n, 2 crop + 1, ..., c, h, w)
        down, right = rng.integers(0, 2 * random_shift + 1, (2, n))
        x = np.moveaxis(windows[np.arange(n), down, right], 1, -1)
    if random_flip:
        x = np.where(rng.random(len(x)) < 0.5, x[:, :, ::-1].T, x.T).T
    return x
