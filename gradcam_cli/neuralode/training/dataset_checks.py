"""Checks of labeled images: shapes, types, ranges and sizes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gradcam_cli.errors import UsageError

Arrays = tuple[np.ndarray, np.ndarray]
"""Images (n, h, w, c) and their classes (n,)."""

MAX_CLASSES = 100_000
MAX_LABEL_CHARACTERS = 1_000
MIN_DECOMPRESSED_BYTES, MAX_EXPANSION = 1 << 28, 100
"""Decompressed size limit: the larger of this number of bytes and this multiple of the file size."""
MEMORY_DENOMINATOR = 3
"""A data set may have this fraction of the memory: training holds a copy."""
CHUNK = 1_024
"""Images that are converted at once."""


def max_data_bytes(file_size: int | None = None) -> int:
    """Return the limit of the size of a data set in bytes, for a file of this size if it is a file."""
    limit = _memory_bytes() // MEMORY_DENOMINATOR
    return limit if file_size is None else min(limit, max(MIN_DECOMPRESSED_BYTES, MAX_EXPANSION * file_size))


def _memory_bytes() -> int:
    """Return the memory of this machine or container, or 8 GiB if it is unknown."""
    limits = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(Path("/sys/fs/cgroup", file).read_text()))
    return min(limits, default=8 << 30)


def check_size(num_bytes: int, description: str) -> None:
    """Require that a data set fits into the memory.

    Raises:
        UsageError: it does not.
    """
    if num_bytes > max_data_bytes():
        raise UsageError(f"{description}: expected at most {max_data_bytes():,} bytes of pixels, got {num_bytes:,}")


def check_dataset(train: Arrays, test: Arrays, labels: Sequence[str], name: str) -> tuple[Arrays, Arrays, list[str]]:
    """Return training images, test images and class names with the shapes and types of `Dataset`.

    Args:
        train: images (n, h, w) or (n, h, w, 1 or 3) with pixels from 0 to 255, or from 0 to 1 if all are; classes (n,)
            or (n, 1).
        test: the same, of the test images.
        labels: class names; empty for numbers.
        name: the data set, for messages.

    Raises:
        UsageError: the data are invalid.
    """
    prefix = f"--data {name}: "
    x_train, x_test = _with_channels(train[0], prefix + "x_train"), _with_channels(test[0], prefix + "x_test")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise UsageError(f"{prefix}expected images of one shape, got {x_train.shape[1:]} and {x_test.shape[1:]}")
    y_train = _as_classes(train[1], len(x_train), prefix + "y_train")
    y_test = _as_classes(test[1], len(x_test), prefix + "y_test")
    names = _class_names(labels, [int(value) for y in (y_train, y_test) for value in (y.min(), y.max())], name)
    x_train, x_test = _as_uint8({prefix + "x_train": x_train, prefix + "x_test": x_test})
    return (x_train, y_train.astype(np.int64)), (x_test, y_test.astype(np.int64)), names


def _with_channels(x: np.ndarray, description: str) -> np.ndarray:
    """Return (n, h, w, c)."""
    x = x[..., np.newaxis] if x.ndim == 3 else x
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or 0 in x.shape[1:]:
        raise UsageError(f"{description}: expected images (n, h, w) or (n, h, w, 1 or 3), got {x.shape}")
    if x.dtype.kind not in "uif":
        raise UsageError(f"{description}: expected pixels of an integer or float type, got {x.dtype}")
    return x


def _as_classes(y: np.ndarray, count: int, description: str) -> np.ndarray:
    """Return (n,)."""
    column = y[:, np.newaxis] if y.ndim == 1 else y
    if not count or column.shape != (count, 1) or column.dtype.kind not in "ui":
        raise UsageError(
            f"{description}: expected an integer class for each image, and at least one image, got shape {y.shape} and "
            f"type {y.dtype} for {count} images"
        )
    return column[:, 0]


def _class_names(labels: Sequence[str], classes: Sequence[int], name: str) -> list[str]:
    """Return the class names; `classes` contains the smallest and largest classes."""
    count = len(labels) or min(max(classes) + 1, MAX_CLASSES)
    if min(classes) < 0 or max(classes) >= count or not 2 <= count <= MAX_CLASSES:
        raise UsageError(
            f"--data {name}: expected classes from 0 to {count - 1}, at least two and at most {MAX_CLASSES:,}, "
            f"got {min(classes)} to {max(classes)}"
        )
    for label in labels:
        if len(label) > MAX_LABEL_CHARACTERS or label != label.encode(errors="replace").decode():
            raise UsageError(
                f"--data {name}: expected class names of at most {MAX_LABEL_CHARACTERS:,} Unicode characters, "
                f"got {label[:20]!a}"
            )
    return list(labels) or list(map(str, range(count)))


def _as_uint8(images: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the images as uint8; float pixels are scaled by 255 if none of them exceeds 1."""
    highest = {}
    for description, x in images.items():
        low, highest[description] = x.min(), x.max()
        if not (low >= 0 and highest[description] <= 255):
            raise UsageError(
                f"{description}: expected pixels from 0 to 255, or from 0 to 1, got {low:g} to {highest[description]:g}"
            )
    in_unit_range = all(highest[name] <= 1 for name, x in images.items() if x.dtype.kind == "f")
    return [_scaled(x, 255 if in_unit_range and x.dtype.kind == "f" else 1) for x in images.values()]


def _scaled(x: np.ndarray, factor: int) -> np.ndarray:
    if x.dtype == np.uint8:
        return x
    result = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), CHUNK):
        result[start : start + CHUNK] = np.round(x[start : start + CHUNK].astype(np.float64) * factor)
    return result
