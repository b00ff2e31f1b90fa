"""The inputs of mosaics: those whose predicted class has a high probability."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images import fit
from gradcam_cli.images.box import Box
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.images.space import RANKS, Space
from gradcam_cli.pipeline.model_input import ModelInput, to_whole_input
from gradcam_cli.pipeline.run import PreparedRun

MAX_BYTES = 1 << 31
"""Limit of the memory of all inputs that are kept; 400 photos of 224x224 pixels take a thirtieth of it."""


@dataclass(frozen=True)
class SureInput:
    """An input and its predicted class.

    Attributes:
        name: of the input.
        class_index: the class with the largest probability.
        probability: of this class.
        decoded: the input at the size of the model input, see `Decoded`; an image without bands is (h, w, 3) uint8.
    """

    name: str
    class_index: int
    probability: float
    decoded: Decoded = field(repr=False, compare=False)


class SureInputs:
    """The inputs whose predicted class has at least a given probability.

    If there are more than a limit, inputs of the largest classes are dropped at random, which limits the memory.

    Attributes:
        num_read: number of inputs that were read.
        num_sure: number of inputs that reached the probability.
        failures: the inputs that cannot be used, and why.

    Args:
        run: the model, at the size at which it reads a whole input; its first layer is not used.
        probability: the smallest probability of the predicted class, 0 to 1.
        limit: number of inputs to keep; `MAX_BYTES` may be reached before.
        seed: of the sample.
    """

    def __init__(self, run: PreparedRun, probability: float, limit: int, seed: int) -> None:
        self._run, self._probability, self._limit = run, probability, limit
        self._rng = np.random.default_rng((seed, 1))
        self._by_class: dict[int, list[SureInput]] = {}
        output = run.layer_outputs[0]
        self._scorer = run.classifier.traced.scorer(output, "probability", run.precision, run.batch_size)
        self.num_read = self.num_sure = 0
        self.failures: list[Unexplained] = []

    @property
    def kept(self) -> list[SureInput]:
        """The kept inputs."""
        return [each for members in self._by_class.values() for each in members]

    def read(self, images: Iterable[LoadedImage | Unexplained]) -> Iterator[None]:
        """Read inputs; yield after each."""
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
            decoded = resized(each.image.decoded(), each.crop_box, self._run.classifier.spatial_shape)
            self._require_equal_kinds(decoded)
        except InputError as error:
            self.failures.append(Failure(each.image.name, error.message, error.hint))
            return
        self._by_class.setdefault(index, []).append(SureInput(each.image.name, index, float(p[index]), decoded))
        count = sum(map(len, self._by_class.values()))
        if count > min(self._limit, MAX_BYTES // decoded.nbytes):
            self._drop_one()

    def _require_equal_kinds(self, decoded: Decoded) -> None:
        """Check that an input has the form of those that are kept, so that they can be put together."""
        for first in self.kept[:1]:
            kinds = [_describe(each) for each in (first.decoded, decoded)]
            if kinds[0] != kinds[1]:
                raise InputError(f"mosaics are made of inputs of one kind: expected {kinds[0]}, got {kinds[1]}")

    def _drop_one(self) -> None:
        size = max(map(len, self._by_class.values()))
        largest = [class_index for class_index, members in self._by_class.items() if len(members) == size]
        chosen = largest[self._rng.integers(len(largest))]
        self._by_class[chosen].pop(int(self._rng.integers(size)))
        if size == 1:
            del self._by_class[chosen]


def _describe(decoded: Decoded) -> str:
    kind = decoded.space.kind
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} of {'bands' if decoded.bands else 'colors'}"


def resized(decoded: Decoded, crop_box: Box, shape: Sequence[int]) -> Decoded:
    """Return a part of an input at another size; its spacing is dropped.

    Args:
        decoded: the input.
        crop_box: the part, from `fit_box`.
        shape: the spatial shape of the result, (h, w) of an image.
    """
    pixels, _, bands, space = decoded
    if bands:
        bands = bands._replace(values=fit.resize_bands(bands.values, crop_box, shape))
    if bands and space.rank == RANKS["signal"]:
        return Decoded(bands.values, None, bands, Space(space.kind))
    return Decoded(fit.resize_to_input(pixels, crop_box, shape), None, bands, Space(space.kind))
