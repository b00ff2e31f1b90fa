"""Which mosaics are made."""

from __future__ import annotations

from dataclasses import dataclass

from gradcam_cli.errors import UsageError

MOSAICS = 100
"""Default number of mosaics."""
PROBABILITY = 0.9
"""Default of the smallest probability of the predicted class of an input."""


@dataclass(frozen=True)
class MosaicConfig:
    """Which mosaics are made.

    Attributes:
        count: number of mosaics.
        probability: smallest probability of the predicted class of an input, 0 to 1.
        seed: of the choice of the inputs and their places.

    Raises:
        UsageError: a value is out of range.
    """

    count: int = MOSAICS
    probability: float = PROBABILITY
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or self.count < 1:
            raise UsageError(f"mosaics: expected a positive integer, got {self.count!r}")
        if not 0 <= self.probability <= 1:
            raise UsageError(f"mosaic_probability: expected a number from 0 to 1, got {self.probability!r}")
