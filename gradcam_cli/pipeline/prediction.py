"""A prediction of the model, and how it is written in figures and JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The score of one class.

    Attributes:
        index: index of the class.
        name: its name, or None.
        id: its WordNet id, or None.
        logit: its score before the last activation, or None if the model does not expose it.
        probability: 0..1.
    """

    index: int
    name: str | None
    id: str | None
    logit: float | None
    probability: float

    def __str__(self) -> str:
        return f"{self.index} {self.name}" if self.name not in (None, str(self.index)) else str(self.index)

    @property
    def label(self) -> str:
        """Class index, class name and probability, as figures show them."""
        return f"{self} · p = {self.probability:.3f}"


def json_number(value: float | None) -> float | None:
    """Return a number that JSON can represent: None for NaN and infinity."""
    return value if value is not None and math.isfinite(value) else None
