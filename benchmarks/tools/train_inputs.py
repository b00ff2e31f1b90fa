"""Write what all contenders begin with: `train_inputs.py DIR MNIST STEPS`, where gradcam is installed.

weights.npz holds the weights of an ODE-Net for MNIST by their paths, as they are drawn for a given seed; batches.npz
the pixels and classes of each step.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from gradcam_cli.neuralode.layers.odenet import build_classifier
from gradcam_cli.neuralode.training.batches import draw_batches
from gradcam_cli.neuralode.training.datasets import load_data

SEED, BATCH = 0, 128


def main(directory: Path, mnist: str, steps: int) -> None:
    """Write both."""
    data = load_data(mnist)
    keras.utils.set_random_seed(SEED)
    model = build_classifier(data.x_train.shape[1:], data.labels)
    batches = draw_batches(data.x_train, data.y_train, BATCH, SEED, 0, 0, False)
    x, y = zip(*(batch for batch, _ in zip(batches, range(steps), strict=False)), strict=True)
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / "batches.npz", x=np.stack(x), y=np.stack(y))
    np.savez(directory / "weights.npz", **{w.path: w.numpy() for w in model.trainable_weights})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
