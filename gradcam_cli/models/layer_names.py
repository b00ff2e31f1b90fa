"""The names of a model's layers without TensorFlow, for the completion of `--layer`."""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from gradcam_cli.models.catalog import find_spec, is_model_path
from gradcam_cli.models.safety import is_archive, read_archive

TABLE = "data/layers.json.gz"
"""The layers of the catalog models, written by `tools/update_layers.py`."""
WITHOUT_GRID = ("InputLayer", "Flatten", "GlobalAveragePooling", "GlobalMaxPooling", "Softmax")
"""Layers whose output is no grid over the image, by the beginning of their class name."""


def layer_names(model: str) -> list[str]:
    """Return the paths of a model's layers, or [] if they are not known without TensorFlow, as of an `.h5` file.

    Args:
        model: value of `--model`.

    Raises:
        ModelError: the file is damaged.
    """
    if is_model_path(model):
        file = Path(model)
        return list(iter_layer_names(read_config(file))) if file.is_file() and is_archive(file) else []
    spec = find_spec(model)
    return table().get(spec.name, []) if spec else []


def read_config(file: Path) -> Any:
    """Return the configuration of a `.keras` file; its size and its archive are checked.

    Raises:
        ModelError: the file is damaged.
    """
    return json.loads(read_archive(file)[0])


def iter_layer_names(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the paths of the layers in the configuration of a model, recursively, in the order of the file."""
    for layer in _entries(config):
        inner = layer.get("config")
        name = layer.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
        if isinstance(name, str) and not str(layer.get("class_name")).startswith(WITHOUT_GRID):
            yield prefix + name
            yield from iter_layer_names(layer, f"{prefix}{name}/")


def stored_class_names(config: Any) -> list[str]:
    """Return the class names that the last layer of a configuration contains, or []."""
    entries = _entries(config)
    inner = entries[-1].get("config") if entries else None
    labels = inner.get("labels") if isinstance(inner, dict) else None
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list | tuple) else []


def _entries(config: Any) -> list[dict[str, Any]]:
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


@functools.cache
def table() -> dict[str, list[str]]:
    """Return the layers of all catalog models, by the name of the model."""
    data = resources.files("gradcam_cli.models").joinpath(TABLE).read_bytes()
    entries: dict[str, list[str]] = json.loads(gzip.decompress(data))
    return entries
