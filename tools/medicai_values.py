"""Compute the Grad-CAM maps of medicai that tests/network/test_medicai.py compares the maps of gradcam with.

Run with medicai 0.0.4, Keras 3 and TensorFlow installed, in an environment of its own:

    KERAS_BACKEND=tensorflow python tools/medicai_values.py > tests/medicai_values.json
"""

import json

import numpy as np
from medicai.utils import GradCAM
from medicai_networks import CLASSES, LAYERS, NETWORKS, inputs_of

MASKS = ("object", "all")


def maps() -> dict[str, list[object]]:
    """Return the maps of each network, layer, class and mask at the size of the layer, without those that are zero."""
    found: dict[str, list[object]] = {}
    for name, build in NETWORKS.items():
        model = build()
        x = inputs_of(model)
        for layer in LAYERS[name]:
            cam = GradCAM(model, layer, "segmentation" if name == "segmentation" else "classification")
            for c in range(CLASSES):
                for mask in MASKS if name == "segmentation" else MASKS[:1]:
                    L = cam.compute_heatmap(x, c, mask, normalize_heatmap=False, resize_heatmap=False)[..., 0]
                    if L.any():
                        found[f"{name} {layer} {c} {mask}"] = [list(L.shape), _rounded(L)]
    return found


def _rounded(L: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in L.ravel()]


if __name__ == "__main__":
    print(json.dumps(maps()))
