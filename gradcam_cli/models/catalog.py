"""The catalog of named models: the built-in ones and the classifiers of `keras.applications`."""

from __future__ import annotations

import functools
import json
import os
import re
from importlib import resources
from typing import NamedTuple

from gradcam_cli.errors import ModelError
from gradcam_cli.near_matches import near_matches


class ModelSpec(NamedTuple):
    """A named model: one of `keras.applications` with ImageNet weights, or a built-in one.

    Attributes:
        name: value of `--model`.
        keras_function: function in `keras.applications`; empty for a built-in model.
        input_size: side of the square input in pixels.
        num_params: number of weights.
        default_layer: the layer of `--layer auto`.
        preprocess: Keras's mode `caffe`, `tf` or `torch`, a range such as `-1..1`, an own mean and std, or `none`.
        weights_file: name of the weight file in Keras's cache.
        url: URL of the weight file.
        hash: MD5 or SHA-256 of the weight file in hexadecimal, or None if Keras publishes none.
        bytes_per_weight: bytes per weight in the file.
        dataset: data set of its weights and class names, `ImageNet` or `CIFAR-10`.
    """

    name: str
    keras_function: str
    input_size: int
    num_params: int
    default_layer: str
    preprocess: str
    weights_file: str
    url: str
    hash: str | None = None
    bytes_per_weight: int = 4
    dataset: str = "ImageNet"

    @property
    def built_in(self) -> bool:
        """Whether the weights are part of the package."""
        return not self.keras_function

    @property
    def megabytes(self) -> int:
        """Approximate size of the weight file in MB (1e6 bytes)."""
        return round(self.num_params * self.bytes_per_weight / 1e6)


MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")


LITE0 = ModelSpec("lite0", "", 224, 4_631_000, "top_conv", "none,mean=127,std=128", "lite0.npz", "", bytes_per_weight=2)
"""EfficientNet-Lite0, converted by `tools/convert_lite0.py`."""
MINI = ModelSpec(
    "mini", "", 32, 2_382_186, "block5_conv4", "-1..1", "mini.npz", "", bytes_per_weight=2, dataset="CIFAR-10"
)
"""A slim VGG19, trained on CIFAR-10 by `tools/train_mini.py`."""
BUILT_IN = (LITE0, MINI)
"""Models whose weights are part of the package."""


@functools.cache
def catalog() -> dict[str, ModelSpec]:
    """Return the specs of all models by name, the built-in ones first.

    `tools/update_catalog.py` writes the data file.
    """
    text = resources.files("gradcam_cli.models").joinpath("data/applications.json").read_text("utf-8")
    specs = [*BUILT_IN, *(ModelSpec(**entry) for entry in json.loads(text))]
    return {spec.name: spec for spec in specs}


def find_spec(name: str) -> ModelSpec | None:
    """Return the spec of a model name, or None; case, `_` and `-` are ignored (`EfficientNet-B0`)."""
    return catalog().get(re.sub(r"[\W_]+", "", name).lower())


def require_spec(name: str) -> ModelSpec:
    """Return the spec of a model name.

    Raises:
        ModelError: there is no such model; the hint lists near matches.
    """
    if spec := find_spec(name):
        return spec
    near = near_matches(name, catalog())
    raise ModelError(
        f"model {name!r} not found: expected a model name or a .keras or .h5 file",
        (f"near matches: {', '.join(near)}; " if near else "") + "`gradcam models` lists the names",
    )


def is_model_path(model: str) -> bool:
    """Return whether a `--model` value is a path; a file with the name of a catalog model is given as `./vgg19`."""
    if model.lower().endswith(MODEL_SUFFIXES) or os.sep in model:
        return True
    return os.path.exists(model) and find_spec(model) is None
