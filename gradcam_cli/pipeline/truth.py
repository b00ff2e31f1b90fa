"""Whether the prediction for an image is right: its true class, with probability and rank."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.images.load import Skipped
from gradcam_cli.models.class_selection import find_exact_class
from gradcam_cli.models.truth import TruthSource, read_truth, require_known_class
from gradcam_cli.network.target import parse_target
from gradcam_cli.pipeline import fields
from gradcam_cli.pipeline.prediction import Prediction, json_number

if TYPE_CHECKING:
    from gradcam_cli.models.classifier import Classifier
    from gradcam_cli.pipeline.config import ExplainConfig

STATES = ("right", "wrong", "unknown")
TRUTH_FIELDS: fields.Fields = {
    "label": fields.nullable(fields.text()),
    "class_index": fields.nullable(fields.integer()),
    "class_name": fields.nullable(fields.name),
    "probability": fields.nullable(fields.number()),
    "rank": fields.nullable(fields.integer(1)),
    "right": fields.nullable(fields.flag),
    "unknown": fields.nullable(fields.text()),
    "predicted_index": fields.integer(),
    "predicted_name": fields.nullable(fields.name),
}
"""The values of `Truth.to_json`."""
TRUTH = fields.record(TRUTH_FIELDS, ("label", "class_index", "class_name", "right", "predicted_index"))


@dataclass(frozen=True)
class TrueClass:
    """The true class of an image.

    Attributes:
        label: as its folder or its row names it, or None without one.
        index: index of the class, or None if it is unknown.
        unknown: why it is unknown, or None.
        expected: whether it is the class that `--expect` names.
    """

    label: str | None
    index: int | None
    unknown: str | None = None
    expected: bool = False


@dataclass(frozen=True)
class Truth:
    """The true class of an image, and the class that the model predicts.

    Attributes:
        label: the true class as its folder or its row names it, or None without one.
        predicted: the class with the largest score.
        true: the true class, or None if it is unknown.
        rank: rank of its score, from 1, or None.
        unknown: why the true class is unknown, or None.
        expected: whether the true class is the one that `--expect` names.
    """

    label: str | None
    predicted: Prediction
    true: Prediction | None
    rank: int | None
    unknown: str | None = None
    expected: bool = False

    @property
    def state(self) -> str:
        """One of `STATES`."""
        return "unknown" if self.true is None else "right" if self.rank == 1 else "wrong"

    def summary(self, explained: Collection[int]) -> str:
        """Return the state for lines of text: `right`, or `wrong: true class 281 tabby (0.120, rank 2)`.

        Args:
            explained: indices of the classes that the line lists; a predicted class that is not among them is added.
        """
        if self.true is None:
            return f"unknown: {self.unknown}"
        if self.rank == 1:
            return "as expected" if self.expected else "right"
        if self.expected:
            return f"expected {self.true.summary[:-1]}, rank {self.rank})"
        predicted = "" if self.predicted.index in explained else f"predicted {self.predicted.summary}, "
        return f"wrong: {predicted}true class {self.true.summary[:-1]}, rank {self.rank})"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "label": self.label,
            "class_index": self.true.index if self.true else None,
            "class_name": self.true.name if self.true else None,
            "probability": json_number(self.true.probability) if self.true else None,
            "rank": self.rank,
            "right": None if self.true is None else self.rank == 1,
            "unknown": self.unknown,
            "predicted_index": self.predicted.index,
            "predicted_name": self.predicted.name,
        }


@dataclass(frozen=True)
class LeftOut(Skipped):
    """An input without maps, because `--only` does not select it."""

    predictions: tuple[Prediction, ...] = ()
    sha256: str | None = None


def state_of(truth: Mapping[str, Any]) -> str:
    """Return the state of a JSON object: one of `STATES`."""
    return {True: "right", False: "wrong"}.get(truth["right"], "unknown")


def find_true_class(label: str | None, classifier: Classifier, *, expected: bool = False) -> TrueClass:
    """Return the class of a model that a label names exactly; no other class is guessed."""
    if label is None:
        return TrueClass(None, None, "it has no row in the table, or no folder")
    try:
        return TrueClass(label, find_exact_class(label, classifier.labels, classifier.class_count), None, expected)
    except UsageError as error:
        hint = f" ({error.hint})" if error.hint and "near" in error.hint else ""
        return TrueClass(label, None, error.message + hint)


def judge(true_class: TrueClass, scores: np.ndarray, prediction: Callable[[int], Prediction]) -> Truth:
    """Compare a prediction with the true class.

    Args:
        true_class: of the image.
        scores: (classes,), the values by which the classes are ranked; of equal ones, the first has the lower rank.
        prediction: returns the class of an index.
    """
    order = np.argsort(-scores, kind="stable")
    predicted = prediction(int(order[0]))
    if true_class.index is None:
        return Truth(true_class.label, predicted, None, None, true_class.unknown)
    rank = int(np.flatnonzero(order == true_class.index)[0]) + 1
    return Truth(true_class.label, predicted, prediction(true_class.index), rank, expected=true_class.expected)


def requested_truth(truth: str | None, expect: str | None, target: str) -> TruthSource | None:
    """Return the true classes that are given: by `--truth`, or the one of `--expect`, or None.

    Raises:
        UsageError: the target is another one than `class`, or the table is invalid.
    """
    if (truth or expect is not None) and parse_target(target).kind != "class":
        raise not_of_classes(f"--target {target}", "--truth" if truth else "--expect")
    if expect is not None:
        return TruthSource("--expect", expected=expect)
    return read_truth(truth) if truth else None


def require_expect_alone(truth: object, *, has_classes: bool, classes: str = "--class") -> None:
    """Check that nothing else selects the classes of a run with `--expect`.

    Args:
        truth: the value of `--truth`, or None.
        has_classes: whether classes are given.
        classes: name of the option or keyword that gives them.

    Raises:
        UsageError: something does.
    """
    for name, given in (("--truth", truth is not None), (classes, has_classes)):
        if given:
            raise UsageError(
                f"--expect and {name} exclude each other: --expect explains the predicted and the expected class"
            )


def require_classes(config: ExplainConfig, classifier: Classifier) -> None:
    """Check that the predictions of a model can be right or wrong.

    Raises:
        UsageError: its output has no classes, the target is another one than `class`, or no class of the table is one
            of the model.
    """
    if config.only and not config.truth:
        raise UsageError(f"--only {config.only} requires --truth")
    if config.truth is None:
        return
    if classifier.target.kind != "class" or classifier.is_regression:
        got = "a single value" if classifier.is_regression else f"--target {config.target}"
        raise not_of_classes(got, "--truth" if config.truth.expected is None else config.truth.name)
    require_known_class(config.truth, classifier.labels, classifier.class_count)


def not_of_classes(got: str, option: str = "--truth") -> UsageError:
    """Return the error of a run whose predictions are no classes of images."""
    return UsageError(f"{option}: expected a model with a class for each image, got {got}")
