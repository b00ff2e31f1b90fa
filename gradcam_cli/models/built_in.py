"""Weights of the built-in models: an npz file with the kernel and the bias of each layer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gradcam_cli.errors import InputError, WeightsError
from gradcam_cli.models.opening import patched
from gradcam_cli.storage.arrays import open_arrays

MAX_WEIGHT_BYTES = 1 << 26
"""Limit of the decompressed size of a weight file; lite0.npz has 9.3 MB."""


@contextlib.contextmanager
def initial_weights(file: Path | None, model: str) -> Iterator[None]:
    """Create the layers of the block with the weights of a file, which is faster than to assign these afterwards.

    Args:
        file: an npz file of arrays named `layer/kernel` and `layer/bias`, of any float type; None has no effect.
        model: name of the model, for messages.

    Raises:
        WeightsError: an array is missing or has a wrong shape, or the file is not an npz file, or is too large.
    """
    if file is None:
        yield
        return
    arrays, thread = _read_arrays(file, model), threading.get_ident()

    def with_initializer(add_weight: Callable[..., Any]) -> Callable[..., Any]:
        def add(layer: keras.Layer, *args: Any, **options: Any) -> Any:
            if threading.get_ident() == thread:
                key, shape = f"{layer.name}/{options['name']}", tuple(options["shape"])
                array = arrays.get(key)
                if array is None or array.shape != shape:
                    found = "no such array" if array is None else array.shape
                    raise WeightsError(f"{file} does not fit {model}: {key}: expected shape {shape}, got {found}")
                options["initializer"] = lambda shape, dtype: keras.ops.convert_to_tensor(array, dtype)
            return add_weight(layer, *args, **options)

        return add

    with patched(keras.Layer, "add_weight", with_initializer):
        yield


def _read_arrays(file: Path, model: str) -> dict[str, np.ndarray]:
    try:
        with open_arrays(file, MAX_WEIGHT_BYTES) as arrays:
            return {name: arrays[name].astype(np.float32) for name in arrays}
    except InputError as error:
        raise WeightsError(str(error)) from error
    except ValueError as error:  # an array of texts is no number
        raise WeightsError(f"{file} does not fit {model}: {error}") from error
