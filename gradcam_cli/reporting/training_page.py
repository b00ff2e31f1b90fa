"""The page of a training: the maps of fixed images with a slider over the epochs, and the curves beside them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gradcam_cli.callbacks.epoch_maps import EpochMaps, ImageMap
from gradcam_cli.callbacks.record import RecordedImage, TrainingRun, picture_path, read_epochs, read_run
from gradcam_cli.console import log
from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.drift import DRIFTS, explained_class
from gradcam_cli.images.box import Box
from gradcam_cli.output.colors import DEFAULT, color_table
from gradcam_cli.pipeline.json_lines import versions
from gradcam_cli.pipeline.prediction import Prediction
from gradcam_cli.reporting.page import content_security_policy, page_environment, read_asset
from gradcam_cli.reporting.training_curves import make_curves

MAX_CELLS = 1 << 24
"""Cells of all maps on the page; of a longer training, epochs at equal distances are shown."""


def read_training(directory: Path) -> tuple[dict[str, Any], int]:
    """Return the document of a training's page, and the number of damaged epochs.

    Raises:
        InputError: the record cannot be read, or no epoch of it can.
    """
    run = read_run(directory)
    epochs, damaged = [], 0
    for maps in read_epochs(directory, run):
        if isinstance(maps, InputError):
            log.warning("%s", maps.message)
            damaged += 1
        else:
            epochs.append(maps)
    if not epochs:
        raise InputError(f"{directory} has no maps of an epoch", "the callback GradCAM writes them after each epoch")
    return training_document(run, epochs, damaged), damaged


def render_training(document: dict[str, Any]) -> str:
    """Return the HTML page of a training; texts of the document are escaped, or in JSON that the script reads."""
    from markupsafe import Markup

    style = read_asset("style.css") + read_asset("training.css")
    script = read_asset("maps.js") + read_asset("training.js")
    template = page_environment().get_template("training.html.j2")
    page = template.render(
        document=document,
        version=version("gradcam-cli"),
        policy=content_security_policy(style, script),
        style=Markup(style),  # noqa: S704  # files of this package
        script=Markup(script),  # noqa: S704
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")  # file names may hold lone surrogates


def training_document(run: TrainingRun, epochs: Sequence[EpochMaps], damaged: int = 0) -> dict[str, Any]:
    """Return the document of the page, as JSON values."""
    cells = sum(each.saved.cam.size for maps in epochs for each in maps.images if each.saved)
    step = -(-cells // MAX_CELLS) or 1
    shown = list(epochs) if step == 1 else [*epochs[:-1:step], epochs[-1]]
    return {
        "model": run.model,
        "layer": run.layer,
        "method": run.method,
        "measures": [{"name": name, "title": measure.title} for name, measure in DRIFTS.items()],
        "colors": base64.b64encode(color_table(DEFAULT.cmap).tobytes()).decode(),
        "opacity": DEFAULT.opacity,
        "images": [_image(*each) for each in enumerate(run.images)],
        "epochs": [_epoch(run, maps) for maps in shown],
        "curves": make_curves(epochs),
        "table": _table(epochs),
        "recorded": len(epochs),
        "damaged": damaged,
        "versions": list(versions().items()),
    }


def _image(number: int, image: RecordedImage) -> dict[str, Any]:
    H, W = image.size
    return {"name": image.name, "src": picture_path(number), "width": W, "height": H}


def _epoch(run: TrainingRun, maps: EpochMaps) -> dict[str, Any]:
    drift = {since: _values_of_images(values) for since, values in maps.drift.items()}
    return {
        "epoch": maps.epoch + 1,
        "errors": len(maps.errors),
        "images": [
            {
                **_map(image, each),
                "drift": {since: values[i] for since, values in drift.items()},
            }
            for i, (image, each) in enumerate(zip(run.images, maps.images, strict=True))
        ],
    }


def _values_of_images(drift: dict[str, list[float | None]]) -> list[dict[str, float | None]]:
    """Return the drift measures of each image."""
    return [dict(zip(drift, values, strict=True)) for values in zip(*drift.values(), strict=True)]


def _map(image: RecordedImage, each: ImageMap) -> dict[str, Any]:
    predicted = _label(each.predicted) if each.predicted else None
    if each.saved is None:
        return {"map": None, "error": each.error, "zero_reason": None, "class": None, "predicted": predicted}
    explained = explained_class(each.saved)
    return {
        "map": _encoded(image, each.saved.cam, each.limit, each.saved.metadata.get("interpolation") == "nearest"),
        "error": None,
        "zero_reason": each.zero_reason,
        "class": {"text": str(explained), "probability": each.saved.metadata.get("probability")},
        "predicted": predicted,
    }


def _label(predicted: dict[str, Any]) -> dict[str, Any]:
    shown = Prediction(predicted["index"] or 0, predicted["name"], None, None, 0.0)
    return {"text": str(shown), "probability": predicted["probability"]}


def _encoded(image: RecordedImage, cam: np.ndarray, limit: float, nearest: bool) -> dict[str, Any]:
    """Return the form of a map that `decodeMap` of maps.js reads: 256 levels of its values."""
    top = max(float(cam.max()), 0.0)
    levels = np.round(cam.clip(0) * (255 / top)) if top > 0 else np.zeros(cam.shape)
    return {
        "width": cam.shape[1],
        "height": cam.shape[0],
        "values": base64.b64encode(levels.astype(np.uint8).tobytes()).decode(),
        "bits": 8,
        "top": top,
        "limit": limit,
        "box": _fractions(image.map_box, image.size),
        "crop": _fractions(image.crop_box, image.size),
        "nearest": nearest,
    }


def _fractions(box: Box, size: tuple[int, int]) -> list[float]:
    H, W = size
    return [box.x0 / W, box.y0 / H, box.x1 / W, box.y1 / H]


def _table(epochs: Sequence[EpochMaps]) -> dict[str, Any]:
    """Return the numbers of the curves as rows: of each epoch with maps."""
    names = list(dict.fromkeys(name for maps in epochs for name in maps.logs.get(maps.epoch, {})))
    rows = []
    for maps in epochs:
        logs = maps.logs.get(maps.epoch, {})
        drift = [maps.mean_drift(since).get(name) for since in ("last", "first") for name in DRIFTS]
        numbers = [*drift, *(logs.get(name) for name in names)]
        rows.append([str(maps.epoch + 1), *("–" if value is None else f"{value:.4g}" for value in numbers)])
    drifts = [f"{name}, since {since}" for since in ("last", "first") for name in DRIFTS]
    return {"columns": ["epoch", *drifts, *names], "rows": rows}
