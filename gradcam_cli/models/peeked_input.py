"""The number of spatial axes of a model's input, read from its file before TensorFlow is imported.

What is read decides only which files are searched for and how they are read. The file is not trusted: the model is
opened and checked later, and anything unusual counts as a model of images here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradcam_cli.models.catalog import is_model_path
from gradcam_cli.models.image_input import find_image_input
from gradcam_cli.models.safety import hdf5_config, is_archive, is_checked, read_archive

IMAGE_RANK, MAX_RANK = 2, 3
MAX_NESTING = 20
"""Models inside models whose inputs are searched."""


def peek_rank(model: str) -> int:
    """Return the number of spatial axes of a model's input: 1 of a signal, 2 of an image, 3 of a volume or a film.

    Args:
        model: a value of `--model`: a catalog name, or the path of a `.keras` or `.h5` file.

    Returns:
        1 to 3; 2 if it is not known.
    """
    with contextlib.suppress(Exception):  # errors are raised when the model is opened
        file = Path(model)
        if is_model_path(model) and file.is_file() and is_checked(file):
            text = read_archive(file)[0] if is_archive(file) else hdf5_config(file)
            shapes = dict(_input_shapes(json.loads(text or "{}")))
            name = next(iter(shapes)) if len(shapes) == 1 else find_image_input(shapes)
            rank = len(shapes[name]) - 2 if name is not None else IMAGE_RANK
            return rank if 1 <= rank <= MAX_RANK else IMAGE_RANK
    return IMAGE_RANK


def _input_shapes(model: Any, depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """Yield the names and the shapes, with the batch, of the inputs of a configuration of Keras 2 or 3."""
    config = model["config"]
    layers = config if isinstance(config, list) else config.get("layers", [])
    own = set(_names(config.get("input_layers"))) if isinstance(config, dict) else set()
    if own:
        shapes = {layer["config"]["name"]: _shape(layer) for layer in layers if layer["config"]["name"] in own}
        yield from ((name, shape) for name, shape in shapes.items() if shape)
    elif shape := (_shape(layers[0]) if layers else None) or _shape(model):
        yield "", shape
    elif layers and depth < MAX_NESTING:  # a model is the first layer of a sequential one
        yield from _input_shapes(layers[0], depth + 1)


def _names(input_layers: Any) -> Iterator[str]:
    """Yield the names of the input layers: of [name, 0, 0], or of such references in lists and objects."""
    if isinstance(input_layers, dict):
        for part in input_layers.values():
            yield from _names(part)
    elif isinstance(input_layers, list) and input_layers:
        if isinstance(input_layers[0], str):
            yield input_layers[0]
        else:
            for part in input_layers:
                yield from _names(part)


def _shape(layer: dict[str, Any]) -> list[Any] | None:
    """Return the input shape that a layer or a model has in its configuration, or None."""
    config = layer.get("config")
    found = [config.get(key) for key in ("batch_shape", "batch_input_shape")] if isinstance(config, dict) else []
    found.append((layer.get("build_config") or {}).get("input_shape"))
    for shape in found:
        if isinstance(shape, list) and all(side is None or isinstance(side, int) for side in shape):
            return shape
    return None
