"""Labeled images in a directory with one folder per class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gradcam_cli.console import log, progress
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images import decode, fit
from gradcam_cli.images.box import Box
from gradcam_cli.images.discover import find_sources, natural_key
from gradcam_cli.neuralode.training.dataset_checks import Arrays, check_size

TEST_FRACTION_DENOMINATOR = 5
"""In a directory without test images, every fifth image of a class is a test image."""


def read_folders(path: Path, size: tuple[int, int] | None) -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Read a directory with one folder per class, optionally inside `train` and `test`.

    Unreadable images are logged and left out.

    Returns:
        Training images, test images and class names.

    Raises:
        UsageError: the directory has another structure, or its images have several sizes or exceed the memory.
    """
    split = (path / "train").is_dir() and (path / "test").is_dir()
    labels = _class_names(path / "train" if split else path)
    if split and _class_names(path / "test") != labels:
        raise UsageError(f"--data {path}: expected the same directories in train and test")
    if len(labels) < 2:
        raise UsageError(f"--data {path}: expected one directory per class, at least two, got {len(labels)}")
    train = _read_images(path / "train" if split else path, labels, size)
    if split:
        return train, _read_images(path / "test", labels, size), labels
    counts = np.bincount(train[1], minlength=len(labels))
    if counts.min() < TEST_FRACTION_DENOMINATOR:
        raise UsageError(
            f"--data {path}: expected at least {TEST_FRACTION_DENOMINATOR} images of each class, got {counts.min()} in "
            f"the directory {labels[counts.argmin()]}",
            "every fifth image of a class is a test image; or use the directories train and test",
        )
    is_test = np.concatenate(
        [np.arange(n) % TEST_FRACTION_DENOMINATOR == TEST_FRACTION_DENOMINATOR - 1 for n in counts]
    )
    return (train[0][~is_test], train[1][~is_test]), (train[0][is_test], train[1][is_test]), labels


def _class_names(path: Path) -> tuple[str, ...]:
    try:
        names = [entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"--data {path}: cannot read the directory: {error.strerror or error}") from error
    return tuple(sorted(names, key=natural_key))


def _read_images(path: Path, labels: tuple[str, ...], size: tuple[int, int] | None) -> Arrays:
    sources = [(source, y) for y, label in enumerate(labels) for source in find_sources([os.fspath(path / label)])]
    images: list[np.ndarray] = []
    classes = []
    with progress("reading", len(sources)) as advance:
        for source, y in sources:
            advance(1)
            try:
                pixels = decode.decode(source.read())
            except InputError as error:
                log.warning("%s is left out: %s", source.name, error.message)
                continue
            if size:
                pixels = fit.resize_to_input(pixels, Box(0, 0, pixels.shape[1], pixels.shape[0]), size)
            if images and pixels.shape[:2] != images[0].shape[:2]:
                raise _size_error(path, "images of several sizes")
            check_size(pixels.nbytes * (len(images) + 1), f"--data {path}")
            images.append(pixels)
            classes.append(y)
    if not images:
        raise _size_error(path, "no image")
    stacked = np.stack(images)
    is_gray = (stacked[..., :1] == stacked).all()
    return stacked[..., :1] if is_gray else stacked, np.array(classes)


def _size_error(path: Path, got: str) -> UsageError:
    return UsageError(f"--data {path}: expected images of one size, got {got}", "use --input-size to resize them")
