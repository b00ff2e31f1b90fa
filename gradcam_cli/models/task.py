"""How a model's single linear output is read: as the logit of a binary classifier, or as a value."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras

BINARY_WORDS = ("binary", "bce", "hinge")
"""Parts of the names of losses, outputs and models of binary classifiers."""


def infer_task(model: keras.Model, loss: Any = None) -> str:
    """Return `binary` if the model was compiled with a binary loss, or its name or that of its output says so.

    Args:
        model: the model.
        loss: the loss that its file stores, from `stored_loss`; None: that of the model, if it is compiled.

    Returns:
        `binary`, or `auto`: a single linear output is then a value.
    """
    names = [_name(loss if loss is not None else getattr(model, "loss", None)), model.name]
    names += [*(getattr(model, "output_names", None) or ()), *(layer.name for layer in model.layers[-1:])]
    return "binary" if any(word in name.lower() for name in names for word in BINARY_WORDS) else "auto"


def _name(loss: Any) -> str:
    """Return the name of a loss: a string, a function, an object, its configuration, or several of them."""
    if isinstance(loss, dict):
        parts = [loss.get("class_name"), loss.get("config"), loss.get("registered_name")]
        return " ".join(_name(part) for part in (parts if "class_name" in loss else loss.values()))
    if isinstance(loss, (list, tuple)):
        return " ".join(map(_name, loss))
    return loss if isinstance(loss, str) else f"{getattr(loss, '__name__', '')} {type(loss).__name__}"


def stored_loss(file: Path) -> Any:
    """Return the configuration of the loss that a `.keras` or `.h5` file stores, or None. Nothing is deserialized."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                compiled = json.loads(archive.read("config.json")).get("compile_config")
        else:
            with h5py.File(file) as content:
                compiled = json.loads(content.attrs.get("training_config", "null"))
        return (compiled or {}).get("loss")
    except (OSError, KeyError, ValueError, AttributeError, RecursionError):  # the loss is only a hint
        return None
