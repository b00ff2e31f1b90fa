"""Which layers can be explained, and which one `auto` chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import keras
import numpy as np

from gradcam_cli.errors import ModelError
from gradcam_cli.network.layer_trace import LayerOutput
from gradcam_cli.network.locality import cells_affecting_score, measure_locality
from gradcam_cli.network.target import CLASS, Target

# Layers that only subsample, drop or rearrange features.
_SHAPE_ONLY_LAYERS = tuple("Pooling Dropout Reshape Permute Flatten Cropping GetItem ZeroPadding UpSampling".split())
MAX_MEASUREMENTS = 2
"""Layers that `auto` measures before it gives up."""
IMAGE_AXES = 3
"""Axes of an image, (h, w, c)."""
NUM_SIZES = 3
"""Layers that `layers_of_sizes` returns."""
NOT_LOCAL = "its cells are not places of the input: their gradients do not lie where the cells lie"

NO_EFFECT = "the class score depends only on its class token, not on its cells"

LayerCheck = Callable[[LayerOutput], str | None]
"""Returns why a layer cannot be explained, or None."""


def layer_check(
    model: keras.Model,
    outputs: Sequence[LayerOutput],
    preprocess: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, ...],
    target: Target = CLASS,
) -> LayerCheck:
    """Return a check that measures layers whose places are not proven, each once, and the effect of tokens.

    Args:
        model: a model.
        outputs: its layers, from `trace_layers`.
        preprocess: its preprocessing.
        shape: (h, w, c) of its input, or with another number of spatial axes.
        target: what is explained.
    """
    tokens = [output for output in outputs if output.grid and output.grid.prefix is not None]

    @cache
    def noise() -> np.ndarray:
        rng = np.random.default_rng(0)
        if len(shape) == IMAGE_AXES:
            return preprocess(rng.integers(0, 256, (1, *shape), np.uint8))
        return rng.normal(size=(1, *shape)).astype(np.float32)  # 0..255 would saturate most networks of signals

    @cache
    def effective_tokens() -> set[str]:
        return cells_affecting_score(model, tokens, noise(), target)

    @cache
    def check(output: LayerOutput) -> str | None:
        if output.grid is None or output.reason:
            return output.reason
        if output.grid.prefix is not None and output.path not in effective_tokens():
            return NO_EFFECT
        if output.grid.proven:
            return None
        locality = measure_locality(model, output, noise())
        return None if locality and locality.is_local else NOT_LOCAL

    return check


def default_layer(outputs: Sequence[LayerOutput], check: LayerCheck) -> LayerOutput:
    """Return the last layer whose cells are places of the input and that computes features.

    Pooling, dropout and other layers that only subsample or rearrange features are skipped. So are layers on which the
    score does not depend, the projections inside an attention layer, and an enclosing layer whose output is smaller
    than that of its last inner layer.

    Args:
        outputs: from `trace_layers`.
        check: from `layer_check`.

    Raises:
        ModelError: there is no such layer.
    """
    candidates = _candidates(outputs)
    measured = 0
    for output in candidates[::-1]:
        reason = check(output)
        if reason is None:
            return output
        measured += reason == NOT_LOCAL
        if measured == MAX_MEASUREMENTS:
            break
    raise ModelError(
        "the model has no layer whose output is a grid of more than one cell over the input",
        "`gradcam layers MODEL` lists the layers and why they are excluded",
    )


def layers_of_sizes(outputs: Sequence[LayerOutput], last: LayerOutput) -> list[LayerOutput]:
    """Return the last layer of each size (u, v) that computes features, up to a layer; the largest sizes are left out.

    Args:
        outputs: from `trace_layers`.
        last: one of them.
    """
    found: dict[tuple[int, ...], LayerOutput] = {}
    for output in _candidates(outputs):
        if output.grid and output.grid.proven:
            found[output.grid.cells] = output
        if output.path == last.path:
            break
    layers = sorted(found.values(), key=outputs.index)[-NUM_SIZES:]
    return layers if len(layers) > 1 else []


def _candidates(outputs: Sequence[LayerOutput]) -> list[LayerOutput]:
    """Return the layers that `auto` considers, in the order of their calls."""
    result: dict[Any, LayerOutput] = {}
    attention = {output.path for output in outputs if type(output.operation).__name__.endswith("Attention")}
    for output in outputs:
        usable = output.grid and output.grid.num_cells > 1 and output.learned and output.affects_score
        usable = usable and output.path.rpartition("/")[0] not in attention
        shape_only = any(word in type(output.operation).__name__ for word in _SHAPE_ONLY_LAYERS)
        if usable and output.tensor not in result:
            result[output.tensor] = output._replace(learned=not shape_only)
    found = [output for output in result.values() if output.learned]
    return [output for output in found if not _is_smaller_than_inside(output, found)]


def _is_smaller_than_inside(output: LayerOutput, candidates: Sequence[LayerOutput]) -> bool:
    """Return whether a layer ends with fewer cells than the last candidate inside it."""
    inside = [inner.grid for inner in candidates if inner.path.startswith(output.path + "/")]
    assert output.grid is not None  # noqa: S101  # candidates have one
    return bool(inside) and inside[-1] is not None and output.grid.num_cells < inside[-1].num_cells
