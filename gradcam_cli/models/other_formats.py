"""Model files of other formats: what each is, and how its model can be explained."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gradcam_cli.errors import ModelError
from gradcam_cli.models.safety import HDF5_SIGNATURE, is_checked
from gradcam_cli.near_matches import near_file

_SAVE_HINT = "load the model in Python and save it with model.save('model.keras')"
_PYTORCH = ("weights of PyTorch", "gradcam explains Keras models: build the model with Keras and copy its weights")

FORMATS: dict[str, tuple[str, str]] = {
    ".tflite": (
        "a TensorFlow Lite model, which has no gradients",
        "give the Keras model from which it was converted, as a .keras or .h5 file",
    ),
    ".onnx": (
        "an ONNX model, which stores no Keras layers",
        "give the Keras model from which it was exported, or build it with Keras and copy its weights",
    ),
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".safetensors": (
        "a file of weights without a model",
        "build the model with Keras, copy the weights, and save it with model.save('model.keras')",
    ),
    ".pb": (
        "a TensorFlow graph, which stores no Keras layers",
        "save the Keras model with model.save('model.keras') where it was trained",
    ),
    ".json": (
        "the configuration of a model without its weights",
        "build the model with keras.models.model_from_json, load its weights, and save it as a .keras file",
    ),
    ".npz": ("a file of arrays without a model", _SAVE_HINT),
    ".ckpt": ("a checkpoint of weights without a model", _SAVE_HINT),
}
"""What a file is, and the way out, by its suffix."""


def require_model_file(file: Path) -> None:
    """Check that a file is a Keras model file, by its suffix and its first bytes.

    Raises:
        ModelError: it is missing, or of another format, which the message names.
    """
    if file.is_dir():
        raise _directory_error(file)
    if not file.is_file():
        raise ModelError(f"model file {file} not found", near_file(file))
    if is_checked(file):
        return
    what, hint = FORMATS.get(file.suffix.lower(), (None, None))
    if what:
        raise ModelError(f"{file} is {what}", hint)
    if suffix := _suffix_of_content(file):
        raise ModelError(
            f"cannot open {file}: expected a name that ends in .keras or .h5", f"rename it to {file.stem}{suffix}"
        )
    raise ModelError(f"cannot open {file}: expected a .keras or .h5 file")


def _directory_error(directory: Path) -> ModelError:
    if (directory / "keras_metadata.pb").is_file():
        return ModelError(
            f"{directory} is a SavedModel of Keras 2, which Keras 3 cannot open",
            "open it with the TensorFlow that wrote it, and save it with model.save('model.h5')",
        )
    if (directory / "saved_model.pb").is_file():
        return ModelError(
            f"{directory} is a SavedModel, which stores no Keras layers",
            "load it with its code and save it with model.save('model.keras')",
        )
    return ModelError(f"{directory} is a directory: expected a .keras or .h5 file")


def _suffix_of_content(file: Path) -> str | None:
    with file.open("rb") as opened:
        if opened.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
            return ".h5"
    return ".keras" if zipfile.is_zipfile(file) else None
