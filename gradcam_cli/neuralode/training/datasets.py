"""Labelled images to learn from: built in, Keras's sets, an npz file, or a folder a class."""

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
"""Where a folder has no test images, every fifth of a class is one."""

Arrays = tuple[np.ndarray, np.ndarray]


class Dataset(NamedTuple):
    """Images with their classes.

    Attributes:
        x_train: (n, h, w, c) uint8.
        y_train: (n,) int64, classes.
        x_test: (m, h, w, c) uint8.
        y_test: (m,) int64.
        labels: the names of the classes.
        random_shift: pixels by which an image may be moved without being another, for `Batches`.
        random_flip: whether its mirror image is of the same class.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: tuple[str, ...]
    random_shift: int = 0
    random_flip: bool = False


class DatasetSpec(NamedTuple):
    """A data set that is known by name: its classes, how far its images may be varied, and how it is learned well."""

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
        name: one of `DATASETS`, an `.npz` file with x_train, y_train, x_test and y_test (and, if they have names, labels),
            or a directory with a folder a class, perhaps below `train` and `test`.
        size: (h, w) to which the images of a directory are scaled; None: they have one size.

    Raises:
        UsageError: there is no such set, or it is not what it should be.
        GradcamError: Keras could not fetch it.
    """
    if name in DATASETS:
        return _load_named(name)
    path = Path(name)
    if path.is_dir():
        return _validated(_load_folders(path, size), name)
    if path.suffix == ".npz" and path.is_file():
        return _validated(_load_npz(path), name)
    raise UsageError(f"--data {name}: expected {', '.join(DATASETS)}, an .npz file or a directory, got none of them")


def _load_named(name: str) -> Dataset:
    known = DATASETS[name]
    if name == "digits":
        (x_train, y_train), (x_test, y_test) = load_digits()
        x_train, x_test = (np.round(x * (255 / 16)).astype(np.uint8) for x in (x_train, x_test))
    else:
        import keras

        log.info("loading %s, which Keras fetches the first time", name)
        try:
            (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
        except Exception as error:
            raise GradcamError(
                f"{name} could not be loaded: {error}", "fetch it elsewhere and name the file: --data FILE.npz"
            ) from error
    return _validated(
        Dataset(x_train, y_train, x_test, y_test, known.labels, known.random_shift, known.random_flip), name
    )


def _load_npz(path: Path) -> Dataset:
    keys = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path) as file:
            missing = [key for key in keys if key not in file]
            if missing:
                raise UsageError(f"--data {path}: expected {', '.join(keys)}, got no {', '.join(missing)}")
            arrays = [file[key] for key in keys]
            labels = tuple(map(str, file["labels"])) if "labels" in file else ()
    except (OSError, ValueError) as error:
        raise UsageError(f"--data {path}: cannot be read: {error}") from error
    x_train, y_train, x_test, y_test = arrays
    return Dataset(x_train, y_train, x_test, y_test, labels)


def _load_folders(path: Path, size: tuple[int, int] | None) -> Dataset:
    """Read a folder a class; what cannot be read is told and left out."""
    split = (path / "train").is_dir() and (path / "test").is_dir()
    labels = _class_names(path / "train" if split else path)
    if split and _class_names(path / "test") != labels:
        raise UsageError(f"--data {path}: expected the same folders below train and test")
    if len(labels) < 2:
        raise UsageError(f"--data {path}: expected a folder a class, at least two, got {len(labels)}")
    train = _read_images(path / "train" if split else path, labels, size)
    if split:
        test = _read_images(path / "test", labels, size)
    else:
        last = np.concatenate(
            [np.arange(n) % TEST_FRACTION_DENOMINATOR == TEST_FRACTION_DENOMINATOR - 1 for n in np.bincount(train[1])]
        )
        train, test = (train[0][~last], train[1][~last]), (train[0][last], train[1][last])
    return Dataset(train[0], train[1], test[0], test[1], labels)


def _class_names(path: Path) -> tuple[str, ...]:
    names = [entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return tuple(sorted(names, key=natural_key))


def _read_images(path: Path, labels: tuple[str, ...], size: tuple[int, int] | None) -> Arrays:
    found = [
        (file, y)
        for y, label in enumerate(labels)
        for file in sorted(path.joinpath(label).rglob("*"), key=lambda file: natural_key(str(file)))
        if file.suffix.lower() in SUFFIXES
    ]
    x, y_found = [], []
    with progress("reading", len(found)) as advance:
        for file, y in found:
            advance(1)
            try:
                pixels = decode.decode(Source(os.fspath(file)).read())
            except InputError as error:
                log.warning("%s left out: %s", file, error.message)
                continue
            x.append(fit.resize_to_input(pixels, Box(0, 0, pixels.shape[1], pixels.shape[0]), size) if size else pixels)
            y_found.append(y)
    sizes = sorted({pixels.shape[:2] for pixels in x})
    if len(sizes) != 1:
        got = "no image" if not sizes else f"images of {len(sizes)} sizes"
        raise UsageError(f"--data {path}: expected images of one size, got {got}", "--input-size scales them to one")
    stacked = np.stack(x)
    gray = (stacked[..., :1] == stacked).all()
    return stacked[..., :1] if gray else stacked, np.array(y_found)


def _validated(data: Dataset, name: str) -> Dataset:
    """Return the data in the form that `Dataset` promises."""
    x_train, x_test = (
        _as_uint8_images(x, f"--data {name}: {which}")
        for x, which in ((data.x_train, "x_train"), (data.x_test, "x_test"))
    )
    y_train, y_test = (_as_column(y) for y in (data.y_train, data.y_test))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise UsageError(f"--data {name}: expected images of one shape, got {x_train.shape[1:]} and {x_test.shape[1:]}")
    for x, y, which in ((x_train, y_train, "train"), (x_test, y_test, "test")):
        if y.shape != (len(x), 1) or not np.issubdtype(y.dtype, np.integer) or not len(x):
            raise UsageError(
                f"--data {name}: expected a class, a whole number, for each image, got y_{which} of shape {y.shape} "
                f"and {y.dtype} for {len(x)} images"
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
        raise UsageError(f"{description}: expected pixels from 0 to 255, or to 1, got {low:g} to {high:g}")
    of_one = np.issubdtype(x.dtype, np.floating) and high <= 1
    return np.round(x * 255 if of_one else x).astype(np.uint8)


def place_on_canvas(data: Dataset, scale: int, seed: int) -> tuple[Dataset, np.ndarray]:
    """Place each image at random on a black canvas of `scale` times its sides.

    Returns:
        The data, and where the test images are: (m, 4) int, x0, y0, x1, y1.
    """
    rng = np.random.default_rng(seed)

    def place(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, h, w, c = x.shape
        canvas = np.zeros((n, scale * h, scale * w, c), np.uint8)
        down, right = rng.integers(0, (scale - 1) * h + 1, n), rng.integers(0, (scale - 1) * w + 1, n)
        for i in range(n):
            canvas[i, down[i] : down[i] + h, right[i] : right[i] + w] = x[i]
        return canvas, np.stack([right, down, right + w, down + h], axis=1)

    (x_train, _), (x_test, boxes) = place(data.x_train), place(data.x_test)
    return data._replace(x_train=x_train, x_test=x_test), boxes
