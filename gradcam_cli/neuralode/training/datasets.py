"""Labeled images: the built-in digits, data sets of Keras, an .npz file, or a directory with one folder per class."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from gradcam_cli.console import log
from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.models.labels import CIFAR10
from gradcam_cli.neuralode.training.dataset_checks import check_dataset, check_size, max_data_bytes
from gradcam_cli.neuralode.training.digits import load_digits
from gradcam_cli.neuralode.training.image_folders import read_folders
from gradcam_cli.storage.arrays import open_arrays

FASHION_LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DIGIT_LABELS = tuple("0123456789")


class Dataset(NamedTuple):
    """Images with their classes.

    Attributes:
        x_train: (n, h, w, c) uint8.
        y_train: (n,) int64, classes.
        x_test: (m, h, w, c) uint8.
        y_test: (m,) int64, classes.
        labels: names of the classes.
        random_shift: default of the maximum random shift, in pixels.
        random_flip: whether the mirror image of an image has the same class.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: tuple[str, ...]
    random_shift: int = 0
    random_flip: bool = False


class DatasetSpec(NamedTuple):
    """A data set with a name: its classes, and the defaults of augmentation and training."""

    labels: tuple[str, ...]
    random_shift: int
    random_flip: bool
    epochs: int
    batch_size: int


DATASETS = {
    "digits": DatasetSpec(DIGIT_LABELS, 1, False, 20, 32),
    "mnist": DatasetSpec(DIGIT_LABELS, 2, False, 12, 128),
    "fashion_mnist": DatasetSpec(FASHION_LABELS, 2, True, 20, 128),
    "cifar10": DatasetSpec(CIFAR10.names, 4, True, 30, 128),
}


def load_data(name: str, size: tuple[int, int] | None = None) -> Dataset:
    """Load a data set.

    Args:
        name: one of `DATASETS`, an `.npz` file with x_train, y_train, x_test, y_test and optionally labels, or a
            directory with one folder per class, optionally inside `train` and `test`.
        size: (h, w) to which the images of a directory are resized; None: all have the same size.

    Raises:
        UsageError: the data set does not exist, or is invalid.
        GradcamError: Keras cannot download it.
    """
    if name in DATASETS:
        return _load_named(name)
    path = Path(name)
    if path.is_dir():
        return _validated(_load_folders(path, size), name)
    if path.suffix == ".npz" and path.is_file():
        return _validated(_load_npz(path), name)
    raise UsageError(f"--data {name}: expected {', '.join(DATASETS)}, an .npz file or a directory")


def _load_named(name: str) -> Dataset:
    spec = DATASETS[name]
    if name == "digits":
        (x_train, y_train), (x_test, y_test) = load_digits()
        x_train, x_test = (np.round(x * (255 / 16)).astype(np.uint8) for x in (x_train, x_test))
    else:
        import keras

        log.info("loading %s; Keras downloads it at first use", name)
        try:
            (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
        except Exception as error:
            raise GradcamError(
                f"cannot load {name}: {error}", "download it on a different machine and use --data FILE.npz"
            ) from error
    return _validated(Dataset(x_train, y_train, x_test, y_test, spec.labels, spec.random_shift, spec.random_flip), name)


def _load_npz(path: Path) -> Dataset:
    keys = ("x_train", "y_train", "x_test", "y_test")
    try:
        with open_arrays(path, max_data_bytes(path.stat().st_size)) as file:
            missing = [key for key in keys if key not in file]
            if missing:
                raise UsageError(f"--data {path}: {', '.join(missing)} not found in the file")
            x_train, y_train, x_test, y_test = (file[key] for key in keys)
            labels = _read_labels(file["labels"], path) if "labels" in file else ()
    except InputError as error:
        raise UsageError(f"--data: {error.message}") from error
    return Dataset(x_train, y_train, x_test, y_test, labels)


def _read_labels(labels: np.ndarray, path: Path) -> tuple[str, ...]:
    if labels.ndim != 1 or labels.dtype.kind not in "USiu":
        raise UsageError(f"--data {path}: expected labels (n,) of strings, got {labels.shape} of type {labels.dtype}")
    try:
        return tuple(label.decode() if isinstance(label, bytes) else str(label) for label in labels.tolist())
    except ValueError as error:  # not UTF-8, or no code points
        raise UsageError(f"--data {path}: labels are not Unicode: {error}") from error


def _load_folders(path: Path, size: tuple[int, int] | None) -> Dataset:
    train, test, labels = read_folders(path, size)
    return Dataset(*train, *test, labels)


def _validated(data: Dataset, name: str) -> Dataset:
    """Return the data with the shapes and types of `Dataset`.

    Raises:
        UsageError: the data are invalid.
    """
    train, test, labels = check_dataset((data.x_train, data.y_train), (data.x_test, data.y_test), data.labels, name)
    return Dataset(*train, *test, tuple(labels), data.random_shift, data.random_flip)


def place_on_canvas(data: Dataset, scale: int, seed: int) -> tuple[Dataset, np.ndarray]:
    """Paste each image at a random position of a black canvas with `scale` times its height and width.

    Returns:
        The data, and the boxes of the test images: (m, 4) int, x0, y0, x1, y1.

    Raises:
        UsageError: the canvases exceed the memory.
    """
    check_size(scale**2 * (data.x_train.nbytes + data.x_test.nbytes), f"--canvas-scale {scale}")
    rng = np.random.default_rng(seed)

    def paste(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, h, w, c = x.shape
        canvas = np.zeros((n, scale * h, scale * w, c), np.uint8)
        down, right = rng.integers(0, (scale - 1) * h + 1, n), rng.integers(0, (scale - 1) * w + 1, n)
        for i in range(n):
            canvas[i, down[i] : down[i] + h, right[i] : right[i] + w] = x[i]
        return canvas, np.stack([right, down, right + w, down + h], axis=1)

    (x_train, _), (x_test, boxes) = paste(data.x_train), paste(data.x_test)
    return data._replace(x_train=x_train, x_test=x_test), boxes
