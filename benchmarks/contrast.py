"""Measure how much of a map's heat lies in the right quarter of a mosaic, with and without a contrast.

A mosaic has four photos of four classes. For each of its classes, all heat outside the quarter of that class is wrong.
The file names of the photos begin with their WordNet ids; photos that the model does not recognize are left out.

With --cost, the time of a batch with a contrast is measured instead, in turn with that of the same batch without one.

Examples:
    python benchmarks/contrast.py DIR --model vgg19 --weights vgg19.h5 --precision bfloat16
    python benchmarks/contrast.py DIR --model lite0 --cost 20
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from hardware import describe_hardware
from PIL import Image, ImageOps

import gradcam_cli as gc
from gradcam_cli.network.contrast import Contrast

SURE = 0.5
"""Smallest probability of the class of a photo."""
QUARTERS = [(0, 0), (0, 1), (1, 0), (1, 1)]
"""Row and column of each photo."""


def main() -> None:
    """Print the table."""
    options = parse_options()
    classifier = gc.load_model(options.model, weights=options.weights)
    if options.cost:
        print(cost(classifier, options))
        return
    tiles = recognized(options.image_dir, classifier, options.precision)
    print(f"{len(tiles)} photos with p >= {SURE}, {options.mosaics} mosaics; {describe_hardware()}")
    shares: dict[str, list[list[float]]] = {"Grad-CAM": [], "against the other three": [], "against nearest": []}
    start = time.perf_counter()
    for mosaic, classes in mosaics(tiles, options.mosaics, options.seed):

        def maps(classes: list[int], against: object = (), image: np.ndarray = mosaic) -> list[np.ndarray]:
            found = gc.explain_many(
                [image],
                classifier,
                classes=classes,
                against=against,
                gamma=options.gamma,
                precision=options.precision,
                progress=False,
            )
            return [each.heatmap for each in found]

        others = [maps([c], [d for d in classes if d != c])[0] for c in classes]
        drawn = (maps(classes), others, maps(classes, "nearest"))
        for name, each in zip(shares, drawn, strict=True):
            shares[name].append([share(heatmap, quarter) for heatmap, quarter in zip(each, QUARTERS, strict=True)])
    print(f"{time.perf_counter() - start:.0f} s\n")
    print("| map | share of the heat in the right quarter | 95 % interval |\n|---|---|---|")
    for name, values in shares.items():
        means = np.nanmean(values, axis=1)  # a map that is zero everywhere has no share
        low, high = interval(means)
        print(f"| {name} | {means.mean():.2f} | {low:.2f} to {high:.2f} |")


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image_dir", type=Path)
    parser.add_argument("--model", default="vgg19")
    parser.add_argument("--weights")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--mosaics", type=int, default=40)
    parser.add_argument("--gamma", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cost", type=int, metavar="N", help="measure the time of N batches")
    parser.add_argument("--batch-size", type=int, default=16, help="of --cost")
    return parser.parse_args()


def cost(classifier: gc.Classifier, options: argparse.Namespace) -> str:
    """Return the median time of a batch with a contrast relative to the same batch without it, and their quartiles."""
    layer = classifier.find_layer("auto")
    network = classifier.traced.gradient_function((layer,), "logit", options.precision)
    n = options.batch_size
    x = np.random.default_rng(0).uniform(-1, 1, (n, *classifier.input_shape)).astype(np.float32)
    top = np.full((n, 1), -1, np.int32)
    contrast = Contrast(np.broadcast_to(np.int32([-1, -2, -3]), (n, 1, 3)), options.gamma)
    pairs = [[timed(network, x, top), timed(network, x, top, contrast)] for _ in range(options.cost + 2)]
    seconds = np.array(pairs[2:])  # the first ones compile
    low, middle, high = np.quantile(seconds[:, 1] / seconds[:, 0], (0.25, 0.5, 0.75))
    plain, contrasted = seconds.min(axis=0)
    return (
        f"{options.model}, {n} images, {options.cost} batches in turn: fastest {plain:.3f} s without, "
        f"{contrasted:.3f} s with ({contrasted / plain - 1:+.1%}); ratio of each pair {middle:.3f} "
        f"(quartiles {low:.3f} to {high:.3f}); {describe_hardware()}"
    )


def timed(network: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    network(*arguments)
    return time.perf_counter() - start


def recognized(directory: Path, classifier: gc.Classifier, precision: str) -> list[tuple[np.ndarray, int]]:
    """Return the center of each photo whose class is predicted, at half the size of the model input, and its class."""
    side = classifier.input_shape[0] // 2
    tiles, labels = [], []
    for path in sorted(directory.iterdir()):
        wordnet = path.name.split("_")[0]
        if wordnet in classifier.labels.ids:
            with Image.open(path) as image:
                tiles.append(np.asarray(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)))
            labels.append(classifier.labels.ids.index(wordnet))
    found = gc.explain_many(tiles, classifier, precision=precision, progress=False)
    sure = [each.prediction for each in found]
    return [
        (tile, label)
        for tile, label, p in zip(tiles, labels, sure, strict=True)
        if p.index == label and p.probability >= SURE
    ]


def mosaics(tiles: list[tuple[np.ndarray, int]], count: int, seed: int) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Yield mosaics of four photos of different classes, (h, w, 3) uint8, and their classes, as QUARTERS has them."""
    random = np.random.default_rng(seed)
    while count:
        chosen = [tiles[i] for i in random.choice(len(tiles), 4, replace=False)]
        if len({label for _, label in chosen}) == 4:
            a, b, c, d = (tile for tile, _ in chosen)
            yield np.vstack([np.hstack([a, b]), np.hstack([c, d])]), [label for _, label in chosen]
            count -= 1


def share(heatmap: np.ndarray, quarter: tuple[int, int]) -> float:
    """Return the part of the heat that lies in a quarter; NaN for a map that is zero everywhere."""
    h, w = heatmap.shape[0] // 2, heatmap.shape[1] // 2
    row, column = quarter
    total = float(heatmap.sum())
    inside = float(heatmap[row * h : (row + 1) * h, column * w : (column + 1) * w].sum())
    return inside / total if total else float("nan")


def interval(values: np.ndarray, resamples: int = 2000) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean by the bootstrap over mosaics."""
    random = np.random.default_rng(0)
    means = random.choice(values, (resamples, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


if __name__ == "__main__":
    main()
