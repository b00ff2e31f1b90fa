"""The full-gradient decomposition of the class score of a model: parts of the input and of all biases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.images.box import Box, part_of_box
from gradcam_cli.methods.fullgrad import BiasGradient, FullGradients
from gradcam_cli.network.biases import find_biases
from gradcam_cli.network.grid import Grid, grid_of
from gradcam_cli.network.layer_trace import TRACED_BATCH
from gradcam_cli.network.precision import precision_scope
from gradcam_cli.network.provenance.rule import State
from gradcam_cli.network.provenance.trace import trace_places

TOLERANCE = {"float32": 1e-3}
"""Largest difference of the score and the sum of its parts, relative to the sum of their absolute values."""
TOLERANCE_16_BIT = 0.05


class _Trace(NamedTuple):
    """A traced function of (x, c) with (y_c, parts) as its result, and the name and the grid of each bias."""

    function: Any
    biases: list[tuple[str, Grid | None]]


class FullGradientFunction:
    """Computes full gradients. An image is processed twice, in a batch in which the axis of the batch is known.

    Args:
        scores: a function of x (n, h, w, c) that returns y (n, classes); it is traced.
        input_shape: (h, w, c), or with another number of spatial axes.
        precision: a value returned by `resolve_precision`.

    Raises:
        ModelError: an operation has a bias that is not known, or is at places that are not known.
    """

    def __init__(self, scores: Callable[[tf.Tensor], tf.Tensor], input_shape: tuple[int, ...], precision: str) -> None:
        self._shape, self._precision = input_shape, precision
        with precision_scope(precision):
            self._trace = _trace(scores, input_shape)

    def __call__(self, x: np.ndarray, c: int) -> FullGradients:
        """Return the decomposition of y_c of one input (h, w, c).

        Raises:
            ModelError: the parts do not sum to the score.
        """
        with precision_scope(self._precision):
            results = self._trace.function(tf.constant(np.repeat(x[None], TRACED_BATCH, 0), tf.float32), tf.constant(c))
        y_c, first, *values = (result.numpy() for result in results)
        biases = [
            BiasGradient(name, part, self._box(grid))
            for (name, grid), part in zip(self._trace.biases, values, strict=True)
        ]
        found = FullGradients(float(y_c), first, biases)
        _check_complete(found, TOLERANCE.get(self._precision, TOLERANCE_16_BIT))
        return found

    def _box(self, grid: Grid | None) -> Box | None:
        shape = self._shape[:-1]
        return grid and part_of_box(Box.whole(shape), grid.edges, shape)


def _trace(scores: Callable[[tf.Tensor], tf.Tensor], input_shape: tuple[int, ...]) -> _Trace:
    biases: list[tuple[str, Grid | None]] = []

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor, c: tf.Tensor) -> list[tf.Tensor]:
        y = scores(x)
        state, found = trace_places(x.graph, x), find_biases(x, y)
        y_c = tf.gather(y, c, axis=1)
        gradients = tf.gradients(y_c, [x, *(bias.z for bias in found)])
        grids = [_grid(bias.z, state) for bias in found]
        parts = []
        for (z, b), gradient, grid in zip(found, gradients[1:], grids, strict=True):
            part = tf.cast(b, tf.float32) * tf.cast(tf.zeros_like(z) if gradient is None else gradient, tf.float32)
            biases.append((z.op.name, grid))
            parts.append((grid.extract(part) if grid else part)[0])
        return [y_c[0], (x * gradients[0])[0], *parts]

    specs = [tf.TensorSpec((TRACED_BATCH, *input_shape), tf.float32), tf.TensorSpec((), tf.int32)]
    return _Trace(run.get_concrete_function(*specs), biases)


def _grid(z: tf.Tensor, state: State) -> Grid | None:
    """Return how the cells of a tensor are arranged over the image; None for a tensor without places."""
    places = state.places(z)
    if places is not None and places.axes is not None and not places.is_located():
        return None
    grid = grid_of(places) if places else None
    if grid is None or not grid.proven:
        raise ModelError(
            f"fullgrad requires biases at known places of the input, got {z.op.name} of unknown places",
            "`gradcam layers MODEL` lists the layers with places",
        )
    return grid


def _check_complete(found: FullGradients, tolerance: float) -> None:
    """Check that the parts sum to the score; a score that is not finite fails later, with its image."""
    total = sum(float(part.sum(dtype=np.float64)) for part in found.parts)
    scale = sum(float(np.abs(part).sum(dtype=np.float64)) for part in found.parts)
    if np.isfinite(found.y_c) and not abs(total - found.y_c) <= tolerance * scale:
        raise ModelError(
            f"fullgrad: the parts of the score sum to {total:.6g}, but the score is {found.y_c:.6g}",
            "use --precision float32",
        )
