"""How wrong gradients are: `train_judge.py INPUTS NETWORK FILE...`, where gradcam is installed.

Prints a JSON list with an object for each .npz file of gradients of the first batch's loss: |g - g*| / |g*| over the
parameters of f, and over those before it. g* is computed in float64 with close tolerances, exactly for the steps that
are taken.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
from train_harness import FIELD, Arrays
from train_ours import gradient

from gradcam_cli.neuralode.layers.odenet import build_classifier
from gradcam_cli.neuralode.training.datasets import DIGITS

CLOSE = 1e-6


def main(inputs: Path, network: str, *paths: Path) -> None:
    """Print the errors."""
    exact = exact_gradient(inputs, network)
    print(json.dumps([errors(dict(np.load(path)), exact) for path in paths]))


def exact_gradient(inputs: Path, network: str) -> Arrays:
    """Return g*."""
    keras.config.set_floatx("float64")
    options = {"rtol": CLOSE, "atol": CLOSE, "gradient": "discrete"}
    model = build_classifier((28, 28, 1), DIGITS, activation=network, **options)
    with np.load(inputs / "weights.npz") as weights, np.load(inputs / "batches.npz") as batches:
        for weight in model.trainable_weights:
            weight.assign(weights[weight.path])
        return gradient(model, batches["x"][0], batches["y"][0])


def errors(found: Arrays, exact: Arrays) -> dict[str, float]:
    """Return both errors."""
    parts = {"f": [path for path in exact if path.startswith(FIELD)]}
    parts["stem"] = [path for path in exact if path.startswith("stem")]
    return {name: distance(found, exact, paths) for name, paths in parts.items()}


def distance(found: Arrays, exact: Arrays, paths: list[str]) -> float:
    """Return how far these gradients are from the exact ones."""
    apart, whole = (np.concatenate([x[path].ravel() for path in paths]) for x in (found, exact))
    return float(np.linalg.norm(apart - whole) / np.linalg.norm(whole))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(Path, sys.argv[3:]))
