"""The passes through the network that metrics add: scores and maps of changed inputs of one image."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradcam_cli.evaluation.random_weights import RandomWeights
from gradcam_cli.evaluation.shifted_scorer import ShiftedScorer
from gradcam_cli.methods.cam import Cam
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.pipeline.augmentation import augmented_passes
from gradcam_cli.pipeline.map_values import attribution_inputs, compute_cam, compute_multi_pass
from gradcam_cli.pipeline.run import PreparedRun

MapKey = tuple[int, str, int]
"""Index of the layer, method and index of the class, as in `PreparedRun.maps`."""


class InputMaps(NamedTuple):
    """What one pass gives for one input.

    Attributes:
        y: (classes,), the scores of the run.
        cams: the maps of one class.
    """

    y: np.ndarray
    cams: dict[MapKey, Cam]


@dataclass(frozen=True)
class Passes:
    """Runs the network on changed inputs; one thread at a time.

    Inputs are (n, h, w, c) float32 before their preprocessing: colors in 0..255, or values of any range. (h, w) stands
    for any number of spatial axes.

    Attributes:
        run: the maps of the evaluation, of one class.
        lock: held while the network runs.
        seed: seed of the random weights.
    """

    run: PreparedRun
    lock: threading.RLock
    seed: int = 0

    @cached_property
    def _probabilities(self) -> ModelScorer:
        run, path = self.run, next(iter(self.run.layers))
        return ModelScorer(
            run.classifier.model, path, "probability", run.precision, run.batch_size, run.classifier.task
        )

    @cached_property
    def random_weights(self) -> RandomWeights:
        """The weights of the randomization metrics."""
        return RandomWeights(self.run.classifier.model, self.seed)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities of inputs, (n, classes)."""
        with self.lock:
            return self._probabilities.scores(self.run.classifier.preprocess(pixels))

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Return the scores of the run, (n, classes): logits, or on request probabilities."""
        with self.lock:
            return self.run.scorers[0].scores(self.run.classifier.preprocess(pixels))

    def maps(self, pixels: np.ndarray, class_index: int, keys: Sequence[Sequence[MapKey]]) -> list[InputMaps]:
        """Return the maps of each input, from one forward and backward pass per batch for all maps that share it.

        Args:
            pixels: the inputs.
            class_index: the class to explain.
            keys: the maps of each input.
        """
        with self.lock:
            return list(self._maps(pixels, class_index, keys))

    def random_maps(
        self, pixels: np.ndarray, class_index: int, keys: Sequence[MapKey], layer: str | None
    ) -> list[InputMaps]:
        """Return the maps of each input, with random weights downstream of a layer, or None for all layers."""
        with self.lock, self.random_weights.downstream_of(layer):
            return list(self._maps(pixels, class_index, [keys] * len(pixels)))

    def shifted_maps(
        self, pixels: np.ndarray, value_range: float | np.ndarray, class_index: int, keys: Sequence[MapKey]
    ) -> dict[MapKey, Cam]:
        """Return maps of one input plus a constant, for the model that subtracts the constant first.

        The constant is half the range of the preprocessed input, and the black baseline of a method stays where it is.

        Args:
            pixels: (h, w, c), the input.
            value_range: range of its values, or of each channel, (c,).
            class_index: the class to explain.
            keys: maps of methods of the kind `attribution`.
        """
        run = self.run
        x = run.classifier.preprocess(pixels[None])
        white = run.classifier.preprocess(np.full_like(pixels[None], value_range))[0]
        shift = ((white - run.baseline_input) / 2).astype(np.float32)
        with self.lock:
            result = run.gradient_function(x, np.full((1, 1), class_index, np.int32))
            return {
                key: METHODS[key[1]].function(
                    ShiftedScorer(run.scorers[key[0]], shift),
                    attribution_inputs(run, x[0] + shift, result, (0, key[0], key[2])),
                )
                for key in keys
            }

    def _maps(self, pixels: np.ndarray, class_index: int, keys: Sequence[Sequence[MapKey]]) -> Iterator[InputMaps]:
        run, size = self.run, min(self.run.batch_size, len(pixels))
        for start in range(0, len(pixels), size):
            batch = pixels[start : start + size]
            padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), 0)])
            x = run.classifier.preprocess(padded)
            results = [(run.gradient_function(x, np.full((size, 1), class_index, np.int32)), False)]
            results += augmented_passes(run, batch, results[0][0]) if run.config.aug_smooth else ()
            for i in range(len(batch)):
                wanted = keys[start + i]
                computed = compute_multi_pass(run, x[i], results, i, wanted)
                cams = {
                    key: computed.get(key) or compute_cam(run, key[1], results[0][0], (i, key[0], key[2]))
                    for key in wanted
                }
                yield InputMaps(results[0][0].y[i], cams)
