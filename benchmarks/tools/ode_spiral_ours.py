"""gradcam learns the spiral: `ode_spiral_ours.py INPUTS OUT ITERATIONS xla|graph`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from gradcam_cli.neuralode.demos.spiral import SpiralNetwork, Trajectory, learn

EVERY = 20
NAMES = ("w1", "b1", "w2", "b2")


def main(inputs: Path, out: Path, iterations: int, way: str) -> None:
    """Learn, write the weights after each 20 iterations, and print a line of JSON.

    Tracing and compiling are part of the seconds, but not of an iteration's.
    """
    with np.load(inputs) as file:
        given = dict(file)
    f = SpiralNetwork()
    f.set_weights([given[name] for name in NAMES])
    data, batches = Trajectory(given["t"], given["z"]), given["batches"][:iterations]
    start, times, weights = time.perf_counter(), [], []
    for _ in learn(f, data, batches, every=EVERY, jit_compile=way == "xla"):
        weights.append(f.get_weights())
        times.append(time.perf_counter() - start)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, **{name: np.stack(some) for name, some in zip(NAMES, zip(*weights, strict=True), strict=True)})
    an_iteration = (times[-1] - times[0]) / (iterations - EVERY)
    print(json.dumps({"iterations": iterations, "seconds": times[-1], "an_iteration": an_iteration}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
