"""The audit of a collection of activations: concepts, their importance, and the marks that they show."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcam_cli.auditing import pictures
from gradcam_cli.auditing.collect import Collection
from gradcam_cli.auditing.concepts import Concepts, factorize, without_concept
from gradcam_cli.auditing.effect import Effect, mean_effect
from gradcam_cli.auditing.extent import Extent, find_extent
from gradcam_cli.auditing.marks import Mark, find_marks, num_trials
from gradcam_cli.auditing.records import ClassAudit, ConceptRecord, Example, MarkRecord
from gradcam_cli.images.box import Box
from gradcam_cli.pipeline.run import PreparedRun

NUM_CONCEPTS, MIN_IMAGES = 10, 20
"""Default number of concepts of a class, and of images below which a class is not audited."""
EFFECT_IMAGES = 32
"""Number of images from which an effect on the score is measured."""
NUM_EXAMPLES = 8
SPREAD_IMAGES = 500
"""Number of images without a mark from which the natural spread of each pixel is measured."""


@dataclass(frozen=True)
class Auditor:
    """Computes the audit of each class.

    Attributes:
        run: the model and the layer.
        collection: the images.
        num_concepts: number of concepts of a class.
        min_images: a class with fewer images has no concepts.
        seed: of the factorization and of the images that are drawn.
    """

    run: PreparedRun
    collection: Collection
    num_concepts: int = NUM_CONCEPTS
    min_images: int = MIN_IMAGES
    seed: int = 0

    def classes(self, advance: Callable[[int], None] = lambda _: None) -> list[ClassAudit]:
        """Return the audit of each class with images, by index; `advance` is called with 1 after each."""
        audits = []
        for index in np.unique(self._classes):
            audits.append(self._audit_class(int(index)))
            advance(1)
        return audits

    @cached_property
    def _classes(self) -> np.ndarray:
        return np.array(self.collection.classes, int)

    @cached_property
    def _thumbnails(self) -> np.ndarray:
        return np.stack([pictures.thumbnail(pixels) for pixels in self.collection.pixels])

    @cached_property
    def _trials(self) -> int:
        """Number of patches that are tried in all classes."""
        counts = np.unique(self._classes, return_counts=True)[1]
        shape = self._thumbnails.shape[1:3]
        return sum(num_trials(shape, int(count)) for count in counts if count >= self.min_images)

    def _audit_class(self, index: int) -> ClassAudit:
        members = np.flatnonzero(self._classes == index)
        name = self.run.classifier.labels.name(index)
        if len(members) < self.min_images:
            return ClassAudit(index, name, len(members))
        A = np.stack([self.collection.A[i] for i in members])
        concepts = factorize(A, self.collection.alpha(index), self.num_concepts, self.seed)
        drawn = np.random.default_rng(self.seed).permutation(len(members))[:EFFECT_IMAGES]
        drops = self._drops(index, members[drawn], A[drawn], concepts._replace(h=concepts.h[drawn]))
        order = np.argsort(-drops.mean(0), kind="stable")
        records = [
            ConceptRecord(number, mean_effect(drops[:, i]), tuple(self._examples(members, concepts.h[..., i])))
            for number, i in enumerate(order, start=1)
        ]
        marks = self._marks(index, members, concepts.h[..., order])
        return ClassAudit(index, name, len(members), tuple(records), tuple(marks))

    def _drops(self, index: int, images: np.ndarray, A: np.ndarray, concepts: Concepts) -> np.ndarray:
        """Return by how much the class score drops without each concept, (n, r).

        Args:
            index: of the class.
            images: (n,) indices of the images in the collection.
            A: (n, u, v, k), their activations.
            concepts: their concepts.
        """
        drops = np.zeros((len(images), len(concepts.w)), np.float64)
        for row, (image, a, h) in enumerate(zip(images, A.astype(np.float32), concepts.h, strict=True)):
            changed = [without_concept(a, h[..., i], w) for i, w in enumerate(concepts.w)]
            x = self.run.classifier.preprocess(self.collection.pixels[image][None])[0]
            y = self.run.scorers[0].scores_from_layer(x, np.stack([a, *changed]))[:, index]
            drops[row] = y[0] - y[1:]
        return drops

    def _marks(self, index: int, members: np.ndarray, h: np.ndarray) -> Iterator[MarkRecord]:
        """Yield the marks of a class whose concepts have the strengths h (n, u, v, r), by importance."""
        for mark in find_marks(self._thumbnails, self._classes == index, self._trials, self.seed):
            extent = self._extent(mark)
            effect, concept = self._mark_effect(index, mark, extent), self._concept_at(mark, members, h)
            yield self._mark_record(mark, extent, effect, concept, len(members))

    def _concept_at(self, mark: Mark, members: np.ndarray, h: np.ndarray) -> int | None:
        """Return the number of the concept that images with a mark show more at its place than other images do.

        Of several, it is the one with the largest difference of the means, in standard deviations; None without one.
        """
        box, has_mark = self._input_box(mark), np.isin(members, mark.members)
        if has_mark.all():
            return None
        center = np.array([(box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2])
        distances = np.linalg.norm(self._cell_centers(h.shape[1:3]) - center, axis=-1)
        strengths = h[:, *np.unravel_index(distances.argmin(), distances.shape)]
        gaps = strengths[has_mark].mean(0) - strengths[~has_mark].mean(0)
        gaps /= np.maximum(strengths.std(0), np.finfo(np.float32).tiny)
        return int(gaps.argmax()) + 1 if len(gaps) and gaps.max() > 0 else None

    def _mark_effect(self, index: int, mark: Mark, extent: Extent) -> Effect:
        """Return by how much the class score rises if the mark is pasted over images of other classes."""
        others = np.setdiff1d(np.flatnonzero(self._classes != index), mark.others)
        drawn = np.random.default_rng(self.seed).permutation(others)[:EFFECT_IMAGES]
        pixels = np.stack([self.collection.pixels[i] for i in drawn])
        x = self.run.classifier.preprocess(np.concatenate([pixels, extent.paste(pixels)]))
        before, after = np.split(self.run.scorers[0].scores(x)[:, index], 2)
        return mean_effect(after - before)

    def _extent(self, mark: Mark) -> Extent:
        without = np.setdiff1d(np.arange(len(self._classes)), [*mark.members, *mark.others])
        drawn = np.random.default_rng(self.seed).permutation(without)[:SPREAD_IMAGES]
        marked, others = ([self.collection.pixels[i] for i in group] for group in (mark.members, drawn))
        return find_extent(marked, others, self._input_box(mark))

    def _mark_record(
        self, mark: Mark, extent: Extent, effect: Effect, concept: int | None, class_size: int
    ) -> MarkRecord:
        shown = dict.fromkeys([mark.exemplar, *mark.members.tolist()])
        return MarkRecord(
            extent.box,
            tuple(self.collection.names[i] for i in mark.members),
            len(mark.members) / class_size,
            len(mark.others),
            mark.p_value,
            effect,
            concept,
            pictures.to_rgb(extent.pixels),
            tuple(pictures.to_rgb(self.collection.pixels[i]) for i in itertools.islice(shown, NUM_EXAMPLES)),
        )

    def _input_box(self, mark: Mark) -> Box:
        (height, width), (h, w, _) = self._thumbnails.shape[1:3], self.run.classifier.input_shape
        y, x, size = mark.window
        rows, columns = (round(y * h / height), round((y + size) * h / height)), (x * w / width, (x + size) * w / width)
        return Box(round(columns[0]), rows[0], round(columns[1]), rows[1])

    def _examples(self, members: np.ndarray, h: np.ndarray) -> Sequence[Example]:
        shown = [i for i in _strongest(h, NUM_EXAMPLES) if h[i].max() > 0]
        return [self._example(int(members[i]), self._center(h[i])) for i in shown]

    def _example(self, image: int, center: tuple[float, float]) -> Example:
        pixels = self.collection.pixels[image]
        box = pictures.crop_box(center, pixels.shape[:2])
        crop = pictures.to_rgb(pixels[box.y0 : box.y1, box.x0 : box.x1])
        return Example(self.collection.names[image], box, crop)

    def _center(self, h: np.ndarray) -> tuple[float, float]:
        """Return the center (y, x) of the cell with the largest value of (u, v), in pixels of the model input."""
        y, x = self._cell_centers(h.shape)[np.unravel_index(int(h.argmax()), h.shape)]
        return float(y), float(x)

    def _cell_centers(self, shape: Sequence[int]) -> np.ndarray:
        """Return the centers (y, x) of the cells, (u, v, 2), in pixels of the model input."""
        grid, (height, width, _) = self.run.layer_outputs[0].grid, self.run.classifier.input_shape
        edges = grid.edges if grid else ((0, height), (0, width))
        y, x = (
            low + (np.arange(cells) + 0.5) * (high - low) / cells
            for cells, (low, high) in zip(shape, edges, strict=True)
        )
        return np.stack(np.meshgrid(y, x, indexing="ij"), -1)


def _strongest(h: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the images (n, u, v) with the largest values, in falling order."""
    order: np.ndarray = np.argsort(-h.max((1, 2)), kind="stable")[:count]
    return order
