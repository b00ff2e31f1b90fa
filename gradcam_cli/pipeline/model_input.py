"""Fitting of a decoded input to the input of a model: its size, its number of channels and its range of values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images import fit
from gradcam_cli.images.bands import Bands
from gradcam_cli.images.box import Box
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.space import RANKS
from gradcam_cli.images.windows import window_boxes
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.preprocessing import scales_values

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import PreparedRun


class ModelInput(NamedTuple):
    """An image fitted to the model input.

    Attributes:
        image: the decoded image.
        crop_box: the part of the image that the model input shows, or that all windows show.
        pixels: (h, w, c), or of the other shape of the model, the model input before preprocessing: uint8, or float32
            for bands. Empty if several windows are slid over the image: they are cut out when they are due.
        classes: the classes to explain: indices, or -r for the class of rank r.
        windows: the parts that one window after the other shows; empty if one model input shows all.
    """

    image: LoadedImage
    crop_box: Box
    pixels: np.ndarray
    classes: tuple[int, ...]
    windows: tuple[Box, ...] = ()


def to_model_input(run: PreparedRun, image: LoadedImage | Unexplained) -> ModelInput | Unexplained:
    """Fit an image to the model input; an input without an image is passed on."""
    if isinstance(image, Unexplained):
        return image
    image.log_note()
    try:
        check_input(run.classifier, image)
        shape, mode = (
            run.classifier.input_shape[:-1],
            fit.resolved_fit(run.config.fit, image.space.rank, image.space.kind),
        )
        crop_box = fit.fit_box(image.space, image.shape, shape, mode)
        if math.prod(crop_box.shape) > max(MAX_PIXELS, math.prod(image.shape)):
            size = "x".join(map(str, image.shape[::-1]))
            reason = f"an image of {size} pixels is too narrow for --fit {mode}"
            return Failure(image.name, reason, "use --fit squash or --fit crop")
        windows = window_boxes(crop_box, shape) if mode == "windows" else ()
        pixels = np.empty(0) if len(windows) > 1 else fit_decoded(run.classifier, image.decoded(), crop_box)
    except InputError as error:
        return Failure(image.name, error.message, error.hint)
    image.wait()
    classes = run.class_selectors(run.true_class(image.name))
    return ModelInput(image, crop_box, pixels, classes, windows if len(windows) > 1 else ())


def to_whole_input(run: PreparedRun, image: LoadedImage | Unexplained) -> ModelInput | Unexplained:
    """Fit an image to the model input, which then shows all of it: an input that takes several windows fails."""
    fitted = to_model_input(run, image)
    if isinstance(fitted, ModelInput) and fitted.windows:
        reason = f"expected an input that one model input shows, got one of {len(fitted.windows)} windows"
        return Failure(fitted.image.name, reason, "use --fit squash")
    return fitted


def fit_to_model(classifier: Classifier, image: LoadedImage, crop_box: Box) -> np.ndarray:
    """Return a part of an input at the size of the model input, before the preprocessing.

    Args:
        classifier: the model.
        image: the input.
        crop_box: the part that the model sees, from `fit_box`.

    Returns:
        (h, w, c), or of the other spatial shape of the model: uint8 colors or luminance; for bands, float32.

    Raises:
        InputError: as `check_input`, or its file has changed.
    """
    check_input(classifier, image)
    return fit_decoded(classifier, image.decoded(), crop_box)


def fit_decoded(classifier: Classifier, decoded: Decoded, crop_box: Box) -> np.ndarray:
    """Return what `fit_to_model` does, for an input that was checked."""
    *shape, channels = classifier.input_shape
    if decoded.bands is not None:
        return fit.resize_bands(decoded.bands.values, crop_box, shape)
    return fit.resize_to_input(decoded.pixels, crop_box, shape, channels)


def check_input(classifier: Classifier, image: LoadedImage) -> None:
    """Check that an input fits the model.

    Raises:
        InputError: it has another number of axes or bands than the model, or values of an unknown range that the
            preprocessing scales; it has no further inputs, or its file has changed.
    """
    if classifier.rows:
        classifier.rows.row(image.name)
    *shape, channels = classifier.input_shape
    if image.space.rank != len(shape):
        kinds = " or ".join(f"{kind}s" for kind, rank in RANKS.items() if rank == len(shape))
        expected = f"{kinds} of {'x'.join(map(str, shape))} with {channels} channels"
        raise InputError(f"the model takes {expected}, and this is {_with_article(image)}")
    bands = image.decoded().bands
    if bands is not None:
        _check_bands(classifier, bands, image.space.kind)
    elif channels not in (1, 3):
        raise InputError(
            f"the model takes {image.space.kind}s of {channels} channels, and a picture has three colors",
            f"give a .npy array (H, W, {channels}) or a TIFF file; --rgb 1,2,3 reads all bands of any file",
        )


def _with_article(image: LoadedImage) -> str:
    kind = image.space.kind
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} of {'x'.join(map(str, image.shape))}"


def _check_bands(classifier: Classifier, bands: Bands, kind: str) -> None:
    count, channels = bands.values.shape[-1], classifier.input_shape[-1]
    if count != channels:
        names = "bands" if kind == "image" else "channels"
        raise InputError(f"the model takes {kind}s of {channels} channels, and this one has {count} {names}")
    mode = classifier.preprocess_mode
    if not bands.scaled and scales_values(mode):
        hint = "--max-value gives the value of white"
        hint = "--window gives the values that become 0 and 255" if kind == "volume" else hint
        raise InputError(
            f"the preprocessing {mode} is for values of 0..255, and those of the {kind} have an unknown range",
            f"{hint}; --preprocess none passes the values as they are stored",
        )
