"""The attention maps of one model and their gradients, for the methods that use them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.methods.attention_maps import AttentionMaps
from gradcam_cli.network.attention import Attention, find_attention, layer_scores, pooled_tokens
from gradcam_cli.network.grid import Grid
from gradcam_cli.network.layer_trace import TRACED_BATCH
from gradcam_cli.network.precision import precision_scope
from gradcam_cli.network.target import CLASS, Target
from gradcam_cli.network.target_scores import target_scores


class ModelAttention:
    """Implements `methods.attention_maps.AttentionScorer` for one model.

    An image is processed twice, in a batch of the size in which the axes of the batch and of the tokens differ.

    Args:
        model: unchanged.
        input_shape: (h, w, c), or with another number of spatial axes.
        score: `logit`, `probability` or `output`.
        precision: a value returned by `resolve_precision`.
        task: a name in `task.TASKS`.
        target: what is explained.
    """

    def __init__(
        self,
        model: keras.Model,
        input_shape: tuple[int, ...],
        score: str,
        precision: str,
        task: str = "auto",
        target: Target = CLASS,
    ) -> None:
        self.model, self.score, self.precision, self.task, self.target = model, score, precision, task, target
        self._inputs = [tf.TensorSpec((TRACED_BATCH, *input_shape), tf.float32), tf.TensorSpec((), tf.int32)]
        self._found: Attention | None = None

    def attention_maps(self, x: np.ndarray) -> AttentionMaps:
        """Return A^l of an input (h, w, c).

        Raises:
            ModelError: as `find_attention`.
        """
        return self._run(self._maps, x, 0)

    def attention_gradients(self, x: np.ndarray, c: int) -> AttentionMaps:
        """Return ds^l_c/dA^l, with s^l_c from `layer_scores`, of an input (h, w, c).

        Raises:
            ModelError: as `find_attention` and `layer_scores`.
        """
        return self._run(self._gradients, x, c)

    def grid(self, method: str) -> Grid:
        """Return how the tokens are arranged over the image.

        Args:
            method: `rollout` or `legrad`, whose network is compiled.

        Raises:
            ModelError: the method does not support the model.
        """
        with precision_scope(self.precision):
            _ = self._gradients if method == "legrad" else self._maps
        return self._attention.grid

    @property
    def _attention(self) -> Attention:
        assert self._found is not None  # noqa: S101  # set while a function is compiled
        return self._found

    def _run(self, function: Any, x: np.ndarray, c: int) -> AttentionMaps:
        with precision_scope(self.precision):
            pooled, layers = function(tf.constant(np.repeat(x[None], TRACED_BATCH, 0), tf.float32), tf.constant(c))
        return AttentionMaps([layer.numpy() for layer in layers], pooled.numpy(), self._attention.cells)

    @cached_property
    def _maps(self) -> Any:
        return self._compiled(lambda attention, y, c: attention.maps)

    @cached_property
    def _gradients(self) -> Any:
        def gradients(attention: Attention, y: tf.Tensor, c: tf.Tensor) -> list[tf.Tensor]:
            scores = zip(layer_scores(attention, y), attention.maps, strict=True)
            return [tf.gradients(tf.gather(s, c, axis=1), A)[0] for s, A in scores]

        return self._compiled(gradients)

    def _compiled(self, function: Callable[[Attention, tf.Tensor, tf.Tensor], list[tf.Tensor]]) -> Any:
        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def run(x: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
            y = target_scores(self.model(x, training=False), x, self.score, self.task, self.target).scores.y
            self._found = find_attention(x, y)
            layers = [_of_first_image(A) for A in function(self._found, y, c)]
            return pooled_tokens(self._found, y), layers

        return run.get_concrete_function(*self._inputs)


def _of_first_image(A: tf.Tensor) -> tf.Tensor:
    """Return (heads, tokens, tokens) float32 of (n, heads, tokens, tokens); a map without heads has one."""
    return tf.cast(tf.reshape(A[0], (-1, *A.shape[-2:])), tf.float32)
