"""Random weights of a model, assigned for single passes and taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property

import keras
import numpy as np

from gradcam_cli.evaluation.sanity_check import count_downstream, layers_top_down, randomize, restored_weights


class RandomWeights:
    """One set of random weights of a model, drawn at their first use.

    Args:
        model: the model; its weights are the trained ones outside `downstream_of`.
        seed: seed of the weights.
    """

    def __init__(self, model: keras.Model, seed: int) -> None:
        self.model, self.seed = model, seed

    @contextlib.contextmanager
    def downstream_of(self, layer: str | None) -> Iterator[None]:
        """Replace the weights of all layers downstream of a layer while the block runs; None for all layers."""
        count = len(self._layers) if layer is None else count_downstream(self._layers, layer)
        pairs = [pair for values in self._values[:count] for pair in values]
        trained = [(variable, variable.numpy()) for variable, _ in pairs]
        try:
            _assign(pairs)
            yield
        finally:
            _assign(trained)

    @cached_property
    def _layers(self) -> list[tuple[str, keras.Layer]]:
        return layers_top_down(self.model)

    @cached_property
    def _values(self) -> list[list[tuple[keras.Variable, np.ndarray]]]:
        """The random values of the variables of each layer, from the output to the input."""
        rng = np.random.default_rng(self.seed)
        with restored_weights(self.model):
            for _, layer in self._layers:
                randomize(layer, rng)
            return [[(variable, variable.numpy()) for variable in layer.variables] for _, layer in self._layers]


def _assign(pairs: list[tuple[keras.Variable, np.ndarray]]) -> None:
    for variable, value in pairs:
        variable.assign(value)
