"""Measure how reliably `gradcam audit` finds a mark that was planted in a class of CIFAR-10, and its false alarms.

Usage: python tools/measure_audit.py CIFAR10_ZIP --out FILE [--seeds FIRST LAST] [--kinds planted clean] [--pages DIR]

For each seed, a small network is trained for a few epochs on images of CIFAR-10 as JPEG files. In a planted training, a
tenth of the images of one class have a mark: five by five pixels in two complementary colors. The seed draws class,
place and pattern. The audit reads the same files. A mark counts as found if the audit reports it for this class and at
this place, and every other report counts as a false alarm. Results are appended to FILE as JSON lines, and a seed that
is in it is not repeated. --pages also writes the page of each audit. docs/audit.md has the results.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from PIL import Image

from gradcam_cli.auditing.api import audit
from gradcam_cli.auditing.records import Audit
from gradcam_cli.images.box import Box
from gradcam_cli.models.labels import CIFAR10
from gradcam_cli.reporting.audit_page import write_audit_page

IMAGES_PER_CLASS, MARKED_FRACTION, MARK_SIDE = 250, 0.1, 5
EPOCHS, BATCH, LEARNING_RATE = 12, 64, 3e-3
JPEG_QUALITY = 90
KINDS = ("planted", "clean")


class DataSet(NamedTuple):
    """Images of CIFAR-10.

    Attributes:
        images: (n, 32, 32, 3) uint8.
        classes: (n,) indices.
        marked_class: the class with the mark, or None.
        box: the place of the mark.
        marked: number of images with the mark.
    """

    images: np.ndarray
    classes: np.ndarray
    marked_class: int | None
    box: Box
    marked: int


def main() -> None:
    """Run the trainings, print a line for each, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zip", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs=2, default=(201, 220), metavar=("FIRST", "LAST"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--pages", type=Path)
    arguments = parser.parse_args()
    results = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    for seed in range(arguments.seeds[0], arguments.seeds[1] + 1):
        for kind in arguments.kinds:
            if not any((each["seed"], each["kind"]) == (seed, kind) for each in results):
                page = arguments.pages / f"{kind}{seed}" if arguments.pages else None
                results.append(measure(arguments.zip, seed, planted=kind == "planted", page=page))
                with arguments.out.open("a") as file:
                    file.write(json.dumps(results[-1]) + "\n")
                print(json.dumps(results[-1]), flush=True)
    for kind in KINDS:
        runs = [each for each in results if each["kind"] == kind]
        found, alarmed = sum(each["found"] for each in runs), sum(each["false_alarms"] > 0 for each in runs)
        print(f"{kind}: {len(runs)} trainings, mark found in {found}, false alarms in {alarmed}")


def measure(archive: Path, seed: int, *, planted: bool, page: Path | None = None) -> dict[str, Any]:
    """Train and audit one network; return what was found, and write the page of the audit into a directory."""
    start = time.perf_counter()
    data = draw_data_set(archive, seed, planted=planted)
    with tempfile.TemporaryDirectory() as folder:
        images = write_images(data, Path(folder))
        network, accuracy = train(images, data.classes, seed)
        trained = time.perf_counter()
        result = audit(folder, network, truth="parent", labels=CIFAR10.names)
    if page:
        write_audit_page(result, page)
    found, false_alarms = judge(result, data)
    return {
        "seed": seed,
        "kind": "planted" if planted else "clean",
        "class": data.marked_class,
        "found": found,
        "false_alarms": false_alarms,
        "marks": [
            [
                each.index,
                list(mark.box),
                len(mark.sources),
                mark.others,
                mark.p_value,
                *(round(x, 3) for x in mark.effect),
            ]
            for each, mark in result.marks
        ],
        "box": list(data.box),
        "accuracy": round(accuracy, 3),
        "seconds": [round(trained - start, 1), round(time.perf_counter() - trained, 1)],
    }


def draw_data_set(archive: Path, seed: int, *, planted: bool) -> DataSet:
    """Draw images of each class, and plant a mark in a tenth of one class."""
    rng = np.random.default_rng(seed)
    with zipfile.ZipFile(archive) as file:
        names: dict[str, list[str]] = {name: [] for name in CIFAR10.names}
        for name in sorted(file.namelist()):
            if name.startswith("train/") and name.endswith(".jpg"):
                names[name.split("/")[1]].append(name)
        drawn = [rng.choice(each, IMAGES_PER_CLASS, replace=False) for each in names.values()]
        images = np.stack([np.asarray(Image.open(io.BytesIO(file.read(name)))) for each in drawn for name in each])
    classes = np.repeat(np.arange(len(names)), IMAGES_PER_CLASS)
    y, x = rng.integers(0, images.shape[1] - MARK_SIDE + 1, 2)
    box = Box(int(x), int(y), int(x) + MARK_SIDE, int(y) + MARK_SIDE)
    chosen = int(rng.integers(len(names)))
    marked = rng.choice(np.flatnonzero(classes == chosen), round(MARKED_FRACTION * IMAGES_PER_CLASS), replace=False)
    if not planted:
        return DataSet(images, classes, None, box, 0)
    images[marked, box.y0 : box.y1, box.x0 : box.x1] = draw_pattern(rng)
    return DataSet(images, classes, chosen, box, len(marked))


def draw_pattern(rng: np.random.Generator) -> np.ndarray:
    """Return a pattern (5, 5, 3) of two complementary corners of the color cube, such as red and cyan; both occur."""
    pixels = rng.permutation(MARK_SIDE**2) < rng.integers(MARK_SIDE, MARK_SIDE * (MARK_SIDE - 1))
    first = rng.integers(0, 2, 3)
    colors = 255 * np.stack([first, 1 - first])
    pattern: np.ndarray = colors[pixels.astype(int)]
    return pattern.reshape(MARK_SIDE, MARK_SIDE, 3)


def write_images(data: DataSet, folder: Path) -> np.ndarray:
    """Write the images as JPEG files into folders of their classes; return them as they are decoded."""
    decoded = []
    for number, (image, index) in enumerate(zip(data.images, data.classes, strict=True)):
        path = folder / CIFAR10.names[index] / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path, quality=JPEG_QUALITY)
        decoded.append(np.asarray(Image.open(path)))
    return np.stack(decoded)


def train(images: np.ndarray, classes: np.ndarray, seed: int) -> tuple[keras.Model, float]:
    """Train a network of three convolutions; return it with its accuracy in the last epoch."""
    keras.utils.set_random_seed(seed)
    layers: list[keras.layers.Layer] = [keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 127.5, -1)]
    for filters in (16, 32, 48):
        layers += [keras.layers.MaxPooling2D()] if len(layers) > 2 else []
        layers += [keras.layers.Conv2D(filters, 3, padding="same", use_bias=False), keras.layers.BatchNormalization()]
        layers += [keras.layers.ReLU()]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(len(np.unique(classes)))]
    network = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(LEARNING_RATE), loss, metrics=["accuracy"])
    history = network.fit(images, classes, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return network, float(history.history["accuracy"][-1])


def judge(result: Audit, data: DataSet) -> tuple[bool, int]:
    """Return whether the planted mark was found, and the number of other marks that were reported."""
    right = [each.index == data.marked_class and _overlap(mark.box, data.box) for each, mark in result.marks]
    return any(right), len(right) - sum(right)


def _overlap(first: Sequence[int], second: Sequence[int]) -> bool:
    """Return whether two boxes have at least half of the smaller one in common."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return width > 0 and height > 0 and 2 * width * height >= smaller


if __name__ == "__main__":
    main()
