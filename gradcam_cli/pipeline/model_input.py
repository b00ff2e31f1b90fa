"""Fitting of a decoded image to the input of a model: its size, its number of channels and its range of values."""

from __future__ import annotations

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images import fit
from gradcam_cli.images.bands import Bands
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.preprocessing import scales_values


def fit_to_model(classifier: Classifier, image: LoadedImage, crop_box: Box) -> np.ndarray:
    """Return a part of an image at the size of the model input, before the preprocessing.

    Args:
        classifier: the model.
        image: the image.
        crop_box: the part that the model sees, from `crop_box_for`.

    Returns:
        (h, w, c): uint8 colors or luminance; for an image of bands, float32.

    Raises:
        InputError: the image has another number of bands than the model, or values of an unknown range that the
            preprocessing scales; its file has changed; it has no further inputs.
    """
    if classifier.rows:
        classifier.rows.row(image.name)
    h, w, channels = classifier.input_shape
    pixels, _, bands, _ = image.decoded()
    if bands is not None:
        _check_bands(classifier, bands)
        return fit.resize_bands(bands.values, crop_box, (h, w))
    if channels not in (1, 3):
        raise InputError(
            f"the model takes images of {channels} channels, and a picture has three colors",
            f"give a .npy array (H, W, {channels}) or a TIFF file; --rgb 1,2,3 reads all bands of any file",
        )
    return fit.resize_to_input(pixels, crop_box, (h, w), channels)


def _check_bands(classifier: Classifier, bands: Bands) -> None:
    count, channels = bands.values.shape[2], classifier.input_shape[2]
    if count != channels:
        raise InputError(f"the model takes images of {channels} channels, and this one has {count} bands")
    mode = classifier.preprocess_mode
    if not bands.scaled and scales_values(mode):
        raise InputError(
            f"the preprocessing {mode} is for values of 0..255, and those of the image have an unknown range",
            "--max-value gives the value of white; --preprocess none passes the values as they are stored",
        )
