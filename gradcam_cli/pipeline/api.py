"""The function `explain` of the Python package."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.images import decode
from gradcam_cli.images.bands import to_bands, to_rgb
from gradcam_cli.images.load import LoadedImage, Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.models.classifier import Classifier, load_model
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images


def explain(
    image: str | os.PathLike[str] | np.ndarray | Image.Image,
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19",
    layer: str = "auto",
    *,
    target_class: int | str = "top",
    method: str = "gradcam",
    target: str = "class",
    score: str = "logit",
    fit: str = "squash",
    interpolation: str = "linear",
    counterfactual: bool = False,
    aug_smooth: bool = False,
    top_k: int = 5,
    precision: str = "float32",
    max_pixels: int = decode.MAX_PIXELS,
    max_value: int | None = None,
    rgb: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    preprocess: str | None = None,
    input_size: tuple[int, int] | None = None,
    allow_unsafe: bool = False,
    packages: Sequence[str] = (),
    offline: bool = False,
    task: str = "auto",
    other_inputs: str | None = None,
) -> Explanation:
    """Compute one map: which parts of an image contribute to the score of a class.

    Args:
        image: a path, an array (H, W, 3) or (H, W) of uint8, a Pillow image, or an array (H, W, k) of any numbers
            for a model of k channels.
        model: a name, a path, a Keras model, or the result of `load_model`: load a model once to explain many images.
        layer: its path in the model, or `auto`.
        target_class: an index, a name, `top`, or `topN` for the class of rank N.
        method: a name in `LAYER_METHODS`.
        target: what is explained: `class`, `segment`, `segment:all`, `segment:X,Y`, `detection`, `detection:BOXES`,
            `similarity:FILE`; for a model with several outputs with `@NAME` behind the first word.
        score: `logit`, `probability`, or `output` for the model's output as it is.
        fit: `squash`, `crop` or `pad`.
        interpolation: `nearest`, `linear` or `cubic`.
        counterfactual: negate the gradients.
        aug_smooth: average six maps: of the image at three brightness levels, mirrored and not mirrored.
        top_k: number of predictions to list.
        precision: `float32`, `auto`, `bfloat16` or `float16`, for this call only.
        max_pixels: the largest image to decode.
        max_value: value of white in 16-bit and float images.
        rgb: numbers of the bands to show, such as `3,2,1`; all bands of the image are read.
        weights: `imagenet` or a weight file; see `load_model`, as for all that follow.
        labels: file of class names.
        preprocess: name of the preprocessing, or an own mean and standard deviation.
        input_size: (height, width) for models with a variable input size.
        allow_unsafe: whether code in a model file may run.
        packages: packages whose registered classes a model file may contain.
        offline: whether to never use the network.
        task: `binary` or `regression`: how a single linear output is read.
        other_inputs: `zeros`, or an `.npz` file of the inputs besides the image.

    Returns:
        The explanation, with `.heatmap` (H, W) in 0..1, `.cam`, `.alpha`, `.prediction`, `.figure()`, `.save(path)`.

    Raises:
        InputError: the image cannot be read.
        UsageError: the layer or class does not exist, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
    """
    classifier = _classifier(
        model,
        weights=weights,
        labels=labels,
        preprocess=preprocess,
        input_size=input_size,
        allow_unsafe=allow_unsafe,
        packages=packages,
        offline=offline,
        task="" if task == "auto" else task,
        other_inputs=other_inputs,
    )
    config = ExplainConfig(
        layers=(layer,),
        classes=(target_class,),
        methods=(method,),
        target=target,
        score=score,
        fit=fit,
        interpolation=interpolation,
        counterfactual=counterfactual,
        aug_smooth=aug_smooth,
        top_k=top_k,
        batch_size=1,
        precision=precision,
        max_value=max_value,
        rgb=rgb,
    )
    (result,) = explain_images(prepare_run(classifier, config), [_load(image, max_pixels, max_value, rgb)])
    if isinstance(result, Unexplained):
        raise InputError(f"{result.source}: {result.error}", result.hint)
    return result[-1]


def _classifier(model: str | os.PathLike[str] | keras.Model | Classifier, **options: Any) -> Classifier:
    if not isinstance(model, Classifier):
        return load_model(model, **{**options, "task": options["task"] or "auto"})
    if given := [name for name, value in options.items() if value]:
        raise UsageError(f"{', '.join(given)}: expected a model that is not loaded yet, got a Classifier")
    return model


def _load(
    image: str | os.PathLike[str] | np.ndarray | Image.Image, max_pixels: int, max_value: int | None, rgb: str | None
) -> LoadedImage | Unexplained:
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    if isinstance(image, np.ndarray):
        return _from_array(image, max_value, rgb)
    if not isinstance(image, (str, os.PathLike)):
        raise InputError(f"expected a path, an array or a Pillow image, got {type(image).__name__}")
    return load_image(Source(os.fspath(image)), max_pixels, max_value, rgb)


def _from_array(pixels: np.ndarray, max_value: int | None, rgb: str | None) -> LoadedImage:
    is_numeric = pixels.dtype.kind in "biuf" and pixels.ndim == 3 and 0 not in pixels.shape
    if is_numeric and (rgb is not None or pixels.shape[2] not in (1, 3)):
        bands = to_bands(pixels, max_value)
        return LoadedImage("array", to_rgb(bands, rgb), bands=bands)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise InputError(f"expected an array (H, W, 3) or (H, W) of uint8, got {pixels.shape} of {pixels.dtype}")
    return LoadedImage("array", pixels)


__all__ = ["Classifier", "Explanation", "GradcamError", "explain", "load_model"]
