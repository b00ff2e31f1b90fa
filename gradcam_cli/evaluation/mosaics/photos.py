"""The photos of mosaics: those whose predicted class has a high probability."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images import fit
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.pipeline.model_input import ModelInput, to_whole_input
from gradcam_cli.pipeline.run import PreparedRun


@dataclass(frozen=True)
class Photo:
    """A photo and its predicted class.

    Attributes:
        name: of the image.
        class_index: the class with the largest probability.
        probability: of this class.
        pixels: (h, w, 3) uint8, the photo at the size of the model input.
    """

    name: str
    class_index: int
    probability: float
    pixels: np.ndarray = field(repr=False, compare=False)


class SurePhotos:
    """The photos whose predicted class has at least a given probability.

    If there are more than a limit, photos of the largest classes are dropped at random, which limits the memory.

    Attributes:
        num_read: number of photos that were read.
        num_sure: number of photos that reached the probability.
        failures: the inputs that cannot be used, and why.

    Args:
        run: the model, at the size at which it reads a whole photo; its first layer is not used.
        probability: the smallest probability of the predicted class, 0 to 1.
        limit: number of photos to keep.
        seed: of the sample.
    """

    def __init__(self, run: PreparedRun, probability: float, limit: int, seed: int) -> None:
        self._run, self._probability, self._limit = run, probability, limit
        self._rng = np.random.default_rng((seed, 1))
        self._by_class: dict[int, list[Photo]] = {}
        output = run.layer_outputs[0]
        self._scorer = run.classifier.traced.scorer(output, "probability", run.precision, run.batch_size)
        self.num_read = self.num_sure = 0
        self.failures: list[Unexplained] = []

    @property
    def photos(self) -> list[Photo]:
        """The kept photos."""
        return [photo for members in self._by_class.values() for photo in members]

    def read(self, images: Iterable[LoadedImage | Unexplained]) -> Iterator[None]:
        """Read photos; yield after each."""
        images = iter(images)
        while batch := list(itertools.islice(images, self._run.batch_size)):
            self._add(batch)
            yield from [None] * len(batch)

    def _add(self, batch: list[LoadedImage | Unexplained]) -> None:
        inputs: list[ModelInput] = []
        for image in batch:
            fitted = to_whole_input(self._run, image)
            if isinstance(fitted, ModelInput):
                inputs.append(fitted)
            else:
                self.failures.append(fitted)
        if not inputs:
            return
        pixels = np.stack([each.pixels for each in inputs])
        padding = np.repeat(pixels[-1:], self._run.batch_size - len(pixels), 0)
        x = self._run.classifier.preprocess(np.concatenate([pixels, padding]))
        for each, p in zip(inputs, self._scorer.scores(x), strict=False):
            self._keep_if_sure(each, p)

    def _keep_if_sure(self, each: ModelInput, p: np.ndarray) -> None:
        self.num_read += 1
        index = int(np.argmax(p))
        if not p[index] >= self._probability:
            return
        self.num_sure += 1
        try:
            colors = fit.resize_to_input(each.image.pixels, each.crop_box, self._run.classifier.input_shape[:2])
        except InputError as error:
            self.failures.append(Failure(each.image.name, error.message, error.hint))
            return
        self._by_class.setdefault(index, []).append(Photo(each.image.name, index, float(p[index]), colors))
        if sum(map(len, self._by_class.values())) > self._limit:
            self._drop_one()

    def _drop_one(self) -> None:
        size = max(map(len, self._by_class.values()))
        largest = [class_index for class_index, members in self._by_class.items() if len(members) == size]
        chosen = largest[self._rng.integers(len(largest))]
        self._by_class[chosen].pop(int(self._rng.integers(size)))
        if size == 1:
            del self._by_class[chosen]
