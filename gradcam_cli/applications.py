"""What is known of each classifier of `keras.applications`, without building it."""

from __future__ import annotations

import functools
import json
import os
import re
from importlib import resources
from typing import NamedTuple


class Application(NamedTuple):
    """A classifier of `keras.applications` with ImageNet weights.

    Attributes:
        name: as `--model` takes it.
        function: its name in `keras.applications`.
        size: sides of its square input, in pixels.
        parameters: how many weights it has.
        layer: the layer that `--layer auto` chooses.
        preprocessing: `caffe`, `tf` or `torch` as Keras calls them, or `none` (the model does it).
        file: the name under which Keras keeps the weights.
        url: where the weights are fetched from.
        hash: MD5 or SHA-256 of the file, or None where Keras publishes none.
    """

    name: str
    function: str
    size: int
    parameters: int
    layer: str
    preprocessing: str
    file: str
    url: str
    hash: str | None

    @property
    def megabytes(self) -> int:
        """The size of the weight file, four bytes a parameter."""
        return round(self.parameters * 4 / 1e6)


MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")


@functools.cache
def applications() -> dict[str, Application]:
    """Return all applications by name. The table is written by `tools/make_applications.py`."""
    text = resources.files("gradcam_cli").joinpath("data/applications.json").read_text("utf-8")
    return {entry["name"]: Application(**entry) for entry in json.loads(text)}


def find_application(name: str) -> Application | None:
    """Return the application of a name, however it is spelt: `VGG19`, `resnet50_v2`, `EfficientNet-B0`."""
    return applications().get(re.sub(r"[\W_]+", "", name).lower())


def is_model_path(model: str) -> bool:
    """Whether a model is named by its file rather than as an application."""
    return model.lower().endswith(MODEL_SUFFIXES) or os.sep in model or os.path.exists(model)
