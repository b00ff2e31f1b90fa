"""Labeled images: the built-in digits, data sets of Keras, an .npz file, or a directory with one folder per class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gradcam_cli.console import log, progress
from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.images import decode, fit
from gradcam_cli.images.discover import natural_key
from gradcam_cli.images.fit import Box
from gradcam_cli.images.source import SUFFIXES, Source
from gradcam_cli.models.labels import CIFAR10
from gradcam_cli.neuralode.training.digits import load_digits

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
TEST_FRACTION_DENOMINATOR = 5
"""In a directory without test images, every fifth image of a class is a test image."""

Arrays = tuple[np.ndarray, np.ndarray]


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
        with np.load(path) as file:
            missing = [key for key in keys if key not in file]
            if missing:
                raise UsageError(f"--data {path}: {', '.join(missing)} not found in the file")
            arrays = [file[key] for key in keys]
            labels = tuple(map(str, file["labels"])) if "labels" in file else ()
    except (OSError, ValueError) as error:
        raise UsageError(f"--data {path}: cannot read the file: {error}") from error
    x_train, y_train, x_test, y_test = arrays
    return Dataset(x_train, y_train, x_test, y_test, labels)


def _load_folders(path: Path, size: tuple[int, int] | None) -> Dataset:
    """Read a directory with one folder per class; unreadable images are logged and left out."""
    split = (path / "train").is_dir() and (path / "test").is_dir()
    labels = _class_names(path / "train" if split else path)
    if split and _class_names(path / "test") != labels:
        raise UsageError(f"--data {path}: expected the same folders in train and test")
    if len(labels) < 2:
        raise UsageError(f"--data {path}: expected one folder per class, at least two, got {len(labels)}")
    train = _read_images(path / "train" if split else path, labels, size)
    if split:
        test = _read_images(path / "test", labels, size)
    else:
        is_test = np.concatenate(
            [np.arange(n) % TEST_FRACTION_DENOMINATOR == TEST_FRACTION_DENOMINATOR - 1 for n in np.bincount(train[1])]
        )
        train, test = (train[0][~is_test], train[1][~is_test]), (train[0][is_test], train[1][is_test])
    return Dataset(train[0], train[1], test[0], test[1], labels)


def _class_names(path: Path) -> tuple[str, ...]:
    names = [entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return tuple(sorted(names, key=natural_key))


def _read_images(path: Path, labels: tuple[str, ...], size: tuple[int, int] | None) -> Arrays:
    files = [
        (file, y)
        for y, label in enumerate(labels)
        for file in sorted(path.joinpath(label).rglob("*"), key=lambda file: natural_key(str(file)))
        if file.suffix.lower() in SUFFIXES
    ]
    images, classes = [], []
    with progress("reading", len(files)) as advance:
        for file, y in files:
            advance(1)
            try:
                pixels = decode.decode(Source(os.fspath(file)).read())
            except InputError as error:
                log.warning("%s is left out: %s", file, error.message)
                continue
            images.append(
                fit.resize_to_input(pixels, Box(0, 0, pixels.shape[1], pixels.shape[0]), size) if size else pixels
            )
            classes.append(y)
    sizes = sorted({pixels.shape[:2] for pixels in images})
    if len(sizes) != 1:
        got = "no image" if not sizes else f"images of {len(sizes)} sizes"
        raise UsageError(f"--data {path}: expected images of one size, got {got}", "use --input-size to resize them")
    stacked = np.stack(images)
    is_gray = (stacked[..., :1] == stacked).all()
    return stacked[..., :1] if is_gray else stacked, np.array(classes)


def _validated(data: Dataset, name: str) -> Dataset:
    """Return the data with the shapes and types of `Dataset`.

    Raises:
        UsageError: the data are invalid.
    """
    x_train, x_test = (
        _as_uint8_images(x, f"--data {name}: {key}") for x, key in ((data.x_train, "x_train"), (data.x_test, "x_test"))
    )
    y_train, y_test = (_as_column(y) for y in (data.y_train, data.y_test))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise UsageError(f"--data {name}: expected images of one shape, got {x_train.shape[1:]} and {x_test.shape[1:]}")
    for x, y, split in ((x_train, y_train, "train"), (x_test, y_test, "test")):
        if y.shape != (len(x), 1) or not np.issubdtype(y.dtype, np.integer) or not len(x):
            raise UsageError(
                f"--data {name}: expected an integer class for each image, got y_{split} of shape {y.shape} and type "
                f"{y.dtype} for {len(x)} images"
            )
    y_train, y_test = y_train[:, 0].astype(np.int64), y_test[:, 0].astype(np.int64)
    count = int(max(y_train.max(), y_test.max())) + 1
    labels = data.labels or tuple(map(str, range(count)))
    if min(y_train.min(), y_test.min()) < 0 or count > len(labels) or len(labels) < 2:
        raise UsageError(
            f"--data {name}: expected classes from 0 to {len(labels) - 1}, at least two, got up to {count - 1}"
        )
    return Dataset(x_train, y_train, x_test, y_test, labels, data.random_shift, data.random_flip)


def _as_column(y: np.ndarray) -> np.ndarray:
    return y[:, np.newaxis] if y.ndim == 1 else y


def _as_uint8_images(x: np.ndarray, description: str) -> np.ndarray:
    """Return (n, h, w, c) uint8."""
    x = x[..., np.newaxis] if x.ndim == 3 else x
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        raise UsageError(f"{description}: expected images (n, h, w) or (n, h, w, 1 or 3), got {x.shape}")
    if x.dtype == np.uint8:
        return x
    low, high = x.min(), x.max()
    if not (low >= 0 and high <= 255):
        raise UsageError(f"{description}: expected pixels from 0 to 255, or from 0 to 1, got {low:g} to {high:g}")
    in_unit_range = np.issubdtype(x.dtype, np.floating) and high <= 1
    return np.round(x * 255 if in_unit_range else x).astype(np.uint8)


def place_on_canvas(data: Dataset, scale: int, seed: int) -> tuple[Dataset, np.ndarray]:
    """Paste each image at a random position of a black canvas with `scale` times its height and width.

    Returns:
        The data, and the boxes of the test images: (m, 4) int, x0, y0, x1, y1.
    """
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
