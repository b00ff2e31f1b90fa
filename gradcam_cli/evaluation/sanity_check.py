"""Sanity check of maps: randomize a network layer by layer, and measure how much its maps change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.metrics.similarity import rank_correlation, ssim
from gradcam_cli.evaluation.metrics.summary import SanityStep
from gradcam_cli.images.load import Unexplained
from gradcam_cli.methods import maps
from gradcam_cli.methods.registry import layers_named
from gradcam_cli.network.layers import iter_layers
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.model_input import ModelInput
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun

MAX_STEPS = 20


@contextlib.contextmanager
def restored_weights(model: keras.Model) -> Iterator[None]:
    """Restore a model's weights when the block ends."""
    saved_values = [variable.numpy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, saved_values, strict=True):
            variable.assign(value)


def randomize(layer: keras.Layer, rng: np.random.Generator) -> None:
    """Reinitialize the weights of a layer with the layer's own initializers.

    Weights without an initializer are drawn from a normal distribution with their standard deviation;
    vectors are shuffled.
    """
    for variable in layer.variables:
        variable.assign(_reinitialize(layer, variable, rng))


def _reinitialize(layer: keras.Layer, variable: keras.Variable, rng: np.random.Generator) -> Any:
    for name in (variable.name, variable.name.removesuffix("_kernel")):
        if initializer := getattr(layer, f"{name}_initializer", None):
            config = initializer.get_config()
            if "seed" in config:
                initializer = type(initializer).from_config({**config, "seed": int(rng.integers(2**31))})
            return initializer(variable.shape, dtype=variable.dtype)
    value = variable.numpy()
    return rng.permutation(value) if value.ndim < 2 else rng.normal(0, value.std(), value.shape)


def layers_top_down(model: keras.Model) -> list[tuple[str, keras.Layer]]:
    """Return the innermost layers with weights and their paths, from the output to the input."""
    layers = [(path, layer) for path, layer in iter_layers(model) if getattr(layer, "variables", None)]
    paths = [path for path, _ in layers]
    leaves = [(path, layer) for path, layer in layers if not any(p.startswith(path + "/") for p in paths)]
    return leaves[::-1]


def check_sanity(run: PreparedRun, model_inputs: Sequence[ModelInput], seed: int) -> Iterator[SanityStep]:
    """Randomize a network from its output to its input, and compare its maps with those of the trained network.

    The explained class of each image stays that of the trained network. At most 20 steps are compared, and always
    the step that randomizes the last layer downstream of a map's layer. The weights are restored at the end.

    Args:
        run: the maps to check.
        model_inputs: the images.
        seed: seed of the random weights.

    Source:
        Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 4 (cascading randomization).
    """
    trained = [[_without_pixels(e) for e in explanations] for explanations in _explain(run, model_inputs)]
    model_inputs = [
        model_input._replace(classes=tuple(e.prediction.index for e in explanations[: len(run.classes)]))
        for model_input, explanations in zip(model_inputs, trained, strict=True)
    ]
    layers = layers_top_down(run.classifier.model)
    num_downstream = {path: count_downstream(layers, path) for path in run.layers}
    compared = {round(step) for step in np.linspace(0, len(layers) - 1, min(MAX_STEPS, len(layers)))}
    compared |= {count - 1 for count in num_downstream.values() if count}
    rng = np.random.default_rng(seed)
    with restored_weights(run.classifier.model):
        for step, (path, layer) in enumerate(layers):
            randomize(layer, rng)
            if step in compared:
                yield from _compare(path, step + 1, num_downstream, trained, _explain(run, model_inputs))


def _compare(
    path: str,
    num_randomized: int,
    num_downstream: dict[str, int],
    trained: Sequence[Sequence[Explanation]],
    randomized: Iterable[Sequence[Explanation]],
) -> Iterator[SanityStep]:
    """Yield the similarity of each map to that of the trained network, mean over the images."""
    first_layer = next(iter(num_downstream))
    similarities = [
        [_similarity(a, b) for a, b in zip(maps_before, maps_after, strict=True)]
        for maps_before, maps_after in zip(trained, randomized, strict=True)
    ]
    for explanation, (rank, similarity) in zip(trained[0], np.mean(similarities, axis=0).tolist(), strict=True):
        layers = layers_named(explanation.layer) or [first_layer]
        all_downstream = num_randomized >= max(num_downstream[layer] for layer in layers)
        yield SanityStep(path, all_downstream, explanation.layer, explanation.method, rank, similarity)


def count_downstream(layers: Sequence[tuple[str, keras.Layer]], path: str) -> int:
    """Return how many of the layers, listed from the output, are downstream of a path."""
    paths = [name for name, _ in layers]
    return next((i for i, name in enumerate(paths) if name == path or name.startswith(path + "/")), len(paths))


def _explain(run: PreparedRun, model_inputs: Sequence[ModelInput]) -> Iterator[list[Explanation]]:
    for forward_result in stages.run_batches(run, model_inputs):
        explanations = stages.make_explanations(run, forward_result)
        if isinstance(explanations, Unexplained):
            raise InputError(f"{explanations.source}: {explanations.error}", explanations.hint)
        yield explanations


def _without_pixels(explanation: Explanation) -> Explanation:
    """Return an explanation whose image and heatmap take no memory; `_similarity` upsamples its map again."""
    return replace(explanation, image=np.empty((0, 0, 3), np.uint8), heatmap=np.empty((0, 0), np.float32))


def _similarity(trained: Explanation, randomized: Explanation) -> tuple[float, float]:
    """Return the rank correlation of two maps, and the structural similarity of their heatmaps."""
    shape, interpolation = randomized.heatmap.shape, trained.settings.interpolation
    heatmap = maps.to_image(trained.cam, trained.map_box, shape, interpolation)
    return rank_correlation(trained.cam, randomized.cam), ssim(heatmap, randomized.heatmap)
