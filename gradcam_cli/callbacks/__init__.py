"""Callbacks of Keras: maps of fixed images while a model is trained.

    from gradcam_cli.callbacks import GradCAM
    model.fit(x, y, callbacks=[GradCAM(x_test[:16], log_dir="logs")])

TensorFlow is imported on the first use of a name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam_cli.callbacks.gradcam import GradCAM

__all__ = ["GradCAM"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from gradcam_cli.network.tensorflow_import import require_tensorflow

        require_tensorflow()
        return getattr(import_module("gradcam_cli.callbacks.gradcam"), name)
    raise AttributeError(f"module 'gradcam_cli.callbacks' has no attribute {name!r}")
