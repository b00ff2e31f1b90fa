"""Activations of Keras 2 that are other functions in Keras 3."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

HARD_SIGMOID = "gradcam_cli>hard_sigmoid_keras2"
"""The registered name of `hard_sigmoid_keras2`."""


@keras.saving.register_keras_serializable("gradcam_cli")  # type: ignore[untyped-decorator]
def hard_sigmoid_keras2(x: Any) -> Any:
    """Return min(max(0.2 x + 0.5, 0), 1), the `hard_sigmoid` of Keras 2; Keras 3's is min(max(x / 6 + 0.5, 0), 1)."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
