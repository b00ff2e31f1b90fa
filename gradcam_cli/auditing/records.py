"""Results of an audit: concepts, marks and classes, and their JSON objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcam_cli.auditing.effect import Effect
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import Unexplained
from gradcam_cli.output.html_table import html_table


@dataclass(frozen=True)
class Example:
    """An image that shows a concept.

    Attributes:
        source: name of the image.
        box: the part of the model input around the cell that shows it most strongly, in pixels.
        crop: (H, W, 3) uint8, this part.
    """

    source: str
    box: Box
    crop: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class MarkRecord:
    """A patch that repeats at one place of images of one class.

    Attributes:
        box: its extent, in pixels of the model input.
        sources: names of the images of the class that have it.
        fraction: of the images of the class.
        others: number of images of other classes that have it.
        p_value: bound on the probability that natural content repeats so, corrected for all patches that were tried.
        effect: by how much the class score rises if the mark is pasted over images of other classes.
        concept: number of the concept that shows it, or None.
        mean_image: (h, w, 3) uint8, the mean of the model inputs that have it.
        examples: some of the model inputs.
    """

    box: Box
    sources: tuple[str, ...]
    fraction: float
    others: int
    p_value: float
    effect: Effect
    concept: int | None
    mean_image: np.ndarray = field(repr=False, compare=False)
    examples: tuple[np.ndarray, ...] = field(repr=False, compare=False)

    @property
    def is_used(self) -> bool:
        """Whether the score depends on it: the interval of its effect is above zero."""
        return self.effect.low > 0


@dataclass(frozen=True)
class ConceptRecord:
    """A concept of a class.

    Attributes:
        number: from 1, by importance.
        importance: mean drop of the class score without the concept.
        examples: the images that show it most strongly.
    """

    number: int
    importance: Effect
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class ClassAudit:
    """The concepts and the marks of a class.

    Attributes:
        index: of the class.
        name: of the class, or None.
        images: number of its images.
        concepts: by importance; empty for a class with too few images.
        marks: the one with the smallest p-value first.
    """

    index: int
    name: str | None
    images: int
    concepts: tuple[ConceptRecord, ...] = ()
    marks: tuple[MarkRecord, ...] = ()

    @property
    def label(self) -> str:
        """Index and name, as other commands print them."""
        return f"{self.index} {self.name}" if self.name not in (None, str(self.index)) else str(self.index)

    def __repr__(self) -> str:
        counts = f"{self.images} images, {len(self.concepts)} concepts, {len(self.marks)} marks"
        return f"<ClassAudit {self.label}: {counts}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the class."""
        return {
            "status": "class",
            "class_index": self.index,
            "class_name": self.name,
            "images": self.images,
            "concepts": [_concept_json(concept) for concept in self.concepts],
            "marks": [_mark_json(mark) for mark in self.marks],
        }


@dataclass(frozen=True)
class Audit:
    """The results of an audit, the result of `audit`.

    Its items are the classes, then the failures. `to_dict` of each item and of the audit give the lines of
    `gradcam audit --json`.

    Attributes:
        model: name of the model.
        layer: path of the layer.
        classes: by index.
        failures: the images that could not be used.
        left_out: number of images beyond the limit of memory or of `max_images`.
    """

    model: str
    layer: str
    classes: tuple[ClassAudit, ...]
    failures: tuple[Unexplained, ...] = ()
    left_out: int = 0

    @property
    def images(self) -> int:
        """Number of images of all classes."""
        return sum(each.images for each in self.classes)

    @property
    def marks(self) -> list[tuple[ClassAudit, MarkRecord]]:
        """The marks with their classes."""
        return [(each, mark) for each in self.classes for mark in each.marks]

    def __iter__(self) -> Iterator[ClassAudit | Unexplained]:
        yield from self.classes
        yield from self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the whole audit: model, layer, and numbers of images, classes and marks."""
        return {
            "status": "audit",
            "model": self.model,
            "layer": self.layer,
            "images": self.images,
            "classes": len(self.classes),
            "audited_classes": sum(bool(each.concepts) for each in self.classes),
            "marks": len(self.marks),
            "failed": len(self.failures),
            "left_out": self.left_out,
        }

    def check(self, max_marks: int, name: str = "max_marks") -> list[str]:
        """Return a message if there are more marks than a limit, otherwise none.

        Args:
            max_marks: the limit, 0 for no mark.
            name: of the option or keyword, for the message.
        """
        found = len(self.marks)
        return [f"number of marks: expected at most {max_marks}, got {found} ({name})"] if found > max_marks else []

    @property
    def class_rows(self) -> list[dict[str, Any]]:
        """The classes with concepts as the rows of a table."""
        return [
            {
                "class": each.label,
                "images": each.images,
                "concepts": len(each.concepts),
                "largest drop": f"{each.concepts[0].importance.mean:.3f}",
                "marks": len(each.marks),
            }
            for each in self.classes
            if each.concepts
        ]

    def __repr__(self) -> str:
        return f"<Audit of {self.model}: {len(self.classes)} classes, {self.images} images, {len(self.marks)} marks>"

    def _repr_html_(self) -> str:
        return html_table(self.class_rows, [f"{each.source}: {each.error}" for each in self.failures])


def _concept_json(concept: ConceptRecord) -> dict[str, Any]:
    return {
        "concept": concept.number,
        "importance": effect_json(concept.importance),
        "examples": [{"input": example.source, "box": list(example.box)} for example in concept.examples],
    }


def _mark_json(mark: MarkRecord) -> dict[str, Any]:
    return {
        "box": list(mark.box),
        "images": len(mark.sources),
        "fraction": mark.fraction,
        "others": mark.others,
        "p_value": mark.p_value,
        "effect": effect_json(mark.effect),
        "concept": mark.concept,
        "inputs": list(mark.sources),
    }


def effect_json(effect: Effect) -> dict[str, float | None]:
    """Return the JSON object of an effect; an infinite end is null."""
    return {name: value if np.isfinite(value) else None for name, value in effect._asdict().items()}
