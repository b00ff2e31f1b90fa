"""Write what all tools start from: `make_inputs.py DIR odes`, or `make_inputs.py DIR training MNIST.npz STEPS`.

For the ODEs: z0, the cotangent g of z(T1), the parameters theta of f, and z(T1) and dL/dtheta as gradcam computes them
in float64 with close tolerances. For the training: starting weights by their Keras paths, and batches of MNIST.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from run_ode_gradcam import prepare
from run_training_gradcam import build_network

SEED, BATCH = 0, 128
CLOSE = 1e-8


def write_odes(directory: Path) -> None:
    """Write a 2-50-2 network that approximates a slow spiral, and 32 states, in float32.

    The output layer is fitted by least squares, so that the states keep moving and need many steps.
    """
    rng = np.random.default_rng(SEED)
    points = rng.uniform(-3, 3, (2000, 2))
    w1, b1 = rng.normal(size=(2, 50)), rng.normal(size=50)
    hidden = np.column_stack([np.tanh(points @ w1 + b1), np.ones(len(points))])
    w2 = np.linalg.lstsq(hidden, points @ [[-0.02, 2.0], [-2.0, -0.02]], rcond=1e-4)[0]
    theta = {"theta/w1": w1, "theta/b1": b1, "theta/w2": w2[:-1], "theta/b2": w2[-1]}
    arrays = {"z0": rng.uniform(0.5, 1.5, (32, 2)), "g": rng.normal(size=(32, 2)), **theta}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    solver = prepare({name: array.astype(np.float64) for name, array in arrays.items()}, CLOSE, CLOSE)
    exact = {f"exact/{name}": array for name, array in solver.gradient().items()}
    np.savez(directory / "odes.npz", z1=solver.forward(), **arrays, **exact)


def write_training(directory: Path, mnist: str, steps: int) -> None:
    """Write a file for each network; all have the same batches."""
    with np.load(mnist) as file:
        x_train, y_train = file["x_train"], file["y_train"]
    order = np.random.default_rng(SEED).permutation(len(x_train))[: steps * BATCH].reshape(steps, BATCH)
    batches = {"x": x_train[order][..., np.newaxis], "y": y_train[order].astype(np.int64)}
    for name in ("relu", "softplus", "stem-only"):
        keras.utils.set_random_seed(SEED)
        weights = {f"weights/{weight.path}": weight.numpy() for weight in build_network(name).trainable_weights}
        np.savez(directory / f"{name}.npz", **batches, **weights)


if __name__ == "__main__":
    directory, kind, *arguments = sys.argv[1:]
    Path(directory).mkdir(parents=True, exist_ok=True)
    if kind == "odes":
        write_odes(Path(directory))
    else:
        write_training(Path(directory), arguments[0], int(arguments[1]))
