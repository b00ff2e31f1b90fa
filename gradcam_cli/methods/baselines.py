"""Class-agnostic baselines for the evaluation of methods; their maps have the spatial shape of A."""

from __future__ import annotations

import zlib

import numpy as np

from gradcam_cli.methods.cam import Cam

CENTER_SIGMA = 1 / 3
"""Standard deviation of the center prior, as a fraction of half a side."""


def random_map(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Uniform random values in 0..1; equal activations give equal values."""
    seed = zlib.crc32(np.ascontiguousarray(A).tobytes())
    return Cam(None, np.random.default_rng(seed).uniform(size=A.shape[:-1]).astype(np.float32))


def center_prior(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Gaussian center prior: objects are often near the image center.

    L = exp(-(x^2 + y^2) / (2 sigma^2)),  x and y from -1 to 1 over the spatial dimensions, sigma = 1/3
    """
    positions = (np.abs((np.arange(side) + 0.5) / side * 2 - 1) for side in A.shape[:-1])
    squares = sum(x**2 for x in np.meshgrid(*positions, indexing="ij"))
    return Cam(None, np.exp(-squares / (2 * CENTER_SIGMA**2)).astype(np.float32))


def uniform_map(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Constant map of ones."""
    return Cam(None, np.ones(A.shape[:-1], np.float32))
