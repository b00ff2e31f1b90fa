"""Grad-CAM for Keras models: which parts of an image contribute to the score of a class.

    from gradcam_cli import explain
    explain("cat.jpg", model="vgg19", layer="block5_conv4").save("cat_gradcam.png")

TensorFlow is imported on the first use of a name.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam_cli.auditing.api import audit
    from gradcam_cli.evaluation.api import evaluate
    from gradcam_cli.pipeline.api import (
        Classifier,
        Explanation,
        Failure,
        GradcamError,
        explain,
        explain_many,
        grid,
        load_model,
    )

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "Explanation",
    "Failure",
    "GradcamError",
    "audit",
    "evaluate",
    "explain",
    "explain_many",
    "grid",
    "load_model",
]

if "keras" not in sys.modules:
    # TensorFlow computes the gradients, whatever the environment or keras.json selects. Keras reads this on import.
    os.environ["KERAS_BACKEND"] = "tensorflow"


def __getattr__(name: str) -> Any:
    if name in __all__:
        _require_tensorflow()
        package = {"audit": "auditing", "evaluate": "evaluation"}.get(name, "pipeline")
        return getattr(import_module(f"gradcam_cli.{package}.api"), name)
    raise AttributeError(f"module 'gradcam_cli' has no attribute {name!r}")


def _require_tensorflow() -> None:
    from keras import config

    from gradcam_cli.errors import UsageError

    if config.backend() != "tensorflow":
        raise UsageError(
            f"expected Keras with the backend tensorflow, got {config.backend()}",
            "import gradcam_cli before keras, or set KERAS_BACKEND=tensorflow",
        )
