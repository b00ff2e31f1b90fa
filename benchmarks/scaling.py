"""Measure whether the time of a run is a straight line in the number of photos, layers, classes and methods.

For each of the four numbers, one number grows and the others stay at one. The times are fitted by a line; the table has
its slope and intercept, and the largest distance of a time from the line, relative to that time. Rounds are taken in
turn, and the minimum of the rounds counts.

Examples:
    python benchmarks/scaling.py sample_images --model lite0
    python benchmarks/scaling.py sample_images --model vgg19 --weights vgg19.h5 --rounds 5
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hardware import commit_of, describe_hardware
from venvs import ROOT

import gradcam_cli as gc
from gradcam_cli.network.layer_info import layer_info

METHODS = ("gradcam", "gradcam++", "xgradcam", "layercam", "hirescam")
"""Methods that share one pass, and sum over the channels of A."""
NUMBERS = {"photos": (8, 16, 32, 64), "layers": (1, 2, 4, 8), "classes": (1, 2, 4, 8, 16), "methods": (1, 2, 3, 4, 5)}
PHOTOS = 8
"""Photos of the runs in which another number grows: one batch."""


def main() -> None:
    """Print the table."""
    options = parse_options()
    classifier = gc.load_model(options.model, weights=options.weights)
    listed = [layer_info(output, classifier.check_layer) for output in classifier.layer_outputs]
    spatial = [layer.path for layer in listed if not layer.excluded]
    photos = [str(path) for path in sorted(options.image_dir.rglob("*")) if path.suffix in (".jpg", ".png")]
    runs = {
        "photos": lambda n: run(classifier, photos, photos=n),
        "layers": lambda n: run(classifier, photos, layers=spatial[-n:]),
        "classes": lambda n: run(classifier, photos, classes=list(range(n))),
        "methods": lambda n: run(classifier, photos, methods=METHODS[:n]),
    }
    print(f"{options.model}, {describe_hardware()}; gradcam {commit_of(ROOT)}, {options.rounds} rounds\n")
    print("| number of | seconds | slope (ms) | at none (ms) | largest distance |\n| --- | --- | ---: | ---: | ---: |")
    for name, numbers in NUMBERS.items():
        print(row(name, numbers, runs[name], options.rounds))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image_dir", type=Path)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--weights")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def run(
    classifier: gc.Classifier,
    files: list[str],
    *,
    photos: int = PHOTOS,
    layers: list[str] | str = "auto",
    classes: list[int] | str = "top",
    methods: tuple[str, ...] = METHODS[:1],
) -> None:
    """Explain photos, cyclically if there are fewer files, and draw nothing."""
    images = list(itertools.islice(itertools.cycle(files), photos))
    for _ in gc.explain_many(images, classifier, layers=layers, classes=classes, methods=methods, batch_size=PHOTOS):
        pass


def row(name: str, numbers: tuple[int, ...], measured: Callable[[int], None], rounds: int) -> str:
    """Measure a run for each number, and return a row of the table."""
    for number in numbers:
        measured(number)  # traced, and the files in the page cache
    seconds = [min(times) for times in zip(*(turn(numbers, measured) for _ in range(rounds)), strict=True)]
    slope, intercept = np.polyfit(numbers, seconds, 1)
    distance = max(abs(slope * n + intercept - s) / s for n, s in zip(numbers, seconds, strict=True))
    times = ", ".join(f"{number}: {second:.2f}" for number, second in zip(numbers, seconds, strict=True))
    return f"| {name} | {times} | {1e3 * slope:.1f} | {1e3 * intercept:.0f} | {distance:.1%} |"


def turn(numbers: tuple[int, ...], measured: Callable[[int], None]) -> list[float]:
    """Return the seconds of one run for each number."""
    times = []
    for number in numbers:
        start = time.perf_counter()
        measured(number)
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
