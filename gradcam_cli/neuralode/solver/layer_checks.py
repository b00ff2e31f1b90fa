"""Checks that a Keras layer is a deterministic function of t and z."""

from __future__ import annotations

from typing import Any

import keras

from gradcam_cli.errors import UsageError

_RANDOM = "it draws new random numbers at every evaluation, so f is not a function"
UNSUPPORTED_LAYERS = {
    "BatchNormalization": "its statistics change with every evaluation and couple the samples of a batch",
    **dict.fromkeys(
        (
            "AlphaDropout",
            "Dropout",
            "GaussianDropout",
            "GaussianNoise",
            "SpatialDropout1D",
            "SpatialDropout2D",
            "SpatialDropout3D",
        ),
        _RANDOM,
    ),
}
"""Layers that f must not contain, and the reason. A rate or standard deviation of zero is allowed."""


def require_deterministic(f: keras.Layer) -> None:
    """Check that f is a deterministic function of t and z.

    Raises:
        UsageError: f contains a layer of `UNSUPPORTED_LAYERS`, or an activity regularizer.
    """
    for layer in f._flatten_layers():
        for kind in type(layer).__mro__:
            if kind.__name__ in UNSUPPORTED_LAYERS and kind.__module__.startswith("keras") and not _is_identity(layer):
                raise UsageError(
                    f"f contains {type(layer).__name__} ({layer.name}): {UNSUPPORTED_LAYERS[kind.__name__]}",
                    "use GroupNormalization or LayerNormalization" if "Batch" in kind.__name__ else "remove it from f",
                )
        if getattr(layer, "activity_regularizer", None) is not None:
            raise UsageError(
                f"f contains the layer {layer.name} with an activity regularizer: its loss would depend on the solver",
                "use kinetic_energy, or a regularizer of the weights",
            )


def _is_identity(layer: Any) -> bool:
    """Return whether a dropout or noise layer never changes its input, as inside MultiHeadAttention by default."""
    return getattr(layer, "rate", getattr(layer, "stddev", None)) == 0
