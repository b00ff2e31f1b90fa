"""Which models and layers a method supports: checked before the first image is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.methods import registry
from gradcam_cli.network.attention_scorer import ModelAttention
from gradcam_cli.network.layer_choice import layers_of_sizes
from gradcam_cli.network.layer_trace import LayerOutput, has_paths_around
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.network.target import Target


def check_methods(
    methods: Sequence[str],
    layers: Sequence[LayerOutput],
    all_layers: Sequence[LayerOutput],
    target: Target,
) -> None:
    """Check that the layers fit the methods.

    Args:
        methods: names in `registry.LAYER_METHODS`.
        layers: the layers of the run.
        all_layers: all layers of the model.
        target: what is explained.

    Raises:
        UsageError: a method requires several layers.
        ModelError: a method requires a layer that all paths pass.
    """
    for method in methods:
        entry = registry.METHODS[method]
        if entry.kind == "layers" and len(layers) < 2:
            example = " ".join(f"--layer {layer.path}" for layer in layers_of_sizes(all_layers, layers[0]))
            raise UsageError(
                f"--method {method} requires two or more layers, got {layers[0].path}",
                f"repeat --layer: {example}" if example else "the model has no layers of several sizes",
            )
        if entry.cuts_at_layer:
            for layer in layers:
                if has_paths_around(layer, target):
                    raise ModelError(
                        f"--method {method} requires a layer that all paths from the image to the score pass: "
                        f"there are paths around {layer.path}",
                        "`--layer auto` is the last layer",
                    )


def trace_methods(
    methods: Sequence[str], scorer: ModelScorer, attention: Callable[[], ModelAttention], shape: tuple[int, ...]
) -> None:
    """Trace the networks of the methods that require certain operations.

    Args:
        methods: names in `registry.LAYER_METHODS`.
        scorer: of any layer.
        attention: returns the attention maps of the model.
        shape: (h, w, c) of the model input, or with another number of spatial axes.

    Raises:
        ModelError: the model has no attention maps for a method, or biases that are not known.
    """
    for method in methods:
        if registry.METHODS[method].kind == "attention":
            attention().grid(method)
        if method == registry.FULLGRAD:
            scorer.full_gradient_function(shape)
