"""What the page lists about a model: its layers, its methods, and the depths of an ODE."""

from __future__ import annotations

from typing import Any

from gradcam_cli.methods import registry
from gradcam_cli.serving.served_model import ServedModel


def list_model(model: ServedModel) -> dict[str, Any]:
    """Return what the page lists about a model."""
    classifier = model.classifier
    return {
        "id": model.id,
        "name": classifier.name,
        "input_size": list(classifier.spatial_shape),
        "classes": classifier.class_count,
        "weights": classifier.weights,
        "preprocess": classifier.preprocess_mode,
        "layers": [
            {
                "path": each.path,
                "shape": [*each.grid.cells, each.shape[-1]] if each.grid else list(each.shape),
                "default": each.path == model.default_layer.path,
            }
            for each in model.layers.values()
        ],
        "strip": [each.path for each in model.strip],
        "methods": [
            {
                "name": name,
                "kind": method.kind,
                "description": method.description,
                "cost": method.cost,
                "needs_layer": method.uses_layer,
                "slow": method.kind in registry.MULTI_PASS,
                "contrast": method.negatable,
                "counterfactual": method.negatable,
                "depth": name in registry.DEPTH_METHODS,
            }
            for name, method in model.methods.items()
        ],
        "depth": model.depth_maps.session() if model.depth_maps else None,
    }
