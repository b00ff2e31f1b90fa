"""Write the screenshots of the page of a training and of the page of an audit in the documentation.

Usage:
    python tools/screenshot_pages.py [DIR]

The training is that of a small network on the handwritten digits of the package; its callback explains 16 test images
after each of eight epochs. The audit is that of a network that distinguishes cuttings of the sample images; some of
those of the cat Chelsea have a mark. Writes training.jpg and audit.jpg into DIR, by default docs.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from measure_audit import MARK_SIDE, draw_pattern, train
from PIL import Image
from screenshot_report import ROOT, write_screenshot

from gradcam_cli import audit, report
from gradcam_cli.callbacks import GradCAM
from gradcam_cli.neuralode.training.digits import load_digits

SIDE, EPOCHS, SEED = 32, 8, 0
CUTTINGS, MARKED, MARK_PLACE = 200, 40, (4, 23)
"""Cuttings of each sample image, those of the cat with the mark, and the row and the column of the mark."""
NAMES = "zero one two three four five six seven eight nine".split()


def main() -> None:
    """Write the pages and their screenshots."""
    target = (Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs").absolute()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        for page, write in (("training", write_training), ("audit", write_audit)):
            write(Path(page))
            write_screenshot(f"file://{name}/{page}/index.html", target / f"{page}.jpg")


def write_training(directory: Path) -> None:
    """Train a network on digits with the callback, and write the page of the training."""
    (x_train, y_train), (x_test, y_test) = load_digits()
    images, shown = enlarged(x_train), enlarged(x_test)
    keras.utils.set_random_seed(SEED)
    layers: list[keras.layers.Layer] = [keras.Input((SIDE, SIDE, 3)), keras.layers.Rescaling(1 / 127.5, -1)]
    for filters in (16, 32, 64):
        layers += [keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{filters}")]
        layers += [keras.layers.MaxPooling2D()] if filters < 64 else []
    network = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)], name="digits")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    watch = GradCAM(shown[:16], log_dir=directory, classes=y_test[:16], labels=NAMES)
    network.fit(images, y_train, 32, EPOCHS, 0, callbacks=[watch], validation_data=(shown, y_test))
    report(directory)


def enlarged(digits: np.ndarray) -> np.ndarray:
    """Return digits (n, 8, 8), 0 to 16, as pictures (n, 32, 32, 3) uint8, dark on white."""
    gray = np.round(255 - digits * (255 / 16)).astype(np.uint8)
    return np.stack([small(Image.fromarray(each)) for each in gray])


def small(image: Image.Image) -> np.ndarray:
    """Return an image at the size of the networks, (32, 32, 3) uint8."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB"))


def write_audit(directory: Path) -> None:
    """Train a network on cuttings of the sample images, some with a mark, and write the page of its audit."""
    rng = np.random.default_rng(SEED)
    files = sorted(path for path in (ROOT / "sample_images").iterdir() if path.suffix in (".jpg", ".png"))
    images = np.concatenate([cuttings(Image.open(path).convert("RGB"), rng) for path in files])
    classes = np.repeat(np.arange(len(files)), CUTTINGS)
    cat = next(i for i, path in enumerate(files) if path.stem == "chelsea")
    (row, column), marked = MARK_PLACE, rng.choice(np.flatnonzero(classes == cat), MARKED, replace=False)
    images[marked, row : row + MARK_SIDE, column : column + MARK_SIDE] = draw_pattern(rng)
    network, _ = train(images, classes, SEED)
    for number, (image, index) in enumerate(zip(images, classes, strict=True)):
        path = Path("cuttings") / files[index].stem / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    names = [path.stem for path in files]
    report(audit(["cuttings"], network, truth="parent", labels=names), directory)


def cuttings(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Return squares of random places and sizes of an image, a quarter to a half of it wide, (n, 32, 32, 3) uint8."""
    found = []
    for _ in range(CUTTINGS):
        side = round(min(image.size) * rng.uniform(1 / 4, 1 / 2))
        x, y = (int(rng.integers(0, length - side)) for length in image.size)
        found.append(small(image.crop((x, y, x + side, y + side))))
    return np.stack(found)


if __name__ == "__main__":
    main()
