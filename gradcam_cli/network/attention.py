"""The attention maps of a transformer in its traced graph, their tokens, and their gradients.

An attention map is a softmax whose last two axes run over all tokens. It is found by its axes, whatever layer computes
it: `MultiHeadAttention`, an operation, or code of the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.dependence import tensors_downstream, tensors_upstream
from gradcam_cli.network.grid import Grid, grid_of
from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, LOCATED, Axis
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.trace import trace_places
from gradcam_cli.network.subgraph import bottlenecks, recomputed

HINT = "methods for all models: gradcam and the methods like it"


class Attention(NamedTuple):
    """The attention maps of a traced model.

    Attributes:
        maps: (n, heads, tokens, tokens) of each layer, in the order of the layers.
        grid: how the tokens are arranged over the image.
    """

    maps: list[tf.Tensor]
    grid: Grid

    @property
    def cells(self) -> np.ndarray:
        """(u, v), the index of the token of each cell; another number of axes for another one of the input."""
        indices = np.arange(self.maps[0].shape[-1])[None, :, None]
        with tf.init_scope():
            cells: np.ndarray = self.grid.extract(tf.constant(indices))[0, ..., 0].numpy()
        return cells


def find_attention(x: tf.Tensor, y: tf.Tensor) -> Attention:
    """Return the attention maps between the model input and the scores.

    Args:
        x: the model input (n, h, w, c), or with another number of spatial axes, n > 1, of a graph with static shapes.
        y: (n, classes), the scores.

    Raises:
        ModelError: the model has no attention, or one that is not between all tokens, or tokens of unknown place.
    """
    state, upstream = trace_places(x.graph, x), tensors_upstream(y)
    softmaxes = [op.outputs[0] for op in x.graph.get_operations() if op.type == "Softmax"]
    maps = [A for A in softmaxes if A.shape.rank > 2 and A.ref() in upstream and state.places(A)]
    if not maps:
        raise ModelError("the model has no attention between tokens", HINT)
    tokens = {_token_axis(state.places(A)) for A in maps}
    if None in tokens or len(tokens) > 1:
        raise ModelError("the model has attention that is not between all its tokens", HINT)
    if any(after.ref() not in tensors_downstream(before) for before, after in pairwise(maps)):
        raise ModelError("the model has attention layers that do not follow one after the other", HINT)
    places = state.places(maps[0].op.inputs[0])
    grid = _token_grid(places) if places else None
    if grid is None or not grid.proven:
        raise ModelError("the tokens of the model are not shown to be places of the input", HINT)
    return Attention(maps, grid)


def _token_axis(places: Places | None) -> Axis | None:
    """Return the axis of the tokens of a square map (n, ..., tokens, tokens), or None for any other tensor."""
    if places is None or places.axes is None or places.kind_of(0) != BATCH:
        return None
    *others, queries, keys = places.axes
    square = queries == keys and factors.contains(queries, LOCATED)
    return queries if square and not any(factors.contains(axis, LOCATED) for axis in others) else None


def _token_grid(places: Places) -> Grid | None:
    assert places.axes is not None  # noqa: S101  # callers check it
    return grid_of(places._replace(axes=(places.axes[0], places.axes[-1], ())))


def pooled_tokens(attention: Attention, y: tf.Tensor) -> tf.Tensor:
    """Return (tokens,) bool: the tokens of the last attention on which the scores depend."""
    weights = np.random.default_rng(0).normal(size=y.shape[-1]).astype(np.float32)
    (gradient,) = tf.gradients(y * weights, attention.maps[-1])
    axes = [axis for axis in range(gradient.shape.rank) if axis != gradient.shape.rank - 2]
    return tf.reduce_any(gradient != 0, axes)


def layer_scores(attention: Attention, y: tf.Tensor) -> list[tf.Tensor]:
    """Return the scores s^l, (n, classes), of each layer: y computed from the tokens after this layer.

    Raises:
        ModelError: the layers differ, so that the tokens after one cannot take the place of those after the last.
    """
    *others, last = _tokens_after(attention.maps, y) if len(attention.maps) > 1 else [y]
    return [*(recomputed(y, last, Z) for Z in others), y]


def _tokens_after(maps: Sequence[tf.Tensor], y: tf.Tensor) -> list[tf.Tensor]:
    """Return the tokens Z^l between each attention and the next: the last tensor that all paths to it pass.

    After the last attention, it is the tensor at the same position of the same sequence of operations.
    """
    sequences = []
    for A, following in pairwise(maps):
        upstream = tensors_upstream(following)
        sequences.append([tensor for tensor in bottlenecks(A, y) if tensor.ref() in upstream])
    sequences.append(bottlenecks(maps[-1], y)[: len(sequences[0])])
    if not sequences[0] or any(_kinds(tensors) != _kinds(sequences[0]) for tensors in sequences):
        raise ModelError("the attention layers of the model differ: a layer has no score of its own", HINT)
    return [tensors[-1] for tensors in sequences]


def _kinds(tensors: Sequence[tf.Tensor]) -> list[tuple[Any, ...]]:
    return [(tensor.op.type, *tensor.shape) for tensor in tensors]
