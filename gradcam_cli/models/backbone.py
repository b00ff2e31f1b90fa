"""The catalog model that a model contains: by its name, by its weights, or by the shapes of its kernels."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any, NamedTuple

import keras
import numpy as np

from gradcam_cli.models.catalog import ModelSpec, catalog, find_spec
from gradcam_cli.network.layers import iter_layers

FINGERPRINT_FILTERS = 16
"""Filters of the first convolution that a fingerprint covers."""
MAX_DISTANCE = 0.1
"""Largest relative distance of two fingerprints of the same weights: fine-tuning and quantization change them less."""


class Backbone(NamedTuple):
    """A catalog model inside a model, and how it was recognized.

    Attributes:
        spec: the catalog model.
        reason: how it was recognized.
        guess: whether only its architecture was recognized, not its weights.
    """

    spec: ModelSpec
    reason: str
    guess: bool = False


@functools.cache
def known_backbones() -> dict[str, Any]:
    """Return the fingerprints and the structures of catalog models. `tools/update_catalog.py` writes the data file."""
    text = resources.files("gradcam_cli.models").joinpath("data/backbones.json").read_text("utf-8")
    backbones: dict[str, Any] = json.loads(text)
    return backbones


def find_backbone(model: keras.Model) -> Backbone | None:
    """Return the catalog model that a model is or contains, by the strongest evidence that there is, or None."""
    if spec := find_spec_by_name(model):
        return Backbone(spec, f"as for {spec.name}, whose name it contains")
    if spec := find_spec_by_weights(model):
        return Backbone(spec, f"its first kernels are those of {spec.name} trained on {spec.dataset}")
    if spec := find_spec_by_structure(model):
        return Backbone(spec, f"its kernels have the shapes of {spec.name}", guess=True)
    return None


def find_spec_by_name(model: keras.Model) -> ModelSpec | None:
    """Return the spec of a model or of a model inside it, by its Keras name (`mobilenet_0.75_224`), or None."""
    names = [model.name] + [operation.name for _, operation in iter_layers(model) if isinstance(operation, keras.Model)]
    for name in names:
        if spec := find_spec(name) or find_spec(re.sub(r"_\d.*$", "", name)):
            return spec
    return None


def find_spec_by_weights(model: keras.Model) -> ModelSpec | None:
    """Return the catalog model whose first kernels a model has, about, or None."""
    found = fingerprint(model)
    if found is None:
        return None
    for known in known_backbones()["fingerprints"]:
        expected = np.array(known["values"])
        same_shape = found["kernel"] == known["kernel"]
        if same_shape and _distance(np.array(found["values"]), expected) < MAX_DISTANCE:
            return catalog().get(known["model"])
    return None


def find_spec_by_structure(model: keras.Model) -> ModelSpec | None:
    """Return the catalog model whose convolutions a model begins with, or None."""
    digests = list(structure_digests(model))
    for known in known_backbones()["structures"]:
        if known["layers"] <= len(digests) and digests[known["layers"] - 1] == known["digest"]:
            return catalog().get(known["model"])
    return None


def fingerprint(model: keras.Model) -> dict[str, Any] | None:
    """Return the shape of the first kernel, and its sums over rows and columns; None without a convolution.

    The sums are those of the first `FINGERPRINT_FILTERS` filters, for each input channel.
    """
    kernel = next((weight for weights in _convolutions(model) for weight in weights if len(weight.shape) == 4), None)
    if kernel is None:
        return None
    sums = np.asarray(keras.ops.convert_to_numpy(kernel), np.float64).sum((0, 1))[:, :FINGERPRINT_FILTERS]
    return {"kernel": list(kernel.shape), "values": [float(f"{value:.3g}") for value in sums.ravel()]}


def structure_digests(model: keras.Model) -> Iterator[str]:
    """Yield, for each convolution, a digest of the shapes of its weights and of those of all before it."""
    digest = hashlib.sha256()
    for weights in _convolutions(model):
        digest.update((" ".join("x".join(map(str, weight.shape)) for weight in weights) + ";").encode())
        yield digest.hexdigest()[:16]


def _convolutions(model: keras.Model) -> Iterator[list[Any]]:
    """Yield the weights of the layers that have kernels of four axes, in order."""
    for _, layer in iter_layers(model):
        if isinstance(layer, keras.Layer) and not list(layer._flatten_layers(include_self=False)):
            weights = layer.weights
            if any(len(weight.shape) == 4 for weight in weights):
                yield weights


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    norm = float(np.linalg.norm(b))
    return float(np.linalg.norm(a - b)) / norm if norm else np.inf
