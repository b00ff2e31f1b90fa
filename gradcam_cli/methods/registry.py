"""The registry of all methods, and the keys of the maps of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from gradcam_cli.errors import UsageError
from gradcam_cli.methods import attention_maps, baselines, cam, fullgrad, perturbation, pixel_gradients, refinecam
from gradcam_cli.methods.cam import Cam
from gradcam_cli.methods.perturbation import OCCLUSION_PATCHES
from gradcam_cli.methods.pixel_gradients import IG_STEPS, SMOOTHGRAD_SAMPLES

Layer = TypeVar("Layer")
Class = TypeVar("Class")

FULLGRAD = "fullgrad"
SHARED_PASS = "shared pass"  # noqa: S105
"""Cost of the methods that are computed together, from one forward and one backward pass."""


@dataclass(frozen=True)
class Method:
    """The function and the properties of a method.

    Attributes:
        function: takes (A, dA) for the kinds `cam` and `baseline`, (A, dA, f) for `depth`, and (scorer, inputs) for the
            others; `layers` has its own arguments.
        kind: `cam` uses the activations and their gradient; `baseline` has the same arguments but is
            class-agnostic; `layers` uses those of all layers of the run; `depth` also uses f(t, z), and exists only
            along the depth t of an ODE; `attribution` runs the model for each image and class; `attention` also does,
            and uses the attention maps of a transformer.
        description: what the map shows, or when to use it, in one line.
        cost: the passes through the network per image and class.
        uses_layer: whether the map depends on the chosen layer and has its resolution.
        cuts_at_layer: whether the score must depend on the image only through the chosen layer.
        negatable: whether the gradient may be that of any combination of scores: the negated one gives the
            counterfactual (Selvaraju et al. 2017, section 3.3), that of a difference the contrast of `--against`.
    """

    function: Callable[..., Cam]
    kind: Literal["cam", "baseline", "layers", "depth", "attribution", "attention"]
    description: str
    cost: str = SHARED_PASS
    uses_layer: bool = True
    cuts_at_layer: bool = False
    negatable: bool = False


METHODS: dict[str, Method] = {
    "gradcam": Method(cam.gradcam, "cam", "channels weighted by their mean gradients; the default", negatable=True),
    "gradcam++": Method(
        cam.gradcam_plus_plus, "cam", "several objects of one class; positive gradients only", negatable=True
    ),
    "hirescam": Method(
        cam.hirescam, "cam", "exact if the layer feeds a linear classifier; earlier layers", negatable=True
    ),
    "layercam": Method(cam.layercam, "cam", "earlier layers with higher resolution", negatable=True),
    "xgradcam": Method(cam.xgradcam, "cam", "gradients averaged with the activations as weights", negatable=True),
    "eigencam": Method(cam.eigencam, "cam", "main activation pattern of the layer; class-agnostic"),
    "segeigencam": Method(cam.segeigencam, "cam", "segments: main pattern of activations times absolute gradients"),
    "refinecam": Method(
        refinecam.refinecam,
        "layers",
        "fine detail: product of the Grad-CAM maps of several layers",
        uses_layer=False,
        negatable=True,
    ),
    "flow": Method(
        cam.flow, "depth", "contribution of an ODE's layer at depth t", "one forward and one backward solve"
    ),
    "random": Method(baselines.random_map, "baseline", "random values, to compare with"),
    "center": Method(baselines.center_prior, "baseline", "largest at the center of the image, to compare with"),
    "uniform": Method(baselines.uniform_map, "baseline", "equal everywhere, to compare with"),
    "scorecam": Method(
        perturbation.scorecam,
        "attribution",
        "no gradients: score kept under a channel's mask",
        "one forward pass per channel",
    ),
    "ablationcam": Method(
        perturbation.ablationcam,
        "attribution",
        "no gradients: score lost without a channel",
        "one pass downstream of the layer per channel",
    ),
    "reciprocam": Method(
        perturbation.reciprocam,
        "attribution",
        "no gradients: score from a single cell of the layer",
        "one pass downstream of the layer per cell",
        cuts_at_layer=True,
    ),
    "rollout": Method(
        attention_maps.rollout,
        "attention",
        "transformers: attention of all layers; class-agnostic",
        "two forward passes",
        uses_layer=False,
    ),
    "legrad": Method(
        attention_maps.legrad,
        "attention",
        "transformers: gradients of the attention maps of all layers",
        "two forward passes, one backward per layer",
        uses_layer=False,
    ),
    "saliency": Method(
        pixel_gradients.saliency,
        "attribution",
        "pixels with a large gradient; noisy",
        "one backward pass to the pixels",
        uses_layer=False,
    ),
    "smoothgrad": Method(
        pixel_gradients.smoothgrad,
        "attribution",
        "saliency averaged over noisy copies",
        f"{SMOOTHGRAD_SAMPLES} backward passes to the pixels",
        uses_layer=False,
    ),
    "integrated-gradients": Method(
        pixel_gradients.integrated_gradients,
        "attribution",
        "values that sum to the score difference from a black image",
        f"{IG_STEPS} backward passes to the pixels",
        uses_layer=False,
    ),
    FULLGRAD: Method(
        fullgrad.fullgrad,
        "attribution",
        "gradients times input, and times the biases of all layers",
        "two backward passes through all layers",
        uses_layer=False,
    ),
    "guided-backprop": Method(
        pixel_gradients.guided_backprop,
        "attribution",
        "sharp, but almost independent of the trained weights",
        "one backward pass to the pixels",
        uses_layer=False,
    ),
    "guided-gradcam": Method(
        pixel_gradients.guided_gradcam,
        "attribution",
        "guided backpropagation times the Grad-CAM map; same weakness",
        "one backward pass to the pixels",
        uses_layer=False,
    ),
    "occlusion": Method(
        perturbation.occlusion,
        "attribution",
        "score lost under a black patch",
        f"about {(2 * OCCLUSION_PATCHES - 1) ** 2} forward passes",
        uses_layer=False,
    ),
}
"""All methods, by name."""

LAYER_METHODS = tuple(name for name, method in METHODS.items() if method.kind != "depth")
"""The values of `--method` for a layer of a network."""

DEPTH_METHODS = tuple(name for name, method in METHODS.items() if method.kind in ("cam", "depth", "baseline"))
"""The values of `--method` along the depth t of an ODE."""

PIXEL_METHODS = tuple(
    name for name, method in METHODS.items() if method.function.__module__ == pixel_gradients.__name__
)
"""The methods whose maps have a value for each pixel of the model input, and single large values."""

MULTI_PASS = ("attribution", "attention")
"""Kinds of methods that run the model for each image and class."""

INPUT_LAYER = "input"
"""Recorded as the layer of maps from methods that use no layer."""

PRODUCT = " * "
"""Separates the layers of a map from a method of the kind `layers`, where its layer is recorded."""


def layer_name(method: str, layers: Sequence[str], index: int) -> str:
    """Return what is recorded as the layer of a map.

    Args:
        method: name of the method.
        layers: the paths of all layers of the run.
        index: that of the map's own layer.
    """
    if METHODS[method].kind == "layers":
        return PRODUCT.join(layers)
    return layers[index] if METHODS[method].uses_layer else INPUT_LAYER


def layers_named(name: str) -> list[str]:
    """Return the paths of the layers that `layer_name` returned; none for a method that uses no layer."""
    return [] if name == INPUT_LAYER else name.split(PRODUCT)


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


def require_negatable(methods: Sequence[str], option: str) -> None:
    """Check that all methods are functions of the gradient of any combination of scores.

    Args:
        methods: names.
        option: that requires it: `--counterfactual` or `--against`.

    Raises:
        UsageError: a method is not negatable.
    """
    for method in methods:
        if not METHODS[method].negatable:
            negatable = [name for name, entry in METHODS.items() if entry.negatable]
            raise UsageError(
                f"{option} does not support the method {method}",
                f"supported: {', '.join(negatable)}",
            )
