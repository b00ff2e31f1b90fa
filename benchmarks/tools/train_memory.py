"""How much memory training takes: `train_memory.py INPUTS NETWORK GRADIENT TOLERANCE`, where gradcam is installed.

gradcam's ODE-Net takes a few training steps in float64, lest the tolerance be below the rounding; it is that of both
solves. Prints a line of JSON: the evaluations of a training step, of `discrete` also the steps that were accepted, and
the peak resident memory of the process.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from train_harness import RATE, THREADS

from gradcam_cli.neuralode.layers.odenet import build_classifier
from gradcam_cli.neuralode.training.config import Recipe
from gradcam_cli.neuralode.training.datasets import DIGITS, Data
from gradcam_cli.neuralode.training.trainer import Trainer

STEPS = 2
STAGES = 6
"""Evaluations of dopri5 where no error is estimated; `discrete` takes each step twice, and counts both."""


def main(inputs: Path, network: str, gradient: str, tolerance: float) -> None:
    """Learn, and print."""
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    keras.config.set_floatx("float64")
    options: dict[str, Any] = dict.fromkeys(("rtol", "atol", "adjoint_rtol", "adjoint_atol"), tolerance)
    model = build_classifier((28, 28, 1), DIGITS, activation=network, gradient=gradient, **options)
    with np.load(inputs / "weights.npz") as weights, np.load(inputs / "batches.npz") as batches:
        for weight in model.trainable_weights:
            weight.assign(weights[weight.path])
        x, y = batches["x"][:STEPS], batches["y"][:STEPS]
    trainer = Trainer(model, Data(x[0], y[0], x[0], y[0], DIGITS), Recipe(learning_rate=RATE, schedule="constant"))
    for pixels, classes in zip(x, y, strict=True):
        trainer.step(tf.constant(pixels, tf.float64), tf.constant(classes))
    block = trainer.block
    forward, backward = (int(count) / STEPS for count in (block.forward_evaluations, block.backward_evaluations))
    record = {
        "forward_evaluations": forward,
        "backward_evaluations": backward,
        "accepted": backward / (2 * STAGES) if gradient == "discrete" else None,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
