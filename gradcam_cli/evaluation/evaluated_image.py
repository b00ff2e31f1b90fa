"""One image of an evaluation: its perturbed inputs, which the metrics of all its maps share.

(h, w), (u, v) stand for any number of spatial axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradcam_cli.evaluation.metrics import faithfulness, randomization, robustness, subsets
from gradcam_cli.evaluation.passes import InputMaps, MapKey, Passes
from gradcam_cli.methods import maps
from gradcam_cli.methods.cam import Cam
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.pipeline.results import Explanation


class Noisy(NamedTuple):
    """The noisy inputs of an image that keep its first class.

    Attributes:
        pixels: (n, h, w, c).
        maps: the scores and maps of each.
    """

    pixels: np.ndarray
    maps: list[InputMaps]

    @property
    def y(self) -> np.ndarray:
        """The scores, (n, classes)."""
        return np.array([each.y for each in self.maps])


class EvaluatedImage:
    """The model input of an image, and what is computed once for all its maps.

    Args:
        passes: the passes through the network.
        pixels: (h, w, c), the model input before its preprocessing; see `ModelInput`.
        explanations: the maps of the image, by their keys.
        baseline: replacement of deleted pixels, a function of the input.
        seed: seed of all random inputs.
    """

    def __init__(
        self,
        passes: Passes,
        pixels: np.ndarray,
        explanations: dict[MapKey, Explanation],
        baseline: Callable[[np.ndarray], np.ndarray],
        seed: int,
    ) -> None:
        self.passes, self.seed = passes, seed
        self.explanations = explanations
        self.class_index = next(iter(explanations.values())).prediction.index
        self.x, self.shape = pixels.astype(np.float32), pixels.shape[:-1]
        self.value_range = robustness.range_of_values(pixels)
        self._baseline = baseline

    @cached_property
    def baseline(self) -> np.ndarray:
        """The input without content, (h, w, c)."""
        return self._baseline(self.x)

    def input_map(self, key: MapKey, cam: Cam | None = None) -> np.ndarray:
        """Return a map at the size of the model input, (h, w) in 0..1; by default that of the image."""
        explanation = self.explanations[key]
        L = explanation.cam if cam is None else cam.map
        return maps.to_image(L, explanation.input_box, self.shape, self.passes.run.config.interpolation)

    def noisy_maps(self, key: MapKey) -> np.ndarray:
        """Return one map of the noisy inputs, (n, h, w) in 0..1."""
        return np.array([self.input_map(key, each.cams[key]) for each in self.noisy.maps]).reshape(-1, *self.shape)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities of the class for inputs, (n,)."""
        p: np.ndarray = self.passes.probabilities(pixels)[:, self.class_index]
        return p

    @cached_property
    def masked(self) -> dict[MapKey, np.ndarray]:
        """The input multiplied by each map, (h, w, c)."""
        return {key: faithfulness.mask_by_map(self.x, self.input_map(key)) for key in self.explanations}

    @cached_property
    def masked_probabilities(self) -> dict[MapKey, float]:
        """The probability of the class for the input multiplied by each map."""
        p = self.probabilities(np.stack(list(self.masked.values())))
        return dict(zip(self.masked, p.tolist(), strict=True))

    @cached_property
    def y(self) -> np.ndarray:
        """The scores of the input, (classes,)."""
        scores: np.ndarray = self.passes.scores(self.x[None])[0]
        return scores

    @cached_property
    def noisy(self) -> Noisy:
        """Inputs with a little uniform noise, and their maps."""
        pixels = robustness.add_uniform_noise(self.x, self._rng(), self.value_range)
        maps_of_all = self._maps(pixels)
        same = [i for i, each in enumerate(maps_of_all) if each.y.argmax() == self.y.argmax()]
        return Noisy(pixels[same], [maps_of_all[i] for i in same])

    @cached_property
    def subsets(self) -> subsets.Subsets:
        """Random subsets of the cells of the input."""
        return subsets.random_subsets(self.shape, self._rng())

    @cached_property
    def drops(self) -> np.ndarray:
        """The score of the class lost without each subset, (m,)."""
        groups = np.split(self.subsets.masks, len(subsets.SHARES))  # one share of inputs in memory at a time
        y = [self.passes.scores(subsets.replace_subsets(self.x, self.baseline, masks)) for masks in groups]
        lost: np.ndarray = self.y[self.class_index] - np.concatenate(y)[:, self.class_index]
        return lost.astype(np.float64)

    @cached_property
    def masked_maps(self) -> dict[MapKey, np.ndarray]:
        """Each map of the input multiplied by that map, (h, w) in 0..1."""
        pixels = np.stack(list(self.masked.values()))
        each = self.passes.maps(pixels, self.class_index, [[key] for key in self.masked])
        return {key: self.input_map(key, m.cams[key]) for key, m in zip(self.masked, each, strict=True)}

    @cached_property
    def other_maps(self) -> dict[MapKey, np.ndarray]:
        """The maps of a random other class, (h, w) in 0..1; none if the model has a single score.

        A baseline is the same for all classes; the random one, computed again, would differ by the rounding of A.
        """
        if len(self.y) < 2:
            return {}
        rng = np.random.default_rng([self.seed, self.class_index])
        other = randomization.other_class(self.class_index, len(self.y), rng)
        keys = [key for key in self.explanations if METHODS[key[1]].kind != "baseline"]
        (other_maps,) = self.passes.maps(self.x[None], other, [keys])
        return {key: self.input_map(key, other_maps.cams.get(key)) for key in self.explanations}

    @cached_property
    def smooth_cams(self) -> dict[MapKey, tuple[np.ndarray, np.ndarray]]:
        """The maps of noisy inputs, (n, u, v), for the trained and for the randomized model."""
        pixels = randomization.add_normal_noise(self.x, self._rng())
        trained = self._maps(pixels)
        groups: dict[str | None, list[MapKey]] = {}
        for key in self.explanations:
            layer = self.explanations[key].layer if METHODS[key[1]].uses_layer else None
            groups.setdefault(layer, []).append(key)
        pairs = {}
        for layer, keys in groups.items():
            randomized = self.passes.random_maps(pixels, self.class_index, keys, layer)
            for key in keys:
                pairs[key] = _stack(trained, key), _stack(randomized, key)
        return pairs

    @cached_property
    def shifted_maps(self) -> dict[MapKey, np.ndarray]:
        """The maps of methods that read the pixels, of the shifted input for the shifted model, (h, w) in 0..1."""
        keys = [key for key in self.explanations if METHODS[key[1]].kind == "attribution"]
        cams = self.passes.shifted_maps(self.x, self.value_range, self.class_index, keys)
        return {key: self.input_map(key, cam) for key, cam in cams.items()}

    @cached_property
    def y_black(self) -> float:
        """The score of the class for a black input, or for values of 0."""
        return float(self.passes.scores(np.zeros_like(self.x[None]))[0, self.class_index])

    def _maps(self, pixels: np.ndarray) -> list[InputMaps]:
        return self.passes.maps(pixels, self.class_index, [list(self.explanations)] * len(pixels))

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


def _stack(each: Sequence[InputMaps], key: MapKey) -> np.ndarray:
    """Return one map of several inputs at its own resolution, (n, u, v)."""
    return np.stack([m.cams[key].map for m in each])
