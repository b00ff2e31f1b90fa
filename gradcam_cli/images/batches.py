"""Several inputs of a Python program: lists, generators, arrays (n, H, W, C) and `tf.data.Dataset`s."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.array_values import PICTURE_CHANNELS
from gradcam_cli.images.axes import spatial_axes
from gradcam_cli.images.in_memory import ImageReader, to_array
from gradcam_cli.images.load import Failure, LoadedImage


def read_images(images: Iterable[Any], reader: ImageReader) -> Iterator[LoadedImage | Failure]:
    """Return images that are read one by one, in order; one that cannot be read becomes a `Failure`.

    An image without a path is named by its position, `images[3]`.

    Args:
        images: an iterable of images for `ImageReader.read` or of batches (n, H, W, C), or with the other spatial axes
            of the model; such a batch; a dataset with an `element_spec`, whose elements are images or batches, alone or
            first in a tuple with labels.
        reader: reads each image.

    Raises:
        UsageError: it is a single image, or cannot be iterated.
    """
    require_several(images, reader.input_shape)
    return _read_all(images, reader)


def _read_all(images: Iterable[Any], reader: ImageReader) -> Iterator[LoadedImage | Failure]:
    number = 0
    for element in images:
        for image in _images_of(element, reader, labeled=hasattr(images, "element_spec")):
            if isinstance(image, Failure):
                yield Failure(f"images[{number}]", image.error, image.hint)
            else:
                yield reader.read(image, f"images[{number}]")
            number += 1


def count_images(images: Any, rank: int = 2) -> int | None:
    """Return the number of images, or None if it is not known before they are read.

    Args:
        images: as for `read_images`.
        rank: number of spatial axes of the model input.
    """
    if hasattr(images, "element_spec") or not hasattr(images, "__len__"):
        return None
    first = images[0] if isinstance(images, Sequence) and images else None
    return None if _is_batch(first, rank) else len(images)


def require_several(images: Any, input_shape: Sequence[int] = (0, 0, 0)) -> None:
    """Check that images are not a single image.

    Args:
        images: as for `read_images`.
        input_shape: (spatial axes..., c) of the model.

    Raises:
        UsageError: it is one, or cannot be iterated.
    """
    hint = "explain explains one image; give a list of images"
    if isinstance(images, (str, bytes, os.PathLike, Image.Image)) or hasattr(images, "read"):
        raise UsageError(f"images: expected several images, got one {type(images).__name__}", hint)
    if not isinstance(images, Iterable):
        raise UsageError(f"images: expected an iterable of images, got {type(images).__name__}", hint)
    shape, rank = getattr(images, "shape", None), len(input_shape) - 1
    channels = PICTURE_CHANNELS if rank == 2 else input_shape[-1:]
    if shape is not None and (len(shape) in (0, rank) or (len(shape) == rank + 1 and shape[-1] in channels)):
        expected = "(n, H, W, 3)" if rank == 2 else f"(n, {', '.join(spatial_axes(rank))}, {input_shape[-1]})"
        raise UsageError(f"images: expected a batch {expected}, got an array {tuple(shape)}", hint)


def _images_of(element: Any, reader: ImageReader, *, labeled: bool) -> Iterator[Any]:
    """Yield the images of an element: its rows if it is a batch, or the element itself."""
    if labeled and isinstance(element, tuple):
        element = element[0]
    if not _is_batch(element, len(reader.input_shape) - 1):
        yield element
        return
    try:
        batch = to_array(element)
        reader.fix_range(batch)
    except InputError as error:
        yield from [Failure("", error.message, error.hint)] * len(element)
        return
    yield from np.asarray(batch)


def _is_batch(element: Any, rank: int) -> bool:
    return len(getattr(element, "shape", ())) == rank + 2
