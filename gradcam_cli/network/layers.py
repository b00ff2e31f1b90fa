"""The layers of a model: their paths, and search by path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.near_matches import near_matches, repeat_option


def iter_layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, operation) of all layers and operations of a model, recursively, outer ones first.

    The sublayers of a layer with `hide_sublayers` set are excluded: they are called many times per forward pass.
    """
    inner = getattr(model, "operations", None) or model._flatten_layers(include_self=False, recursive=False)
    for operation in inner:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        path = prefix + operation.name
        yield path, operation
        if isinstance(operation, keras.Layer) and not getattr(operation, "hide_sublayers", False):
            yield from iter_layers(operation, path + "/")


def require_channels_last(model: keras.Model) -> None:
    """Check that all layers of a model use the data format `channels_last`.

    Raises:
        ModelError: a layer uses `channels_first`.
    """
    for path, operation in iter_layers(model):
        if getattr(operation, "data_format", None) == "channels_first":
            raise ModelError(
                f"layer {path} is channels_first: expected a channels_last model",
                "save it and give its file, which is changed to channels_last when it is opened",
            )


def split_call(path: str) -> tuple[str, int | None]:
    """Split `conv:0`, the first call of the layer `conv`, into path and index of the call; None without index."""
    match = re.fullmatch(r"(.+):(\d+)", path)
    return (match[1], int(match[2])) if match else (path, None)


def find_layer(model: keras.Model, path: str) -> tuple[str, Any]:
    """Return the full path and the operation of a layer, given its path or the unique end of its path.

    Raises:
        UsageError: no layer matches, or several do; the hint lists near matches.
    """
    operations = dict(iter_layers(model))
    if path in operations:
        return path, operations[path]
    matches = [full for full in operations if full.endswith("/" + path)]
    if len(matches) == 1:
        return matches[0], operations[matches[0]]
    by_name = {full.rpartition("/")[2]: full for full in operations}
    near = [by_name[name] for name in near_matches(path.rpartition("/")[2], by_name)]
    listed = ", ".join(matches[:10] or near)
    raise UsageError(
        f"the model has {'several layers' if matches else 'no layer'} {path!r}",
        repeat_option("--layer", path)
        or (f"near matches: {listed}; " if listed else "") + "`gradcam layers MODEL` lists them all",
    )
