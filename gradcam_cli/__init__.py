"""Grad-CAM for Keras models: which parts of an image contribute to the score of a class.

    from gradcam_cli import explain
    explain("cat.jpg", model="vgg19", layer="block5_conv4").save("cat_gradcam.png")

TensorFlow is imported on the first use of a name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam_cli.pipeline.api import Classifier, Explanation, GradcamError, explain, load_model

__version__ = "0.1.0"

__all__ = ["Classifier", "Explanation", "GradcamError", "explain", "load_model"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("gradcam_cli.pipeline.api"), name)
    raise AttributeError(f"module 'gradcam_cli' has no attribute {name!r}")
