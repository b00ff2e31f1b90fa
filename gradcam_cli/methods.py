"""All methods by name, and which maps a request for several of them makes."""

from __future__ import annotations

from collections.abc import Sequence

from gradcam_cli import attribution, cam
from gradcam_cli.errors import UsageError

NAMES = (*cam.METHODS, *attribution.METHODS)
"""What `--method` takes."""

NEGATABLE = ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam")
"""The methods that a negated gradient turns into their counterfactual."""

INPUT = "input"
"""Stands for the layer of maps that are made of pixels."""


def has_plane(method: str) -> bool:
    """Tell whether a method's map has the plane of a layer, and not the pixels of the input."""
    return method in cam.METHODS or attribution.METHODS[method].of_layer


def combine(layers: Sequence[str], methods: Sequence[str], classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (layer, method, class) of every map of an image; a method without a layer's plane is done once."""
    return [
        (layer, method, class_)
        for layer in layers
        for method in methods
        for class_ in classes
        if has_plane(method) or layer == layers[0]
    ]


def check_counterfactual(methods: Sequence[str]) -> None:
    """Check that the methods have a counterfactual.

    Raises:
        UsageError: one does not use the gradient at the layer.
    """
    for method in methods:
        if method not in NEGATABLE:
            raise UsageError(
                f"--counterfactual: expected methods that use the gradient at the layer, got {method}",
                f"these do: {', '.join(NEGATABLE)}",
            )
