"""A prediction of the model, and how it is written in figures and JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam_cli.models.labels import Labels
    from gradcam_cli.network.gradients import ForwardBackward


@dataclass(frozen=True)
class Prediction:
    """The score of one class.

    Attributes:
        index: index of the class.
        name: its name, or None.
        id: its WordNet id, or None.
        logit: its score before the last activation, or None if the model does not expose it.
        probability: 0..1, or NaN if the model's output is not a probability.
        value: the model's output as it is, if it is what is explained; otherwise None.
        members: the classes of a group, or (); then the index is that of its unit, after the classes.
        against: the classes with which this one is contrasted, or ().
    """

    index: int
    name: str | None
    id: str | None
    logit: float | None
    probability: float
    value: float | None = None
    members: tuple[Prediction, ...] = ()
    against: tuple[Prediction, ...] = ()

    def __str__(self) -> str:
        if self.members:
            return f"{self.name} ({len(self.members)} classes)"
        return f"{self.index} {self.name}" if self.name not in (None, str(self.index)) else str(self.index)

    @property
    def label(self) -> str:
        """Class index, class name, and probability or value, as figures show them."""
        return f"{self} · {f'p = {self.probability:.3f}' if self.value is None else f'y = {self.value:.4g}'}"

    @property
    def summary(self) -> str:
        """The same in lines of text: `281 tabby (0.512)`."""
        number = f"{self.probability:.3f}" if self.value is None else f"{self.value:.4g}"
        return f"{self} ({number}){f' against {self.contrasted}' if self.against else ''}"

    @property
    def contrasted(self) -> str:
        """The contrasted classes, separated by commas."""
        return ", ".join(map(str, self.against))

    def metadata(self) -> dict[str, Any]:
        """Return the class under the keys of the JSON lines; a group has no index."""
        return {
            "class_index": None if self.members else self.index,
            "class_name": self.name,
            "class_members": [each.to_json() for each in self.members] or None,
            "against_classes": [each.to_json() for each in self.against] or None,
            "probability": json_number(self.probability),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of a class in a list."""
        return {
            "index": None if self.members else self.index,
            "name": self.name,
            "logit": json_number(self.logit),
            "probability": json_number(self.probability),
            "value": json_number(self.value),
        }


def json_number(value: float | None) -> float | None:
    """Return a number that JSON can represent: None for NaN and infinity."""
    return value if value is not None and math.isfinite(value) else None


def prediction_of(result: ForwardBackward, i: int, labels: Labels, score: str, index: int) -> Prediction:
    """Return a class of the i-th image of a batch.

    Args:
        result: of the batch.
        i: index of the image.
        labels: the class names.
        score: what is explained: `logit`, `probability` or `output`.
        index: of the class.
    """
    logit = None if result.logits is None else float(result.logits[i, index])
    p, y = float(result.probabilities[i, index]), float(result.y[i, index])
    value = y if math.isnan(p) or score == "output" else None
    return Prediction(index, labels.name(index), labels.id(index), logit, p, value)
