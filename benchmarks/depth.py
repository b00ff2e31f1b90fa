"""Where a classifier looks along its depth: digits placed at random on a canvas, and the peaks of their maps.

Usage:
    GRADCAM_TEST_DATA=DIR python benchmarks/depth.py [--epochs 10] [--model FILE.keras]

An ODE-Net learns 12,000 of MNIST's digits on canvases of twice their side (DIR/mnist.npz). It keeps a plane of 13x13
cells: on the 6x6 of the usual stem a cell is as wide as a third of the digit. Of the first 500 test digits that it
recognises, each placed at random, the share is counted whose peak lies within the digit's square, for maps at several
depths t. Written: depth.json, depth.png (the share along t) and depth_examples.png.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from gradcam_cli.images.load import Photo
from gradcam_cli.models.classifier import load_model
from gradcam_cli.neuralode.explain.depth import prepare_depths, read_depths
from gradcam_cli.neuralode.explain.plots import enlarged_overlay
from gradcam_cli.neuralode.layers.ode_block import find_block
from gradcam_cli.neuralode.layers.odenet import build_classifier
from gradcam_cli.neuralode.training.config import Recipe
from gradcam_cli.neuralode.training.datasets import Data, load_data, on_canvas
from gradcam_cli.neuralode.training.evaluate import evaluate
from gradcam_cli.neuralode.training.trainer import Trainer
from gradcam_cli.output.figures import encode_figure, sheet
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.config import Request
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.storage.files import write

FACTOR, LEARNED, CASES, FRAMES, EXAMPLES = 2, 12_000, 500, 11, 5
STEM = 2
"""Strided convolutions."""
METHODS = ("gradcam", "hirescam", "layercam")


def placed() -> tuple[Data, np.ndarray]:
    """Return digits on canvases, and where those of the test are, (m, 4)."""
    mnist = load_data(os.path.join(os.environ["GRADCAM_TEST_DATA"], "mnist.npz"))
    fewer = mnist._replace(x_train=mnist.x_train[:LEARNED], y_train=mnist.y_train[:LEARNED])
    return on_canvas(fewer._replace(x_test=mnist.x_test[:600], y_test=mnist.y_test[:600]), FACTOR, seed=0)


def main() -> None:
    """Learn, count and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--model", type=Path, help="saved after its training, or read where it is there")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    data, boxes = placed()
    if asked.model and asked.model.exists():
        model = load_model(asked.model).model
    else:
        model = learn(data, asked.epochs)
        if asked.model:
            model.save(asked.model)
    accuracy = evaluate(model, data.x_test, data.y_test).accuracy(data.y_test)
    depths, hits, examples = count(model, data, boxes)
    others = {method: count(model, data, boxes, method)[1] for method in METHODS[1:]}
    found = {
        "accuracy": round(accuracy, 4),
        "cases": len(hits),
        "depths": [round(t, 3) for t in depths],
        "peak_on_digit": {method: along(one) for method, one in {METHODS[0]: hits, **others}.items()},
        "chance": 1 / FACTOR**2,
    }
    write(asked.out / "depth.json", (json.dumps(found, indent=1) + "\n").encode())
    write(asked.out / "depth.png", encode_figure(draw(found)))
    write(asked.out / "depth_examples.png", encode_figure(sheet(examples, dpi=80)))
    print(json.dumps(found))


def learn(data: Data, epochs: int) -> keras.Model:
    """Train the network."""
    keras.utils.set_random_seed(0)
    model = build_classifier(data.x_train.shape[1:], data.labels, stem=STEM)
    for epoch in Trainer(model, data, Recipe(epochs=epochs, crop=8)).epochs():
        print(f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}", flush=True)
    return model


def along(hits: np.ndarray) -> list[float]:
    """Return the share of hits at each depth."""
    return [round(float(share), 4) for share in hits.mean(axis=0)]


def count(
    model: keras.Model, data: Data, boxes: np.ndarray, method: str = METHODS[0]
) -> tuple[list[float], np.ndarray, list[list[tuple[str, np.ndarray]]]]:
    """Return the depths, whether each recognised digit's peak lies on it (cases, depths), and rows of examples."""
    classifier = load_model(model)
    block = find_block(model)
    depths = read_depths(block, frames=FRAMES)
    run = prepare_depths(classifier, Request(methods=(method,), batch_size=60), depths, block)
    photos = [Photo(f"{i}", np.repeat(x, 3, axis=-1)) for i, x in enumerate(data.x_test)]
    hits, examples = [], []
    for i, result in enumerate(stages.explain_photos(run, photos)):
        if len(hits) == CASES:
            break
        if not isinstance(result, list) or result[0].prediction.index != data.y_test[i]:
            continue
        hits.append([on_digit(one, boxes[i]) for one in result])
        if len(examples) < EXAMPLES:
            examples.append(row(result, depths))
    return depths, np.array(hits), examples


def on_digit(one: Explanation, box: np.ndarray) -> bool:
    """Whether the middle of the peak's pixel lies in the box; a map of zeros has no peak."""
    if one.peak is None:
        return False
    (x, y), (x0, y0, x1, y1) = one.peak, box
    return bool(x0 <= x < x1 and y0 <= y < y1)


def row(result: list[Explanation], depths: list[float]) -> list[tuple[str, np.ndarray]]:
    """Return the canvas and its maps at every second depth."""
    first = result[0]
    clear = enlarged_overlay(first.photo, first.map, first.view, "jet", 0.0)
    maps = [
        (f"t = {t:.1f}", enlarged_overlay(one.photo, one.map, one.view, "jet", 0.5))
        for one, t in list(zip(result, depths, strict=True))[::2]
    ]
    return [(f"{first.prediction}", clear), *maps]


def draw(found: dict[str, Any]) -> Figure:
    """Draw the share of peaks on the digit along depth."""
    figure = Figure(figsize=(6, 3.4), dpi=130, layout="constrained")
    axes = figure.subplots()
    for method, shares in found["peak_on_digit"].items():
        axes.plot(found["depths"], shares, "o-", markersize=4, label=method)
    axes.axhline(found["chance"], color="0.6", linestyle=":", label="chance: the digit's share of the canvas")
    axes.set(xlabel="depth t", ylabel="peak lies on the digit", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    main()
