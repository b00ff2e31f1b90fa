"""Mosaics of 2x2 photos of four classes, drawn at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcam_cli.console import log
from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.metrics.mosaic import SIDE, TILES
from gradcam_cli.evaluation.mosaics.photos import Photo, SurePhotos
from gradcam_cli.images import fit
from gradcam_cli.images.box import Box


@dataclass(frozen=True)
class Mosaic:
    """Four photos of four classes, in reading order.

    Attributes:
        name: `mosaic 1`, `mosaic 2` and so on.
        photos: the photos.
    """

    name: str
    photos: tuple[Photo, ...]

    def pixels(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the photos side by side, (2 h, 2 w, 3) uint8.

        Args:
            shape: (h, w) of a tile; each photo is resized alone, so that no pixel mixes two photos.
        """
        h, w = shape
        tiles = [
            fit.resize_to_input(photo.pixels, Box(0, 0, *photo.pixels.shape[1::-1]), (h, w)) for photo in self.photos
        ]
        return np.concatenate([np.concatenate(tiles[row : row + SIDE], axis=1) for row in range(0, TILES, SIDE)])


def draw_mosaics(photos: Sequence[Photo], count: int, seed: int) -> list[Mosaic]:
    """Draw mosaics: four classes, one photo of each, and their places, all with equal probability; none twice.

    Args:
        photos: of at least four classes.
        count: the number of mosaics; if fewer are possible, all of these.
        seed: of the draw.
    """
    by_class: dict[int, list[Photo]] = {}
    for photo in dict.fromkeys(photos):  # one that is given twice counts once
        by_class.setdefault(photo.class_index, []).append(photo)
    possible = num_possible([len(members) for members in by_class.values()])
    if possible < count:
        log.warning("--mosaics %d: only %d mosaics of these photos are possible", count, possible)
    rng, classes = np.random.default_rng((seed, 2)), list(by_class)
    drawn: dict[tuple[Photo, ...], None] = {}
    while len(drawn) < min(count, possible):
        chosen = (by_class[classes[i]] for i in rng.permutation(len(classes))[:TILES])
        drawn.setdefault(tuple(members[rng.integers(len(members))] for members in chosen))
    return [Mosaic(f"mosaic {number}", four) for number, four in enumerate(drawn, 1)]


def num_possible(class_sizes: Sequence[int]) -> int:
    """Return the number of mosaics of classes with these numbers of photos.

    4! times the elementary symmetric polynomial of degree four.
    """
    sums = [1, *[0] * TILES]
    for size in class_sizes:
        for degree in range(TILES, 0, -1):
            sums[degree] += size * sums[degree - 1]
    return math.factorial(TILES) * sums[TILES]


def require_four_classes(found: SurePhotos, probability: float) -> None:
    """Check that mosaics are possible.

    Raises:
        InputError: the photos have fewer than four classes.
    """
    classes = len({photo.class_index for photo in found.photos})
    if classes < TILES:
        raise InputError(
            f"mosaics require photos of {TILES} classes predicted with a probability of at least {probability:g}: "
            f"expected {TILES}, got {classes} ({found.num_sure} of {found.num_read} photos)",
            "give more photos, or a lower --mosaic-probability",
        )
