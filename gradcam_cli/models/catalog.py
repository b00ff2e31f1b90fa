"""What is known of each model that has a name: the built-in one and those of `keras.applications`."""

from __future__ import annotations

import functools
import json
import os
import re
from importlib import resources
from typing import NamedTuple


class ModelSpec(NamedTuple):
    """A classifier with a name: one of `keras.applications` with ImageNet weights, or `mini`.

    Attributes:
        name: as `--model` takes it.
        keras_function: its name in `keras.applications`; empty for the built-in one.
        input_size: sides of its square input, in pixels.
        num_params: how many weights it has.
        default_layer: the layer that `--layer auto` chooses.
        preprocess: `caffe`, `tf` or `torch` as Keras calls them, or `none` (the model does it).
        weights_file: the name under which Keras keeps the weights.
        url: where the weights are fetched from.
        hash: MD5 or SHA-256 of the file, or None where Keras publishes none.
        bytes_per_weight: how the file stores them.
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

    @property
    def built_in(self) -> bool:
        """Whether the package itself carries the weights."""
        return not self.keras_function

    @property
    def megabytes(self) -> int:
        """The size of the weight file."""
        return round(self.num_params * self.bytes_per_weight / 1e6)


MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")


MINI = ModelSpec("mini", "", 32, 2_382_186, "block5_conv4", "-1..1", "mini.npz", "", bytes_per_weight=2)
"""VGG19 made slim, trained on CIFAR-10 by `tools/train_mini.py`."""


@functools.cache
def catalog() -> dict[str, ModelSpec]:
    """Return all models by name, the built-in one first. The table is written by `tools/make_applications.py`."""
    text = resources.files("gradcam_cli.models").joinpath("data/applications.json").read_text("utf-8")
    return {MINI.name: MINI, **{entry["name"]: ModelSpec(**entry) for entry in json.loads(text)}}


def find_spec(name: str) -> ModelSpec | None:
    """Return the model of a name, however it is spelt: `VGG19`, `resnet50_v2`, `EfficientNet-B0`."""
    return catalog().get(re.sub(r"[\W_]+", "", name).lower())


def is_model_path(model: str) -> bool:
    """Whether a model is named by its file; a file that bears a known name is reached as `./vgg19`."""
    if model.lower().endswith(MODEL_SUFFIXES) or os.sep in model:
        return True
    return os.path.exists(model) and find_spec(model) is None
