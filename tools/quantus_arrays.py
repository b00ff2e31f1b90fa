"""Arrays on which metrics are compared with Quantus, and a small model; NumPy alone, as Quantus runs elsewhere."""

import numpy as np

RNG = np.random.default_rng(2026)
L = RNG.uniform(0.02, 1, (6, 8))
"""A map."""
LS = np.clip(L + RNG.normal(0, 0.1, (5, 6, 8)), 0.02, 1)
"""Maps of five noisy inputs."""
X = RNG.uniform(0.02, 1, (3, 6, 8))
"""An input, channels first as Quantus takes it."""
XS = np.clip(X + RNG.uniform(-0.05, 0.05, (5, 3, 6, 8)), 0.02, 1)
"""Five noisy inputs."""
MASK = RNG.random((6, 8)) < 0.4
"""The pixels of an object."""
OTHER = RNG.uniform(0, 1, (5, 6, 8))
"""Maps of the noisy inputs for another model."""
WEIGHTS = RNG.normal(0, 1, (3, 144))
"""Of the model, (classes, values of an input)."""


def scores(inputs: np.ndarray) -> np.ndarray:
    """Return the scores (n, 3) of inputs (n, 3, 6, 8): not linear, class 1 always first."""
    products = inputs.reshape(len(inputs), -1) @ WEIGHTS.T
    y: np.ndarray = products + 0.05 * products**2 + np.array([0, 1000, 0])
    return y
