"""Class-agnostic baselines: maps that a method has to beat."""

from __future__ import annotations

import zlib

import numpy as np

from gradcam_cli.methods.cam import Cam

CENTER_SIGMA = 1 / 3


def random_map(A: np.ndarray, dA: np.ndarray) -> Cam:
    """A baseline that knows nothing: cells drawn uniformly from 0 to 1, the same for the same activations."""
    seed = zlib.crc32(np.ascontiguousarray(A).tobytes())
    return Cam(None, np.random.default_rng(seed).uniform(size=A.shape[:2]).astype(np.float32))


def center_prior(A: np.ndarray, dA: np.ndarray) -> Cam:
    """A baseline that bets on the middle of the picture, where photographers put things.

    L = exp(-(x^2 + y^2) / (2 sigma^2)),  x and y from -1 to 1 over the plane, sigma = 1/3
    """
    y, x = (np.abs((np.arange(side) + 0.5) / side * 2 - 1) for side in A.shape[:2])
    return Cam(None, np.exp(-(y[:, None] ** 2 + x**2) / (2 * CENTER_SIGMA**2)).astype(np.float32))


def uniform_map(A: np.ndarray, dA: np.ndarray) -> Cam:
    """A baseline that points everywhere: 1 in every cell."""
    return Cam(None, np.ones(A.shape[:2], np.float32))
