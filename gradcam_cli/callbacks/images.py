"""The fixed images of a callback: arrays as `model.fit` gets them, or images to be preprocessed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.bands import Bands, to_rgb
from gradcam_cli.images.batches import read_images
from gradcam_cli.images.in_memory import ImageReader, to_array
from gradcam_cli.images.load import LoadedImage, Unexplained

EXAMPLES_HINT = "give a few images, such as x_test[:16]"


def read_fixed_images(images: Iterable[Any], reader: ImageReader | InputValues) -> list[LoadedImage]:
    """Read all images.

    Raises:
        InputError: an image cannot be read, or there is none.
        UsageError: it is a single image, or cannot be iterated.
    """
    loaded = list(read_images(images, reader))  # type: ignore[arg-type]
    for image in loaded:
        if isinstance(image, Unexplained):
            raise InputError(f"{image.source}: {image.error}", image.hint)
    if not loaded:
        raise UsageError("images: expected one or more images, got none", EXAMPLES_HINT)
    return [image for image in loaded if isinstance(image, LoadedImage)]


def as_batch(images: Any, input_shape: tuple[int, ...]) -> Any:
    """Return arrays of one shape as a batch (n, h, w, c), so that all are shown in one range; others as they are.

    Gray images may lack the last axis, which `model.fit` adds.
    """
    if isinstance(images, (list, tuple)) and images and all(map(_is_array, images)):
        arrays = [to_array(each) for each in images]
        images = np.stack(arrays) if len({array.shape for array in arrays}) == 1 else images
    if _is_array(images):
        images = to_array(images)
        if images.ndim == 3 and (*images.shape[1:], 1) == input_shape:
            return images[..., None]
    return images


def _is_array(image: Any) -> bool:
    return hasattr(image, "__array__") and not hasattr(image, "getbands")  # a Pillow image has both


class InputValues:
    """Reads arrays whose values are the model input as it is; other images are read by an `ImageReader`.

    Args:
        input_shape: (h, w, c) of the model.
        pictures: reads paths, files and Pillow images.
        max_value: the value to show as white, or None; see `shown_range`.
        rgb: numbers of the bands to show, as for `to_rgb`.
    """

    def __init__(
        self, input_shape: tuple[int, ...], pictures: ImageReader, max_value: int | None, rgb: str | None
    ) -> None:
        self.input_shape, self._pictures, self._max_value, self._rgb = input_shape, pictures, max_value, rgb
        self._range: tuple[float, float] | None = None

    def fix_range(self, batch: np.ndarray) -> None:
        """Show all images of a batch in one range."""
        self._range = shown_range(batch, self._max_value)

    def read(self, image: Any, name: str = "array") -> LoadedImage | Unexplained:
        """Read an image.

        Raises:
            InputError: an array has another shape than the model input, no numbers, or NaN or infinite ones.
        """
        if not _is_array(image):
            return self._pictures.read(image, name)
        stored = to_array(image)
        if stored.dtype.kind not in "biuf":
            raise InputError(f"{name}: expected an array of numbers, got {stored.dtype}")
        if stored.ndim == 4 and len(stored) == 1:
            stored = stored[0]
        if stored.shape != self.input_shape:
            raise InputError(
                f"{name}: expected the shape of the model input, {self.input_shape}, got {stored.shape}",
                "give images as model.fit gets them, or set preprocess to fit images of other sizes to the model",
            )
        values = stored.astype(np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{name}: expected finite values, got NaN or infinity")
        low, high = self._range or shown_range(stored, self._max_value)
        return LoadedImage(name, shown_pixels(values, low, high, self._rgb), bands=Bands(values, scaled=False))


def shown_range(values: np.ndarray, max_value: int | None) -> tuple[float, float]:
    """Return the values that are shown as black and white.

    They are 0 and `max_value` if it is given, 0 and 255 for uint8 and for numbers from 0 to 255, 0 and 1 for numbers
    from 0 to 1, and otherwise the smallest and the largest value.
    """
    if max_value is not None or not values.size:
        return 0.0, float(max_value or 1)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255:
        return 0.0, 1.0 if high <= 1 and values.dtype.kind == "f" else 255.0
    return low, high


def shown_pixels(values: np.ndarray, low: float, high: float, rgb: str | None) -> np.ndarray:
    """Return the picture that people see, (H, W, 3) uint8.

    Args:
        values: (H, W, c) float32. Of one or three channels, `low` is shown as 0 and `high` as 255; each of other bands
            is stretched, as `to_rgb` does it.
        low: the value of black.
        high: the value of white.
        rgb: numbers of the bands to show, or None.
    """
    if values.shape[2] not in (1, 3):
        return to_rgb(Bands(values, scaled=False), rgb)
    scaled = np.clip((values - low) * np.float32(255 / ((high - low) or 1)), 0, 255)
    return to_rgb(Bands(scaled, scaled=True), rgb)
