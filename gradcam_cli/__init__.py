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
    from gradcam_cli.auditing.records import Audit
    from gradcam_cli.errors import GradcamError
    from gradcam_cli.evaluation.api import evaluate
    from gradcam_cli.evaluation.compare import compare
    from gradcam_cli.evaluation.comparison import Comparison
    from gradcam_cli.evaluation.results import EvaluationResults
    from gradcam_cli.images.load import Failure
    from gradcam_cli.models.classifier import Classifier, load_model
    from gradcam_cli.network.layer_info import Layer
    from gradcam_cli.pipeline.api import explain, explain_many, grid
    from gradcam_cli.pipeline.layer_list import layers
    from gradcam_cli.pipeline.results import Explanation
    from gradcam_cli.reporting.api import report
    from gradcam_cli.reporting.build import Report

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "Classifier",
    "Comparison",
    "EvaluationResults",
    "Explanation",
    "Failure",
    "GradcamError",
    "Layer",
    "Report",
    "audit",
    "compare",
    "evaluate",
    "explain",
    "explain_many",
    "grid",
    "layers",
    "load_model",
    "report",
]

_MODULES = {
    "auditing.api": ("audit",),
    "auditing.records": ("Audit",),
    "errors": ("GradcamError",),
    "evaluation.api": ("evaluate",),
    "evaluation.compare": ("compare",),
    "evaluation.comparison": ("Comparison",),
    "evaluation.results": ("EvaluationResults",),
    "images.load": ("Failure",),
    "models.classifier": ("Classifier", "load_model"),
    "network.layer_info": ("Layer",),
    "pipeline.api": ("explain", "explain_many", "grid"),
    "pipeline.layer_list": ("layers",),
    "pipeline.results": ("Explanation",),
    "reporting.api": ("report",),
    "reporting.build": ("Report",),
}
"""The module of each public name."""

if "keras" not in sys.modules:
    # TensorFlow computes the gradients, whatever the environment or keras.json selects. Keras reads this on import.
    os.environ["KERAS_BACKEND"] = "tensorflow"


def __getattr__(name: str) -> Any:
    from gradcam_cli.network.tensorflow_import import require_tensorflow

    for module, names in _MODULES.items():
        if name in names:
            require_tensorflow()
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
