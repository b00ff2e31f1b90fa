"""Mosaics of inputs of different classes, drawn at random: of 2x2 photos, of 2 signals, of 2x2x2 volumes or films."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcam_cli.console import log
from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.metrics.mosaic import SIDE
from gradcam_cli.evaluation.mosaics.sure_inputs import SureInput, SureInputs, resized
from gradcam_cli.images.bands import Bands
from gradcam_cli.images.box import Box
from gradcam_cli.images.decoded import Decoded


@dataclass(frozen=True)
class Mosaic:
    """Inputs of as many classes, in reading order.

    Attributes:
        name: `mosaic 1`, `mosaic 2` and so on.
        inputs: one for each tile.
    """

    name: str
    inputs: tuple[SureInput, ...]

    def decoded(self, shape: Sequence[int]) -> Decoded:
        """Return the inputs side by side, SIDE of them along each spatial axis.

        Args:
            shape: the spatial shape of a tile, (h, w) of an image; each input is resized alone, so that no pixel mixes
                two inputs.
        """
        wholes = [each.decoded for each in self.inputs]
        tiles = [resized(whole, Box.whole(whole.pixels.shape[: whole.space.rank]), shape) for whole in wholes]
        space, found = tiles[0].space, [tile.bands for tile in tiles if tile.bands]
        pixels = _side_by_side([tile.pixels for tile in tiles], space.rank)
        if not found:
            return Decoded(pixels, None, None, space)
        values = _side_by_side([bands.values for bands in found], space.rank)
        return Decoded(pixels, None, Bands(values, all(bands.scaled for bands in found)), space)


def _side_by_side(tiles: Sequence[np.ndarray], rank: int) -> np.ndarray:
    """Return the tiles, in reading order, as one array."""
    for axis in reversed(range(rank)):
        tiles = [np.concatenate(tiles[i : i + SIDE], axis) for i in range(0, len(tiles), SIDE)]
    return tiles[0]


def draw_mosaics(inputs: Sequence[SureInput], tiles: int, count: int, seed: int) -> list[Mosaic]:
    """Draw mosaics: classes, one input of each, and their places, all with equal probability; none twice.

    Args:
        inputs: of at least as many classes as a mosaic has tiles.
        tiles: number of tiles of a mosaic.
        count: the number of mosaics; if fewer are possible, all of these.
        seed: of the draw.
    """
    by_class: dict[int, list[SureInput]] = {}
    for each in dict.fromkeys(inputs):  # one that is given twice counts once
        by_class.setdefault(each.class_index, []).append(each)
    possible = num_possible([len(members) for members in by_class.values()], tiles)
    if possible < count:
        log.warning("--mosaics %d: only %d mosaics of these inputs are possible", count, possible)
    rng, classes = np.random.default_rng((seed, 2)), list(by_class)
    drawn: dict[tuple[SureInput, ...], None] = {}
    while len(drawn) < min(count, possible):
        chosen = (by_class[classes[i]] for i in rng.permutation(len(classes))[:tiles])
        drawn.setdefault(tuple(members[rng.integers(len(members))] for members in chosen))
    return [Mosaic(f"mosaic {number}", chosen) for number, chosen in enumerate(drawn, 1)]


def num_possible(class_sizes: Sequence[int], tiles: int) -> int:
    """Return the number of mosaics of classes with these numbers of inputs.

    n! times the elementary symmetric polynomial of degree n, the number of tiles.
    """
    sums = [1, *[0] * tiles]
    for size in class_sizes:
        for degree in range(tiles, 0, -1):
            sums[degree] += size * sums[degree - 1]
    return math.factorial(tiles) * sums[tiles]


def require_classes(found: SureInputs, tiles: int, probability: float) -> None:
    """Check that mosaics are possible.

    Raises:
        InputError: the inputs have fewer classes than a mosaic has tiles.
    """
    classes = len({each.class_index for each in found.kept})
    if classes >= tiles:
        return
    message = (
        f"mosaics require inputs of {tiles} classes predicted with a probability of at least {probability:g}: "
        f"expected {tiles}, got {classes} ({found.num_sure} of {found.num_read} inputs)"
    )
    hint = "give more inputs, or a lower --mosaic-probability"
    if found.failures:
        first = found.failures[0]
        message += f"; {len(found.failures)} cannot be used, the first is {first.source}: {first.error}"
        hint = first.hint or hint
    raise InputError(message, hint)
