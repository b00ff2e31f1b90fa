"""Metrics on mosaics: where the heat of a class lies whose input is in one tile.

(u, v) and (h, w) stand for any number of spatial axes; a mosaic of photos has 2x2 tiles.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np

from gradcam_cli.images.box import Box

SIDE = 2
"""Tiles along each axis of a mosaic."""


def tile_places(rank: int) -> list[tuple[int, ...]]:
    """Return the place of each tile along each spatial axis, 0 or 1, in reading order: (row, column) in an image.

    Args:
        rank: number of spatial axes. A signal has 2 tiles, an image 4, and a volume or a film 8.
    """
    return list(itertools.product(range(SIDE), repeat=rank))


def tile_parts(cells: Sequence[int], covered: Box, input_shape: Sequence[int]) -> np.ndarray:
    """Return which part of each cell's area is in each tile, (tiles, u, v) float64 in 0..1.

    Args:
        cells: (u, v), the number of rows and of columns of cells.
        covered: the part of the model input that they cover; it may extend beyond it.
        input_shape: (h, w) of the model input, which the mosaic fills.
    """
    axes = zip(cells, covered.intervals, input_shape, strict=True)
    parts = [_parts(count, start, stop, length) for count, (start, stop), length in axes]
    return np.stack([_product([parts[axis][i] for axis, i in enumerate(place)]) for place in tile_places(len(parts))])


def _product(factors: Sequence[np.ndarray]) -> np.ndarray:
    """Return the outer product of a vector for each axis."""
    product: np.ndarray = functools.reduce(np.multiply.outer, factors)
    return product


def _parts(count: int, start: float, stop: float, length: float) -> np.ndarray:
    """Return which part of each of the cells between `start` and `stop` is in each half of 0..length, (2, count)."""
    edges = np.linspace(start, stop, count + 1)
    ends = np.linspace(0, length, SIDE + 1)
    overlaps = np.minimum(edges[None, 1:], ends[1:, None]) - np.maximum(edges[None, :-1], ends[:-1, None])
    parts: np.ndarray = overlaps.clip(min=0) / (edges[1] - edges[0])
    return parts


def share_in_tile(L: np.ndarray, parts: np.ndarray, tile: int) -> float:
    """Return the fraction of a map's sum that is in a tile, 0 to 1; 0 for a map of zeros.

        share = sum of a_t L / sum over all tiles s of a_s L,  a_t: the part of a cell's area that is in tile t

    Args:
        L: (u, v), not negative.
        parts: (tiles, u, v), from `tile_parts`.
        tile: index of the tile.

    Source:
        Rao, Boehle and Schiele 2022, Towards Better Understanding Attribution Methods, section 3.1 (GridPG), with each
        cell's value spread evenly over its area.
    """
    heat = np.tensordot(parts, L.astype(np.float64), L.ndim)
    total = heat.sum()
    return float(heat[tile] / total) if total > 0 else 0.0


def peak_in_tile(L: np.ndarray, parts: np.ndarray, tile: int) -> float:
    """Return the part of a map's largest cell that is in a tile, 0 to 1; 0 for a map of zeros.

    If several cells are largest, it is the share of all of them, so that an even map has the same in each tile.

    Args:
        L: (u, v), not negative.
        parts: (tiles, u, v), from `tile_parts`.
        tile: index of the tile.
    """
    maximum = L.max()
    return share_in_tile(maximum == L, parts, tile) if maximum > 0 else 0.0


def share_outside(L: np.ndarray, visible: np.ndarray) -> float | None:
    """Return the fraction of a map's sum in cells that the score cannot depend on; None for a map of zeros.

    Args:
        L: (u, v), not negative.
        visible: (u, v) bool, True for the cells that the part of the network behind the layer receives.

    Source:
        Rao et al. 2022, section 3.1, the settings DiFull and DiPart: heat in a disconnected part of the input is wrong.
    """
    total = L.sum(dtype=np.float64)
    return float(L[~visible].sum(dtype=np.float64) / total) if total > 0 else None
