"""Write gradcam_cli/models/data/applications.json: a spec of each classifier in `keras.applications`.

Usage: python tools/update_catalog.py

Builds every classifier without weights and records the download that Keras would start; nothing is
downloaded. Run it after an update of Keras.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.utils import file_utils

from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.input_shape import DEFAULT_INPUT_SIZE

CATALOG = Path(__file__).parent.parent / "gradcam_cli/models/data/applications.json"


class _DownloadRequested(Exception):  # noqa: N818  # not an error
    """Raised instead of a download, with (file name, url, hash)."""


def weights_of(build: Any) -> dict[str, str | None]:
    """Return `weights_file`, `url` and `hash` of the weights that Keras would download."""

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_: Any) -> None:
        raise _DownloadRequested(fname, origin, file_hash)

    original, file_utils.get_file = file_utils.get_file, get_file
    try:
        build(weights="imagenet")
    except _DownloadRequested as request:
        return dict(zip(("weights_file", "url", "hash"), request.args, strict=True))
    finally:
        file_utils.get_file = original
    raise RuntimeError("Keras requested no download")


def preprocess_of(build: Any) -> str:
    """Return the mode of `imagenet_utils.preprocess_input` that equals the model's `preprocess_input`, or `none`."""
    preprocess_input = inspect.getmodule(inspect.unwrap(build)).preprocess_input  # type: ignore[union-attr]
    pixels = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3) * 5
    for mode in ("caffe", "tf", "torch"):
        expected = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode)
        if np.allclose(preprocess_input(pixels.copy()), expected):
            return mode
    if np.array_equal(preprocess_input(pixels.copy()), pixels):
        return "none"
    raise RuntimeError("unknown preprocessing")


def describe(function: str) -> dict[str, Any]:
    """Return the fields of the `ModelSpec` of a function in `keras.applications`."""
    build = getattr(keras.applications, function)
    weights = weights_of(build)
    keras.backend.clear_session()  # resets the numbers in layer names
    model = build(weights=None)
    size = model.input_shape[1] or DEFAULT_INPUT_SIZE  # MobileNetV3 has a variable input size
    return {
        "name": function.lower(),
        "keras_function": function,
        "input_size": size,
        "num_params": model.count_params(),
        "default_layer": load_model(model, preprocess="none", input_size=(size, size)).find_layer("auto").path,
        "preprocess": preprocess_of(build),
        **weights,
    }


def main() -> None:
    """Describe all classifiers, and print the name and default layer of each."""
    entries = []
    for function, build in vars(keras.applications).items():
        if inspect.isfunction(build):
            entries.append(describe(function))
            print(entries[-1]["name"], entries[-1]["default_layer"], file=sys.stderr)
    entries.sort(key=lambda entry: entry["name"])
    CATALOG.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
