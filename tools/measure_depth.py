"""Measure maps along the depth of ODE-Nets on digits: are their peaks on ink, and does their deletion change the class?

Usage:
    python tools/measure_depth.py DIR [MNIST.npz]

The script trains the networks of `NETWORKS` that DIR does not contain, and prints a Markdown table for each of them. On
two cores, training takes half an hour and measuring as long. Without a file, Keras downloads MNIST. Each entry has two
numbers, for correctly classified test digits:

- peak: the fraction of maps whose largest cell contains ink; chance is the fraction of all cells that contain ink
- deletion: the mean probability of the class while 10 % to 50 % of the cells are set to black, those with the largest
  values first; smaller is better; chance is the mean over random orders

The last columns are the differences to chance in standard errors, at the depth where they are smallest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.methods.registry import METHODS
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.neuralode.explain.depth import compile_depth_gradients
from gradcam_cli.neuralode.layers.find_block import find_block
from gradcam_cli.neuralode.training.config import DataConfig
from gradcam_cli.neuralode.training.datasets import load_data
from gradcam_cli.neuralode.training.run import load_dataset

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
MEASURED_METHODS = ("flow", "gradcam", "hirescam", "layercam", "center")
MNIST_IMAGES = (6_000, 1_000)
"""Number of training and test images drawn from MNIST."""
INK = 128
"""Pixels of at least this value, of 255, are ink."""
DELETED_FRACTIONS = np.arange(1, 6) / 10
"""Fractions of the cells that are set to black."""
RANDOM_ORDERS = 5
"""Random orders of deletion over which chance is averaged."""
BATCH_SIZE = 100

Predict = Callable[[np.ndarray], np.ndarray]
"""Returns the probabilities (n, classes) of images (n, h, w, 1)."""


class Network(NamedTuple):
    """The data and the options of `gradcam neuralode train`."""

    data: str
    seed: int
    options: tuple[str, ...] = ()
    canvas_scale: int | None = None

    def arguments(self) -> list[str]:
        """Return the arguments of `gradcam neuralode train`, without those of the output."""
        canvas = ["--canvas-scale", str(self.canvas_scale)] if self.canvas_scale else []
        return ["--data", self.data, "--seed", str(self.seed), *canvas, *self.options]


MNIST_FILE = "mnist6000.npz"
MNIST_OPTIONS = ("--epochs", "4", "--batch-size", "64", "--random-shift", "2")
NETWORKS = {
    "digits0": Network("digits", 0),
    "digits1": Network("digits", 1),
    "mnist0": Network(MNIST_FILE, 0, MNIST_OPTIONS),
    "mnist_thin1": Network(MNIST_FILE, 1, ("--arch", "odenet-thin", *MNIST_OPTIONS)),
    "digits_canvas2": Network("digits", 2, ("--epochs", "40"), canvas_scale=2),
}


class Digits(NamedTuple):
    """Correctly classified test digits.

    Attributes:
        x: (n, h, w, 1) uint8, white on black.
        y: (n,), classes.
        cell_of_pixel: (h, w), index of the cell whose center is nearest.
        has_ink: (n, cells), whether a cell contains a pixel of ink.
        random_order: (n, cells), uniform random numbers.
    """

    x: np.ndarray
    y: np.ndarray
    cell_of_pixel: np.ndarray
    has_ink: np.ndarray
    random_order: np.ndarray


class DepthArrays(NamedTuple):
    """z(t), a(t) and f(t, z) of each image at a depth, (n, u, v, k) each."""

    A: np.ndarray
    dA: np.ndarray
    f: np.ndarray


class Scores(NamedTuple):
    """The results of a method at a depth, (n,) each.

    Attributes:
        peak: whether the largest cell contains ink; for chance, the fraction of cells with ink.
        deletion: mean probability of the class while cells are deleted.
    """

    peak: np.ndarray
    deletion: np.ndarray

    def __str__(self) -> str:
        return f"{self.peak.mean():.2f} / {self.deletion.mean():.2f}"


def main() -> None:
    """Train the missing networks and print their tables."""
    parser = argparse.ArgumentParser(description="Measure maps along depth on digits.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("mnist", nargs="?", default="mnist", help="an .npz file with MNIST")
    parser.add_argument("--images", type=int, default=350, help="maximum number of test digits")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--methods", nargs="*", default=list(MEASURED_METHODS))
    arguments = parser.parse_args()
    for name in arguments.networks:
        train_missing(arguments.directory, name, arguments.mnist)
        print_table(arguments.directory, name, arguments.images, arguments.methods)


def train_missing(directory: Path, name: str, mnist: str) -> None:
    """Train a network of `NETWORKS` unless its file exists."""
    network = NETWORKS[name]
    if network.data == MNIST_FILE and not (directory / MNIST_FILE).exists():
        draw_mnist(mnist, directory / MNIST_FILE)
    if not (directory / f"{name}.keras").exists():
        command = ["neuralode", "train", *network.arguments(), "-o", f"{name}.keras", "--quiet"]
        subprocess.run([sys.executable, "-m", "gradcam_cli", *command], cwd=directory, check=True)


def draw_mnist(mnist: str, path: Path) -> None:
    """Write a random part of MNIST as a data set."""
    data, rng = load_data(mnist), np.random.default_rng(0)
    train, test = (rng.permutation(len(x))[:n] for x, n in zip((data.x_train, data.x_test), MNIST_IMAGES, strict=True))
    x_train, y_train, x_test, y_test = data.x_train[train], data.y_train[train], data.x_test[test], data.y_test[test]
    np.savez_compressed(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def print_table(directory: Path, name: str, count: int, methods: list[str]) -> None:
    """Measure the methods on a network and print a table in Markdown."""
    network = NETWORKS[name]
    model = load_model_file(directory / f"{name}.keras", allow_unsafe=False)
    path = str(directory / network.data) if network.data == MNIST_FILE else network.data
    data = load_dataset(DataConfig(path, canvas_scale=network.canvas_scale, seed=network.seed))
    predict = compile_predict(model)
    is_correct = predict(data.x_test).argmax(axis=1) == data.y_test
    x, y = data.x_test[is_correct][:count], data.y_test[is_correct][:count]
    arrays = depth_arrays(model, x)
    digits = digits_with_ink(x, y, arrays[0].A.shape[1:3])
    orders = np.random.default_rng(1).uniform(size=(RANDOM_ORDERS, *digits.has_ink.shape))
    in_random_order = np.stack([deletion(predict, digits, order) for order in orders])
    chance = Scores(digits.has_ink.mean(axis=1), in_random_order.mean(axis=0))
    ink_first = deletion(predict, digits, digits.has_ink + digits.random_order)
    u, v = arrays[0].A.shape[1:3]
    print(f"\n{name}: accuracy {is_correct.mean():.3f}, {len(x)} digits, {u}x{v} cells")
    print(f"cells with ink in a random order, then the others: deletion {ink_first.mean():.2f}\n")
    print("| method | " + " | ".join(f"t = {t:g}" for t in DEPTHS) + " | peak, errors | deletion, errors |")
    print("|---" * (len(DEPTHS) + 3) + "|")
    print(f"| chance | {' | '.join([str(chance)] * len(DEPTHS))} | | |")
    for method in methods:
        maps = [maps_of(method, depth) for depth in (arrays[:1] if METHODS[method].kind == "baseline" else arrays)]
        results = [Scores(peak_on_ink(digits, L), deletion(predict, digits, L)) for L in maps]
        results *= len(DEPTHS) // len(results)
        peak_errors = min(standard_errors(result.peak - chance.peak) for result in results)
        deletion_errors = min(standard_errors(chance.deletion - result.deletion) for result in results)
        cells = [*map(str, results), f"{peak_errors:+.1f}", f"{deletion_errors:+.1f}"]
        print(f"| `{method}` | {' | '.join(cells)} |", flush=True)


def compile_predict(model: Any) -> Predict:
    """Compile a model that returns logits to a function that returns probabilities, batch by batch."""
    probabilities = tf.function(lambda x: tf.nn.softmax(model(x, training=False)), autograph=False)

    def predict(x: np.ndarray) -> np.ndarray:
        batches = (tf.constant(x[i : i + BATCH_SIZE], tf.float32) for i in range(0, len(x), BATCH_SIZE))
        return np.concatenate([probabilities(batch).numpy() for batch in batches])

    return predict


def depth_arrays(model: Any, x: np.ndarray) -> list[DepthArrays]:
    """Return z(t), a(t) and f(t, z) of the class with the largest score, for each of `DEPTHS`."""
    gradients, parts = compile_depth_gradients(model, find_block(model), DEPTHS), []
    for i in range(0, len(x), BATCH_SIZE):
        batch = x[i : i + BATCH_SIZE].astype(np.float32)
        parts.append(gradients(batch, np.full((len(batch), 1), -1)))
    return [
        DepthArrays(
            *(np.concatenate(arrays) for arrays in zip(*((p.A[d], p.dA[d][0], p.f[d]) for p in parts), strict=True))
        )
        for d in range(len(DEPTHS))
    ]


def digits_with_ink(x: np.ndarray, y: np.ndarray, cells: tuple[int, int]) -> Digits:
    """Return digits with their ink in each of (u, v) cells."""
    rows, columns = (
        np.floor((np.arange(side) + 0.5) * n / side).astype(int) for side, n in zip(x.shape[1:3], cells, strict=True)
    )
    cell_of_pixel = rows[:, None] * cells[1] + columns
    has_ink = np.zeros((len(x), cells[0] * cells[1]), bool)
    for ink, image in zip(has_ink, x, strict=True):
        np.logical_or.at(ink, cell_of_pixel, image[..., 0] >= INK)
    return Digits(x, y, cell_of_pixel, has_ink, np.random.default_rng(0).uniform(size=has_ink.shape))


def maps_of(method: str, arrays: DepthArrays) -> np.ndarray:
    """Return the maps of a method, (n, cells), each divided by its maximum."""
    function = METHODS[method].function
    inputs = zip(*(arrays if METHODS[method].kind == "depth" else arrays[:2]), strict=True)
    L = np.stack([function(*each).map.ravel() for each in inputs])
    L /= np.maximum(L.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return L


def peak_on_ink(digits: Digits, L: np.ndarray) -> np.ndarray:
    """Return 1 for each map of (n, cells) whose largest cell contains ink, otherwise 0; a zero map has no peak."""
    hits: np.ndarray = digits.has_ink[np.arange(len(L)), L.argmax(axis=1)] & (L.max(axis=1) > 0)
    return hits.astype(float)


def standard_errors(differences: np.ndarray) -> float:
    """Return the mean of paired differences (n,) divided by its standard error."""
    return float(differences.mean() / (differences.std(ddof=1) / np.sqrt(len(differences))))


def deletion(predict: Predict, digits: Digits, importance: np.ndarray) -> np.ndarray:
    """Return the mean probability (n,) of the class while the most important cells are set to black; ties are random.

    Args:
        predict: the network.
        digits: n test digits.
        importance: (n, cells).
    """
    order = np.lexsort((digits.random_order, -importance), axis=1)
    rank = order.argsort(axis=1)[:, digits.cell_of_pixel]  # (n, h, w)
    n, num_cells = importance.shape
    deleted = [np.where(rank[..., None] < round(p * num_cells), 0, digits.x) for p in DELETED_FRACTIONS]
    probabilities: np.ndarray = np.mean([predict(x)[np.arange(n), digits.y] for x in deleted], axis=0)
    return probabilities


if __name__ == "__main__":
    main()
