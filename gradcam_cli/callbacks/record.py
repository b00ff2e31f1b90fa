"""The record of a training in its log directory: the images, and the maps of each epoch in a file of its own.

`training/run.json` names the images and the layer, `training/epoch_00001.npz` has the maps after the first epoch.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradcam_cli.callbacks.epoch_maps import SINCE, EpochMaps, ImageMap
from gradcam_cli.errors import InputError, OutputError
from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.images.box import Box
from gradcam_cli.methods import maps
from gradcam_cli.pipeline import fields
from gradcam_cli.pipeline.json_lines import PREDICTION
from gradcam_cli.pipeline.saved import SavedMap, parse_metadata
from gradcam_cli.storage.arrays import ArrayFile, open_arrays
from gradcam_cli.storage.files import read_bytes, write_output
from gradcam_cli.storage.paths import is_inside, is_url
from gradcam_cli.storage.targets import require_replaceable

FOLDER, RUN_FILE = "training", "run.json"
MAX_SIDE = 512
"""Longer side of the pictures of the images, in pixels; larger images are reduced."""
MAX_IMAGES, MAX_CELLS, MAX_TEXT = 10_000, 1 << 28, 1 << 27
"""Limits of a record that is read: its images, the cells of all maps of an epoch, and the characters of a text."""
_EPOCH_FILE = re.compile(r"epoch_(\d{5,9})\.npz")
_HINT = "expected the log directory of the callback GradCAM"
_SIDE, _COORDINATE = fields.integer(1, MAX_SIDE), fields.integer(-4 * MAX_SIDE, 4 * MAX_SIDE)


@dataclass(frozen=True)
class RecordedImage:
    """An image of a training.

    Attributes:
        name: its path, or `images[3]`.
        size: (H, W) of the picture.
        map_box: the part of the picture that the cells of a map cover.
        crop_box: the part that the model sees.
    """

    name: str
    size: tuple[int, int]
    map_box: Box
    crop_box: Box


@dataclass(frozen=True)
class TrainingRun:
    """What the maps of all epochs of a training share.

    Attributes:
        model: name of the model.
        layer: path of the layer.
        method: name of the method.
        fingerprint: SHA-256 of the model inputs.
        images: the images.
    """

    model: str
    layer: str
    method: str
    fingerprint: str
    images: tuple[RecordedImage, ...]

    def continues(self, earlier: TrainingRun) -> bool:
        """Return whether the maps can be compared with those of another training; Keras may have renamed the model."""
        return replace(self, model=earlier.model) == earlier


_TEXTS: fields.Fields = {"model": fields.text(), "layer": fields.name, "method": fields.name}
_IMAGE: fields.Fields = {
    "name": fields.text(),
    "size": fields.tuple_of(_SIDE, _SIDE),
    **dict.fromkeys(("map_box", "crop_box"), fields.tuple_of(*[_COORDINATE] * 4)),
}
_RUN: fields.Fields = {
    **_TEXTS,
    "fingerprint": fields.sha256,
    "images": fields.list_of(fields.record(_IMAGE, tuple(_IMAGE)), 1, MAX_IMAGES),
}
_IMAGE_MAP: fields.Fields = {
    "map": fields.nullable(parse_metadata),
    "error": fields.nullable(fields.text()),
    "zero_reason": fields.nullable(fields.text()),
    "limit": fields.number(0),
    "predicted": fields.nullable(PREDICTION),
}
_LOGS = fields.mapping(fields.nullable(fields.number()))
_DRIFT = fields.mapping(fields.list_of(fields.nullable(fields.number())), fields.choice(tuple(DRIFTS)))
_EPOCH: fields.Fields = {
    "images": fields.list_of(fields.record(_IMAGE_MAP, tuple(_IMAGE_MAP)), 1, MAX_IMAGES),
    "logs": fields.list_of(fields.tuple_of(fields.integer(), _LOGS)),
    "drift": fields.mapping(_DRIFT, fields.choice(SINCE)),
}


def picture_path(number: int) -> str:
    """Return the path of the picture of an image, from 0 on, relative to the log directory."""
    return f"{FOLDER}/image_{number + 1:03}_gradcam.png"


def is_training(directory: Path) -> bool:
    """Return whether a directory has the record of a training."""
    return not is_url(directory) and (directory / FOLDER / RUN_FILE).is_file()


def write_run(directory: Path, run: TrainingRun, pictures: Sequence[bytes]) -> None:
    """Write the description of a training and the pictures of its images.

    Raises:
        OutputError: a file cannot be written.
    """
    for number, picture in enumerate(pictures):
        write_output(directory / picture_path(number), picture, directory)
    record = {**vars(run), "images": [vars(image) for image in run.images]}  # `asdict` does not copy boxes
    write_output(directory / FOLDER / RUN_FILE, json.dumps(record).encode(), directory)


def read_run(directory: Path) -> TrainingRun:
    """Read the description of a training.

    Raises:
        InputError: it is missing, damaged, or a link out of the directory.
    """
    path = directory / FOLDER / RUN_FILE
    try:
        if not is_inside(path, directory):
            raise ValueError("it is a link out of the directory")
        record = fields.record(_RUN, tuple(_RUN))(json.loads(read_bytes(path, MAX_TEXT)))
        images = tuple(map(_recorded_image, record["images"]))
        return TrainingRun(**{**record, "images": images})
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}", _HINT) from error


def _recorded_image(record: dict[str, Any]) -> RecordedImage:
    H, W = record["size"]
    return RecordedImage(record["name"], (H, W), Box(*record["map_box"]), Box(*record["crop_box"]))


def epoch_files(directory: Path) -> dict[int, Path]:
    """Return the files of the epochs, by epoch from 0 on, in order.

    Raises:
        InputError: the directory cannot be read.
    """
    folder = directory / FOLDER
    try:
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from error
    found = {int(match[1]) - 1: folder / match[0] for match in map(_EPOCH_FILE.fullmatch, names) if match}
    return dict(sorted(found.items()))


def drop_epochs(directory: Path, first: int) -> int:
    """Delete the files of the epochs from `first` on; return their number.

    Raises:
        OutputError: a file cannot be deleted.
    """
    dropped = [path for epoch, path in epoch_files(directory).items() if epoch >= first]
    for path in dropped:
        try:
            require_replaceable(path)
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path} cannot be deleted: {error.strerror or error}") from error
    return len(dropped)


def write_epoch(directory: Path, epoch: EpochMaps) -> Path:
    """Write the maps of an epoch; return the path of the file.

    Raises:
        OutputError: the file cannot be written.
    """
    shape = next((each.saved.cam.shape for each in epoch.images if each.saved), (1, 1))
    cams = np.stack([each.saved.cam if each.saved else np.full(shape, np.nan) for each in epoch.images])
    record = {
        "images": [
            {**each._asdict(), "map": each.saved and each.saved.metadata, "saved": None} for each in epoch.images
        ],
        "logs": [[number, values] for number, values in epoch.logs.items()],
        "drift": epoch.drift,
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, cams=cams.astype(np.float32), record=np.array(json.dumps(record)))
    return write_output(directory / FOLDER / f"epoch_{epoch.epoch + 1:05}.npz", buffer.getvalue(), directory)


def read_epoch(directory: Path, run: TrainingRun, number: int, path: Path) -> EpochMaps:
    """Read the maps of an epoch.

    Raises:
        InputError: the file is damaged, a link out of the directory, or of other images.
    """
    if not is_inside(path, directory):
        raise InputError(f"{path} is not read: it is a link out of the directory")
    try:
        with open_arrays(path) as arrays:
            return _read_epoch(arrays, run, number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}", _HINT) from error


def _read_epoch(arrays: ArrayFile, run: TrainingRun, number: int) -> EpochMaps:
    cams = arrays.read("cams", "f", 3, MAX_CELLS).astype(np.float32)
    record = json.loads(str(arrays.read("record", "U", 0, MAX_TEXT)))
    record = fields.record(_EPOCH, tuple(_EPOCH))(record)
    if not len(run.images) == len(cams) == len(record["images"]) or not cams.size:
        raise ValueError(f"expected maps of {len(run.images)} images, got {len(cams)}")
    if any(len(values) != len(cams) for drift in record["drift"].values() for values in drift.values()):
        raise ValueError("expected a drift of each image")
    images = [_image_map(*each) for each in zip(run.images, cams, record["images"], strict=True)]
    return EpochMaps(number, images, dict(record["logs"]), record["drift"])


def _image_map(image: RecordedImage, cam: np.ndarray, record: dict[str, Any]) -> ImageMap:
    metadata = record.pop("map")
    if metadata is None:
        return ImageMap(None, **record)
    if not np.isfinite(cam).all():
        raise ValueError("expected finite numbers")
    heatmap = maps.to_image(cam, image.map_box, image.size, metadata.get("interpolation", "linear"))
    return ImageMap(SavedMap(metadata, heatmap, cam), **record)


def read_epochs(directory: Path, run: TrainingRun, before: int | None = None) -> Iterator[EpochMaps | InputError]:
    """Yield the maps of all epochs, or of those before one; a damaged file is yielded as its error."""
    for number, path in epoch_files(directory).items():
        if before is None or number < before:
            try:
                yield read_epoch(directory, run, number, path)
            except InputError as error:
                yield error
