"""Arrays of HDF5 files as tensors that share the memory into which the file is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
from keras.src.saving import saving_lib

from gradcam_cli.models.archive_weights import weights_place
from gradcam_cli.models.read_ahead import page_aligned
from gradcam_cli.models.safety import read_ahead_of

MIN_SHARED_BYTES = 1 << 16
"""Smaller arrays are copied, as their copies cost less than pages of their own."""


def read_tensor(array: h5py.Dataset, file: str | None = None, start: int = 0) -> tf.Tensor | np.ndarray:
    """Read an array of an HDF5 file.

    TensorFlow copies an array before it makes a tensor, since a program could change it, and shares only memory that is
    aligned to 64 bytes. So a large float32 array is read into whole pages, which only the tensor refers to: without
    this, VGG19's half gigabyte is copied, and the peak memory is one array more.

    Args:
        array: the array.
        file: the archive that contains the HDF5 file, if there is one.
        start: offset of the HDF5 file in the archive.

    Returns:
        A tensor of a large float32 array, an array otherwise.
    """
    if not _is_large(array):
        values: np.ndarray = array[()]
        return values
    reader, offset = read_ahead_of(file or array.file.filename), array.id.get_offset()
    buffer = reader.take((start + offset, array.nbytes)) if reader and offset else None
    if buffer is None:
        buffer = page_aligned(array.shape)
        array.read_direct(buffer)
    buffer = buffer.reshape(array.shape)
    return tf.experimental.dlpack.from_dlpack(buffer.__dlpack__())


def read_stored(get: Callable[..., np.ndarray]) -> Callable[..., tf.Tensor | np.ndarray]:
    """Return a function that reads large float32 arrays of a `.keras` file as tensors, and others as Keras does."""

    def get_tensor(store: Any, key: str) -> tf.Tensor | np.ndarray:
        array = saving_lib.safe_get_h5_dataset(store._h5_entry_group, key)
        if "dtype" in array.attrs or not _is_large(array):
            return get(store, key)
        return read_tensor(array, *weights_place(store))

    return get_tensor


def read_weights(group: h5py.Group) -> list[tf.Tensor | np.ndarray]:
    """Read the weights of a layer, in place of a function of Keras."""
    return [read_tensor(group[name]) for name in attribute_texts(group, "weight_names")]


def _is_large(array: h5py.Dataset) -> bool:
    return bool(array.dtype == np.float32 and array.nbytes >= MIN_SHARED_BYTES)


def attribute_texts(group: h5py.Group, name: str) -> list[str]:
    """Return the texts of an attribute; long lists are divided into `name0`, `name1` ..."""
    parts = [name] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs and name not in group.attrs:
        parts.append(f"{name}{len(parts)}")
    texts: list[Any] = [text for part in parts for text in np.asarray(group.attrs[part]).tolist()]
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in texts]
