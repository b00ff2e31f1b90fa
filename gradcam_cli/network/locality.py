"""Measures whether the cells of a layer are places of the image: where does the gradient of a cell lie?

For nine cells in three rows and three columns, the absolute gradient of the cell with respect to the input is summed
over the channels. Its center of mass must move down and right with the cell, and its density must be largest around the
cell. One backward pass measures all nine, one cell for each image of a batch. Signals have three such cells, and
volumes 27.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.network.grid import Grid
from gradcam_cli.network.hooks import hooked
from gradcam_cli.network.layer_trace import LayerOutput
from gradcam_cli.network.logits import find_tensor_logits
from gradcam_cli.network.target import CLASS, Target
from gradcam_cli.network.target_scores import target_tensor

MIN_DENSITY = 1.3
"""Least ratio of the mean gradient around a cell to the mean over the image."""
POSITIONS = (1 / 6, 1 / 2, 5 / 6)


class Locality(NamedTuple):
    """Result of the measurement.

    Attributes:
        centers: (rows, columns, 2), the center of mass (y, x) of the gradient of each measured cell, in pixels; for d
            spatial axes, d axes and a last one of size d.
        density: (rows, columns), the mean gradient around the cell over the mean gradient.
    """

    centers: np.ndarray
    density: np.ndarray

    @property
    def is_local(self) -> bool:
        """Whether the measured cells are places of the image."""
        axes = range(self.density.ndim)
        means = (self.centers[..., i].mean(tuple(j for j in axes if j != i)) for i in axes)
        ordered = all((np.diff(mean) > 0).all() for mean in means)
        return ordered and bool(np.median(self.density) >= MIN_DENSITY)


def measure_locality(model: keras.Model, layer: LayerOutput, x: np.ndarray) -> Locality | None:
    """Measure where the gradients of up to three cells along each axis of a layer lie, in one backward pass.

    Args:
        model: the model.
        layer: a layer with a grid.
        x: (1, h, w, c), a preprocessed image, or with another number of spatial axes; noise is suitable.

    Returns:
        The measurement, or None if the output has no gradient, or another batch size than the input.
    """
    grid = layer.grid
    if grid is None:
        return None
    measured = [_measured(count) for count in grid.cells]
    cells = list(itertools.product(*measured))
    gradient = _gradient(model, layer, grid, np.repeat(x, len(cells), 0), cells)
    axes = tuple(range(1, x.ndim - 1))
    if gradient is None or not gradient.any(axis=axes).all():
        return None
    mass = gradient / gradient.sum(axis=axes, keepdims=True)
    centers = [mass.sum(tuple(j for j in axes if j != i)) @ np.arange(mass.shape[i]) for i in axes]
    density = np.array([_density(part, grid, cell) for part, cell in zip(mass, cells, strict=True)])
    shape = tuple(map(len, measured))
    return Locality(np.stack(centers, -1).reshape(*shape, len(axes)), density.reshape(shape))


def _measured(count: int) -> list[int]:
    return sorted({int(count * position) for position in POSITIONS})


def _density(mass: np.ndarray, grid: Grid, cell: tuple[int, ...]) -> float:
    """Return the mean of a normalized gradient over a cell and its neighbors, relative to its mean."""
    parts = []
    for index, count, (start, stop), size in zip(cell, grid.cells, grid.edges, mass.shape, strict=True):
        step = (stop - start) / count
        low, high = start + (index - 0.5) * step, start + (index + 1.5) * step
        first = int(np.clip(np.floor(low), 0, size - 1))
        parts.append(slice(first, max(int(np.clip(np.ceil(high), 0, size)), first + 1)))
    return float(mass[tuple(parts)].mean() * mass.size)


def _gradient(
    model: keras.Model, layer: LayerOutput, grid: Grid, x: np.ndarray, cells: list[tuple[int, ...]]
) -> np.ndarray | None:
    """Return (n, h, w): the absolute gradient of cell i of image i, summed over the input channels."""
    outputs: list[Any] = []

    def record(_: str, output: Any) -> Any:
        outputs.append(output)
        return output

    index = np.array([(b, *cell) for b, cell in enumerate(cells)], np.int32)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor) -> tf.Tensor | None:
        outputs.clear()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            with hooked({layer.path: layer.operation}, record):
                model(x, training=False)
            output = outputs[layer.call]
            if output.shape[0] != len(cells):
                return None
            A = tf.gather_nd(grid.extract(output), index)  # (n, k)
            y = tf.reduce_sum(tf.cast(A, tf.float32) * _random_signs(A.shape[-1]))
        gradient = tape.gradient(y, x)
        return None if gradient is None else tf.reduce_sum(tf.abs(gradient), -1)

    result = run(tf.constant(x, tf.float32))
    return None if result is None else result.numpy()


def cells_affecting_score(
    model: keras.Model, layers: Sequence[LayerOutput], x: np.ndarray, target: Target = CLASS
) -> set[str]:
    """Return the paths of the layers whose cells, not only their further tokens, affect the output.

    After the last attention, a transformer that classifies by its class token uses no other token. One backward pass
    measures all layers.

    Args:
        model: the model.
        layers: layers with a grid.
        x: (1, h, w, c), a preprocessed image.
        target: what is explained.
    """
    by_operation = {str(id(layer.operation)): layer.operation for layer in layers}
    calls: dict[str, list[tf.Tensor]] = {}

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: tf.Tensor) -> list[tf.Tensor | None]:
        calls.clear()
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def add_zeros(key: str, output: tf.Tensor) -> tf.Tensor:
                zeros = tf.zeros_like(output)
                tape.watch(zeros)
                calls.setdefault(key, []).append(zeros)
                return output + zeros

            with hooked(by_operation, add_zeros):
                output = find_tensor_logits(target_tensor(model(x, training=False), target, x.shape.rank - 2), x)
            scores = output.values if output.logits is None else output.logits
            y = tf.reduce_sum(scores * np.random.default_rng(0).normal(size=scores.shape[-1]))
        zeros = [calls[str(id(layer.operation))][layer.call] for layer in layers]
        gradients = tape.gradient(y, zeros)
        return [
            tf.reduce_any(layer.grid.extract(gradient) != 0) if layer.grid and gradient is not None else False
            for layer, gradient in zip(layers, gradients, strict=True)
        ]

    return {layer.path for layer, affects in zip(layers, run(tf.constant(x, tf.float32)), strict=True) if affects}


def _random_signs(count: int) -> np.ndarray:
    """Return (count,) values of 1 and -1: the gradients of all channels would cancel after a normalization."""
    return np.random.default_rng(0).choice(np.array([-1, 1], np.float32), count)
