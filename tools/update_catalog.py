"""Write gradcam_cli/models/data/applications.json: what is known of each classifier of `keras.applications`.

Usage: python tools/make_applications.py

Every classifier is built once, without weights; where Keras would fetch them is noted, and nothing
is fetched. Run it again for a new version of Keras.
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

from gradcam_cli.network.layers import default_layer, spatial_layers

TABLE = Path(__file__).parent.parent / "gradcam_cli/models/data/applications.json"
FREE_SIZE = 224  # MobileNetV3 leaves its size open


class _AskedError(Exception):
    """Raised in place of a download, with what was to be fetched."""


def weights_of(build: Any) -> dict[str, str | None]:
    """Return the file, url and hash of the weights that Keras would fetch."""

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_: Any) -> None:
        raise _AskedError(fname, origin, file_hash)

    own, file_utils.get_file = file_utils.get_file, get_file
    try:
        build(weights="imagenet")
    except _AskedError as asked:
        return dict(zip(("file", "url", "hash"), asked.args, strict=True))
    finally:
        file_utils.get_file = own
    raise RuntimeError("Keras fetched no weights")


def preprocessing_of(build: Any) -> str:
    """Return the mode of `imagenet_utils.preprocess_input` that the application's own one is."""
    own = inspect.getmodule(inspect.unwrap(build)).preprocess_input  # type: ignore[union-attr]
    pixels = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3) * 5
    for mode in ("caffe", "tf", "torch"):
        expected = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode)
        if np.allclose(own(pixels.copy()), expected):
            return mode
    if np.array_equal(own(pixels.copy()), pixels):
        return "none"
    raise RuntimeError("a preprocessing that is not in the table")


def describe(function: str) -> dict[str, Any]:
    """Return the table's entry for a function of `keras.applications`."""
    build = getattr(keras.applications, function)
    weights = weights_of(build)
    keras.backend.clear_session()  # numbers in layer names start anew
    model = build(weights=None)
    size = model.input_shape[1] or FREE_SIZE
    return {
        "name": function.lower(),
        "function": function,
        "size": size,
        "parameters": model.count_params(),
        "layer": default_layer(spatial_layers(model, (size, size, 3))),
        "preprocessing": preprocessing_of(build),
        **weights,
    }


def main() -> None:
    """Describe every classifier, telling what has been done."""
    entries = []
    for function, build in vars(keras.applications).items():
        if inspect.isfunction(build):
            entries.append(describe(function))
            print(entries[-1]["name"], entries[-1]["layer"], file=sys.stderr)
    entries.sort(key=lambda entry: entry["name"])
    TABLE.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
