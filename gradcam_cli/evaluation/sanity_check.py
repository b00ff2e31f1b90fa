"""Sanity checks: does a map change when what the network learnt is taken from it, layer by layer?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.metrics.similarity import rank_correlation, ssim
from gradcam_cli.evaluation.metrics.summary import SanityStep
from gradcam_cli.images.load import Unexplained
from gradcam_cli.network.layers import iter_layers
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun
from gradcam_cli.pipeline.stages import ModelInput

MAX_STEPS = 20


@contextlib.contextmanager
def restored_weights(model: keras.Model) -> Iterator[None]:
    """Put a model's weights back when the block ends."""
    own = [variable.numpy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, own, strict=True):
            variable.assign(value)


def randomize(layer: keras.Layer, rng: np.random.Generator) -> None:
    """Draw the weights of a layer anew, as they were before its training.

    That is by the layer's own initialisers. A weight that has none under its name is drawn from a
    normal distribution of its deviation, a vector shuffled.
    """
    for variable in layer.variables:
        variable.assign(_reinitialize(layer, variable, rng))


def _reinitialize(layer: keras.Layer, variable: keras.Variable, rng: np.random.Generator) -> Any:
    for name in (variable.name, variable.name.removesuffix("_kernel")):
        if initialiser := getattr(layer, f"{name}_initializer", None):
            config = initialiser.get_config()
            if "seed" in config:
                initialiser = type(initialiser).from_config({**config, "seed": int(rng.integers(2**31))})
            return initialiser(variable.shape, dtype=variable.dtype)
    value = variable.numpy()
    return rng.permutation(value) if value.ndim < 2 else rng.normal(0, value.std(), value.shape)


def layers_top_down(model: keras.Model) -> list[tuple[str, keras.Layer]]:
    """Return the layers that hold weights of their own, with their paths, from the output back to the input."""
    found = [(path, layer) for path, layer in iter_layers(model) if getattr(layer, "variables", None)]
    leaves = [(path, layer) for path, layer in found if not any(other.startswith(path + "/") for other, _ in found)]
    return leaves[::-1]


def check_sanity(run: PreparedRun, model_inputs: Sequence[ModelInput], seed: int) -> Iterator[SanityStep]:
    """Randomise a network from its output back to its input, and compare its maps with those it had.

    The class of each photo stays the one explained at first. The model gets its weights back.
    After at most 20 steps, and always after the last layer behind each map's layer, maps are compared.

    Args:
        run: the maps that are checked.
        model_inputs: seen by the network.
        seed: of the new weights.

    Source:
        Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 4 (cascading randomization).
    """
    trained = _explain(run, model_inputs)
    fixed = [
        seen._replace(classes=tuple(one.prediction.index for one in records[: len(run.classes)]))
        for seen, records in zip(model_inputs, trained, strict=True)
    ]
    layers = layers_top_down(run.classifier.model)
    depths = {path: _num_downstream(layers, path) for path in run.layers}
    shown = {round(place) for place in np.linspace(0, len(layers) - 1, min(MAX_STEPS, len(layers)))}
    shown |= {depth - 1 for depth in depths.values() if depth}
    rng = np.random.default_rng(seed)
    with restored_weights(run.classifier.model):
        for place, (path, layer) in enumerate(layers):
            randomize(layer, rng)
            if place in shown:
                changed = _explain(run, fixed)
                for j, first in enumerate(trained[0]):
                    pairs = [(a[j], b[j]) for a, b in zip(trained, changed, strict=True)]
                    rank, likeness = _mean_similarity(pairs)
                    behind = place + 1 >= depths.get(first.layer, depths[next(iter(depths))])
                    yield SanityStep(path, behind, first.layer, first.method, rank, likeness)


def _num_downstream(layers: Sequence[tuple[str, keras.Layer]], path: str) -> int:
    """Return how many of the layers, from the output, lie behind a path."""
    order = [name for name, _ in layers]
    return next((i for i, name in enumerate(order) if name == path or name.startswith(path + "/")), len(order))


def _explain(run: PreparedRun, model_inputs: Sequence[ModelInput]) -> list[list[Explanation]]:
    explained = []
    for scored in stages.run_batches(run, model_inputs):
        records = stages.make_explanations(run, scored)
        if isinstance(records, Unexplained):
            raise InputError(f"{records.source}: {records.error}", records.hint)
        explained.append(records)
    return explained


def _mean_similarity(pairs: Sequence[tuple[Explanation, Explanation]]) -> tuple[float, float]:
    rank = np.mean([rank_correlation(a.cam, b.cam) for a, b in pairs])
    return float(rank), float(np.mean([ssim(a.heatmap, b.heatmap) for a, b in pairs]))
