"""The Python package's front door."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.images import decode
from gradcam_cli.images.load import LoadedImage, Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.models.classifier import Classifier, load_model
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images


def explain(
    image: str | os.PathLike[str] | np.ndarray,
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19",
    layer: str = "auto",
    *,
    target_class: int | str = "top",
    method: str = "gradcam",
    score: str = "logit",
    fit: str = "squash",
    zoom_order: int = 1,
    top_k: int = 5,
    precision: str = "float32",
    max_pixels: int = decode.MAX_PIXELS,
    **loading: Any,
) -> Explanation:
    """Show which parts of an image made a model choose a class.

    Args:
        image: a path, or an array (H, W, 3) or (H, W) of uint8.
        model: a name, a path, a Keras model, or what `load_model` returned: load it once to explain
            many images.
        layer: its path in the model, or `auto`.
        target_class: an index, a name, `top_k`, or `topN` for the class of rank N.
        method: a name in `METHODS`.
        score: `logit`, or `softmax` for the probability.
        fit: `squash`, `crop` or `pad`.
        zoom_order: degree of the spline that enlarges the map, 0..3.
        top_k: how many predictions to list.
        precision: `float32`, `auto`, `bfloat16` or `float16`, for this call only.
        max_pixels: the largest photo to decode.
        loading: what `load_model` takes, such as `weights`, `labels`, `preprocessing`.

    Returns:
        The record, with `.map` (H, W) in 0..1, `.raw`, `.alpha`, `.prediction`, `.figure()`, `.save(path)`.

    Raises:
        InputError: the image cannot be read.
        UsageError: there is no such layer, class or option value.
        ModelError, WeightsError: the model cannot be used.
    """
    classifier = model if isinstance(model, Classifier) else load_model(model, **loading)
    if isinstance(model, Classifier) and loading:
        raise UsageError(f"the model is loaded already: {', '.join(loading)} came too late")
    request = ExplainConfig((layer,), (target_class,), (method,), score, fit, zoom_order, top_k, 1, precision)
    run = prepare_run(classifier, request)
    photo = (
        _image_from_array(image) if isinstance(image, np.ndarray) else load_image(Source(os.fspath(image)), max_pixels)
    )
    (result,) = explain_images(run, [photo])
    if isinstance(result, Unexplained):
        raise InputError(f"{result.source}: {result.error}", result.hint)
    return result[-1]


def _image_from_array(pixels: np.ndarray) -> LoadedImage:
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise InputError(f"expected an array (H, W, 3) or (H, W) of uint8, got {pixels.shape} of {pixels.dtype}")
    return LoadedImage("array", pixels)


__all__ = ["Classifier", "Explanation", "GradcamError", "explain", "load_model"]
