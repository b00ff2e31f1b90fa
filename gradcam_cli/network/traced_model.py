"""What is traced of a model for one input shape and one target; each trace is made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import keras
import numpy as np

from gradcam_cli.network.attention_scorer import ModelAttention
from gradcam_cli.network.gradients import GradientFunction, compile_gradient_function
from gradcam_cli.network.layer_choice import LayerCheck, layer_check
from gradcam_cli.network.layer_trace import LayerOutput, output_activation, output_shape, trace_layers
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.network.target import CLASS, Target, find_head
from gradcam_cli.network.trace_cache import trace_cache

T = TypeVar("T")


@dataclass(frozen=True)
class TracedModel:
    """A model with its traces, which `trace_cache` keeps.

    Attributes:
        model: the Keras model.
        input_shape: (h, w, c), or with another number of spatial axes.
        task: how a single linear output is read, a name in `network.task.TASKS`.
        target: what is explained.
    """

    model: keras.Model
    input_shape: tuple[int, ...]
    task: str = "auto"
    target: Target = CLASS

    def _once(self, trace: Callable[[], T], *key: Hashable) -> T:
        return trace_cache(self.model).get(self._key(*key), trace)

    def _key(self, *key: Hashable) -> Hashable:
        return key, self.input_shape, self.task, self.target

    @property
    def layer_outputs(self) -> list[LayerOutput]:
        """The outputs of all layers and their places in the image, from one traced pass."""
        return self._once(lambda: trace_layers(self.model, self.input_shape, self.target), "layers")

    @property
    def output_shape(self) -> Any:
        """The shape of the output for one image."""
        return self._once(lambda: output_shape(self.model, self.input_shape), "output")

    def prepared(self, target: Target, key: Hashable) -> Target:
        """Return a target with the key or the index of its output in place of the name; once for each key.

        Raises:
            UsageError: the model has no such output.
        """
        names = list(getattr(self.model, "output_names", None) or ())

        def find() -> Target:
            if target.head is None:
                return target
            return replace(target, head=find_head(self.output_shape, names, target.head))

        return trace_cache(self.model).get(("target", self.input_shape, key), find)

    @property
    def output_activation(self) -> str | None:
        """The activation before the output that is explained."""
        return self._once(lambda: output_activation(self.model, self.input_shape, self.target), "activation")

    def check_layer(self, preprocess: Callable[[np.ndarray], np.ndarray], mode: str) -> LayerCheck:
        """Return the check of layers with a preprocessing, and its name; it measures each layer once."""
        arguments = (self.model, self.layer_outputs, preprocess, self.input_shape, self.target)
        return self._once(lambda: layer_check(*arguments), "check", mode)

    def drop_check(self, mode: str) -> None:
        """Drop what the check has measured: with other weights, a layer may pass."""
        trace_cache(self.model).drop(self._key("check", mode))

    def gradient_function(
        self, layers: Sequence[str | LayerOutput], score: str, precision: str = "float32"
    ) -> GradientFunction:
        """Return the compiled gradient function for these layers, score and precision."""
        paths = tuple(layer if isinstance(layer, str) else layer.path for layer in layers)
        arguments = (self.model, layers, score, precision, self.task, self.target)
        return self._once(lambda: compile_gradient_function(*arguments), "gradients", paths, score, precision)

    def scorer(self, layer: LayerOutput, score: str, precision: str, batch_size: int) -> ModelScorer:
        """Return the scores of changed inputs, and of changed activations of a layer."""
        arguments = (self.model, layer, score, precision, batch_size, self.task, self.target)
        return self._once(lambda: ModelScorer(*arguments), "scorer", layer.path, score, precision, batch_size)

    def attention(self, score: str, precision: str) -> ModelAttention:
        """Return the attention maps."""
        arguments = (self.model, self.input_shape, score, precision, self.task, self.target)
        return self._once(lambda: ModelAttention(*arguments), "attention", score, precision)
