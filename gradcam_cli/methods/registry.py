"""The registry of all methods, and the keys of the maps of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from gradcam_cli.errors import UsageError
from gradcam_cli.methods import attention_maps, baselines, cam, perturbation, pixel_gradients
from gradcam_cli.methods.cam import Cam
from gradcam_cli.methods.perturbation import OCCLUSION_PATCHES
from gradcam_cli.methods.pixel_gradients import IG_STEPS, SMOOTHGRAD_SAMPLES

Layer = TypeVar("Layer")
Class = TypeVar("Class")


@dataclass(frozen=True)
class Method:
    """The function and the properties of a method.

    Attributes:
        function: takes (A, dA) for the kinds `cam` and `baseline`, (A, dA, f) for `depth`, and (scorer, inputs) for the
            others.
        kind: `cam` uses the activations and their gradient; `baseline` has the same arguments but is
            class-agnostic; `depth` also uses f(t, z), and exists only along the depth t of an ODE; `attribution` runs
            the model for each image and class; `attention` also does, and uses the attention maps of a transformer.
        cost: text for the number of model runs of a `MULTI_PASS` method per image and class.
        uses_layer: whether the map depends on the chosen layer and has its resolution.
        negatable: whether the negated gradient gives the counterfactual (Selvaraju et al. 2017, section 3.3).
    """

    function: Callable[..., Cam]
    kind: Literal["cam", "baseline", "depth", "attribution", "attention"]
    cost: str = ""
    uses_layer: bool = True
    negatable: bool = False


METHODS: dict[str, Method] = {
    "gradcam": Method(cam.gradcam, "cam", negatable=True),
    "gradcam++": Method(cam.gradcam_plus_plus, "cam", negatable=True),
    "hirescam": Method(cam.hirescam, "cam", negatable=True),
    "layercam": Method(cam.layercam, "cam", negatable=True),
    "xgradcam": Method(cam.xgradcam, "cam", negatable=True),
    "eigencam": Method(cam.eigencam, "cam"),
    "flow": Method(cam.flow, "depth"),
    "random": Method(baselines.random_map, "baseline"),
    "center": Method(baselines.center_prior, "baseline"),
    "uniform": Method(baselines.uniform_map, "baseline"),
    "scorecam": Method(perturbation.scorecam, "attribution", "one forward pass per channel"),
    "ablationcam": Method(perturbation.ablationcam, "attribution", "one pass downstream of the layer per channel"),
    "rollout": Method(attention_maps.rollout, "attention", "two forward passes", uses_layer=False),
    "legrad": Method(
        attention_maps.legrad, "attention", "two forward passes, and a backward pass of each layer", uses_layer=False
    ),
    "saliency": Method(pixel_gradients.saliency, "attribution", "one backward pass to the pixels", uses_layer=False),
    "smoothgrad": Method(
        pixel_gradients.smoothgrad,
        "attribution",
        f"{SMOOTHGRAD_SAMPLES} backward passes to the pixels",
        uses_layer=False,
    ),
    "integrated-gradients": Method(
        pixel_gradients.integrated_gradients,
        "attribution",
        f"{IG_STEPS} backward passes to the pixels",
        uses_layer=False,
    ),
    "guided-backprop": Method(
        pixel_gradients.guided_backprop, "attribution", "one backward pass to the pixels", uses_layer=False
    ),
    "guided-gradcam": Method(
        pixel_gradients.guided_gradcam, "attribution", "one backward pass to the pixels", uses_layer=False
    ),
    "occlusion": Method(
        perturbation.occlusion,
        "attribution",
        f"about {(2 * OCCLUSION_PATCHES - 1) ** 2} forward passes",
        uses_layer=False,
    ),
}
"""All methods, by name."""

LAYER_METHODS = tuple(name for name, method in METHODS.items() if method.kind != "depth")
"""The values of `--method` for a layer of a network."""

DEPTH_METHODS = tuple(name for name, method in METHODS.items() if method.kind in ("cam", "depth", "baseline"))
"""The values of `--method` along the depth t of an ODE."""

MULTI_PASS = ("attribution", "attention")
"""Kinds of methods that run the model for each image and class."""

INPUT_LAYER = "input"
"""Recorded as the layer of maps from methods that use no layer."""


def names_of_kind(*kinds: str) -> tuple[str, ...]:
    """Return the names of the methods of these kinds."""
    return tuple(name for name, method in METHODS.items() if method.kind in kinds)


def map_keys(
    layers: Sequence[Layer], methods: Sequence[str], classes: Sequence[Class]
) -> list[tuple[Layer, str, Class]]:
    """Return the keys (layer, method, class) of all maps of an image.

    A method that uses no layer is computed only once, under the first layer.
    """
    return [
        (layer, method, class_)
        for layer in layers
        for method in methods
        for class_ in classes
        if METHODS[method].uses_layer or layer == layers[0]
    ]


def require_counterfactual(methods: Sequence[str]) -> None:
    """Check that all methods support the counterfactual.

    Raises:
        UsageError: a method is not negatable.
    """
    for method in methods:
        if not METHODS[method].negatable:
            negatable = [name for name, entry in METHODS.items() if entry.negatable]
            raise UsageError(
                f"--counterfactual does not support the method {method}",
                f"supported: {', '.join(negatable)}",
            )
