"""A data set that a small network fits within seconds."""

import numpy as np

from gradcam_cli.neuralode.training.datasets import Dataset


def halves(n=48, side=8):
    """Images with a bright left or right half, in two classes."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 60, (n, side, side, 1), dtype=np.uint8), np.arange(n) % 2
    x[y == 0, :, : side // 2] += 150
    x[y == 1, :, side // 2 :] += 150
    return Dataset(x, y, x[:8], y[:8], ("left", "right"))
