"""Write what all contenders begin with: `ode_inputs.py DIR ITERATIONS SEEDS`, where gradcam is installed.

tiny.npz and convolutional.npz hold z0, a cotangent g and the parameters of f; spiral-SEED.npz holds the trajectory to
learn from, the starting weights, and the first points of each batch's pieces.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from ode_harness import Arrays

from gradcam_cli.neuralode.demos.spiral import SpiralNetwork, draw_batches, true_trajectory

SEED = 0
CHANNELS, SIDE, BATCH = 64, 6, 128


def tiny() -> Arrays:
    """Return a network of 2, 50 and 2 values, 32 states, and a slow spiral that the network approximates.

    The output layer is fitted by least squares, so that the states keep moving and need many steps.
    """
    rng = np.random.default_rng(SEED)
    points = rng.uniform(-3, 3, (2000, 2))
    w1, b1 = rng.normal(size=(2, 50)), rng.normal(size=50)
    hidden = np.column_stack([np.tanh(points @ w1 + b1), np.ones(len(points))])
    w2 = np.linalg.lstsq(hidden, points @ [[-0.02, 2.0], [-2.0, -0.02]], rcond=1e-4)[0]
    z0, g = rng.uniform(0.5, 1.5, (32, 2)), rng.normal(size=(32, 2))
    return _float32(z0=z0, g=g, w1=w1, b1=b1, w2=w2[:-1], b2=w2[-1])


def convolutional() -> Arrays:
    """Return the f of the paper's classifier, as torch would begin it, for 128 states of 6x6 with 64 channels.

    Norm, ReLU, convolution with the time as channel 0, and all that again, and a norm: kernels are
    (3, 3, 1 + 64, 64), scales and offsets (64,).
    """
    rng = np.random.default_rng(SEED)
    reach = 1 / np.sqrt(9 * (CHANNELS + 1))
    arrays = {}
    for i in (1, 2):
        arrays[f"kernel{i}"] = rng.uniform(-reach, reach, (3, 3, 1 + CHANNELS, CHANNELS))
        arrays[f"bias{i}"] = rng.uniform(-reach, reach, CHANNELS)
    for i in (1, 2, 3):
        arrays[f"scale{i}"] = rng.uniform(0.8, 1.2, CHANNELS)
        arrays[f"offset{i}"] = rng.uniform(-0.2, 0.2, CHANNELS)
    shape = (BATCH, SIDE, SIDE, CHANNELS)
    g = np.broadcast_to(rng.normal(size=(BATCH, 1, 1, CHANNELS)), shape)  # as behind a global average
    return _float32(z0=rng.normal(size=shape), g=g, **arrays)


def spiral(seed: int, iterations: int) -> Arrays:
    """Return the trajectory, the weights w1, b1, w2, b2 to start from, and (iterations, 20) first points."""
    data = true_trajectory()
    keras.utils.set_random_seed(seed)
    weights = dict(zip(("w1", "b1", "w2", "b2"), SpiralNetwork().get_weights(), strict=True))
    return {"t": data.t, "z": data.z, **weights, "batches": draw_batches(iterations, seed)}


def _float32(**arrays: np.ndarray) -> Arrays:
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def main(directory: Path, iterations: int, seeds: int) -> None:
    """Write the files."""
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / "tiny.npz", **tiny())
    np.savez(directory / "convolutional.npz", **convolutional())
    for seed in range(seeds):
        np.savez(directory / f"spiral-{seed}.npz", **spiral(seed, iterations))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
