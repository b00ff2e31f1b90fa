"""Measures the time that the callback GradCAM adds to a training of a small CNN on CIFAR-10.

Usage:
    python benchmarks/callback_overhead.py CIFAR10.zip [--epochs N] [--log-dir DIR]

The archive has `train/<class>/*.jpg` and `test/<class>/*.jpg`. Each epoch explains 16 test images and logs them to
TensorBoard and into a directory. The callback's own time is measured around its methods; as a check, the epochs of a
training without it are timed as well.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
from hardware import describe_hardware
from PIL import Image

from gradcam_cli.callbacks import GradCAM

IMAGES, BATCH = 16, 64
METHODS = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")


class EpochTimes(keras.callbacks.Callback):
    """The seconds of each epoch, without those of callbacks at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._start)


class TimedGradCAM(GradCAM):
    """The callback with a clock around each of its methods."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.seconds: dict[str, list[float]] = {name: [] for name in METHODS}

    def __getattribute__(self, name):
        """Return an attribute; the methods of the training are timed."""
        value = super().__getattribute__(name)
        if name not in METHODS:
            return value

        def timed(*args, **kwargs):
            start = time.perf_counter()
            value(*args, **kwargs)
            self.seconds[name].append(time.perf_counter() - start)

        return timed


def read_images(path: Path, part: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the images of a part in a fixed random order, in 0..1, their classes, and the names of the classes."""
    with zipfile.ZipFile(path) as archive:
        files = [name for name in archive.namelist() if f"{part}/" in name and name.endswith(".jpg")]
        names = sorted({name.split("/")[-2] for name in files})
        np.random.default_rng(0).shuffle(files)
        x = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in files])
    return x.astype(np.float32) / 255, np.array([names.index(name.split("/")[-2]) for name in files]), names


def make_network(classes: int) -> keras.Model:
    """Return a small VGG-like network with dropout and augmentation."""
    layers: list[keras.Layer] = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomTranslation(0.1, 0.1)]
    for filters in (32, 64, 128):
        for _ in range(2):
            layers += [keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)]
            layers += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
        layers += [keras.layers.MaxPooling2D() if filters < 128 else keras.layers.GlobalAveragePooling2D()]
    layers += [keras.layers.Dropout(0.3), keras.layers.Dense(classes, activation="softmax")]
    network = keras.Sequential([keras.layers.Input((32, 32, 3)), *layers], name="cifar10_cnn")
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def main() -> None:
    """Train without and with the callback, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--log-dir", type=Path)
    options = parser.parse_args()
    (x, y, names), (x_test, y_test, _) = (read_images(options.archive, part) for part in ("train", "test"))
    validation = (x_test[:2000], y_test[:2000])
    plain, total = EpochTimes(), {}
    with tempfile.TemporaryDirectory() as folder:
        log_dir = options.log_dir or Path(folder)
        shown = x_test[:IMAGES]
        gradcam = TimedGradCAM(shown, log_dir=log_dir, classes=y_test[:IMAGES], labels=names, to="tensorboard")
        for label, callbacks, epochs in (("without", [plain], 2), ("with", [gradcam], options.epochs)):
            keras.utils.set_random_seed(0)
            start = time.perf_counter()
            network, fit = make_network(len(names)), {"verbose": 2, "batch_size": BATCH, "epochs": epochs}
            network.fit(x, y, validation_data=validation, callbacks=callbacks, **fit)
            total[label] = time.perf_counter() - start
    report(options, plain, gradcam, total["with"])


def report(options: argparse.Namespace, plain: EpochTimes, gradcam: TimedGradCAM, total: float) -> None:
    """Print the times."""
    own = {name: sum(times) for name, times in gradcam.seconds.items()}
    epoch_end = gradcam.seconds["on_epoch_end"]
    print(describe_hardware())
    print(f"epoch without the callback: {min(plain.seconds):.1f} s")
    print(f"training with the callback, {options.epochs} epochs: {total:.1f} s")
    print(
        f"callback at the end of an epoch: {1000 * np.mean(epoch_end):.0f} ms, at most {1000 * max(epoch_end):.0f} ms"
    )
    print(f"callback when the training begins: {own['on_train_begin'] + own['on_epoch_begin']:.2f} s, once")
    print(f"share of the epochs: {100 * np.mean(epoch_end) / min(plain.seconds):.2f} %")
    print(f"share of the training: {100 * sum(own.values()) / total:.2f} %")


if __name__ == "__main__":
    main()
