"""The maps of an earlier run, made again by another model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.decode import MAX_PIXELS
from gradcam_cli.images.load import LoadedImage, Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import INPUT_LAYER
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.saved import find_saved_maps, load_saved_metadata
from gradcam_cli.pipeline.stages import explain_images

SHARED_SETTINGS = ("score", "fit", "counterfactual", "smooth", "zoom_order", "precision")
"""Settings of the earlier run that hold for the new one."""

Records = dict[str, dict[str, Any]]
"""What the maps of a directory are of, by the names of their files."""


def load_records(directory: Path) -> Records:
    """Read what the maps of a directory are of.

    Raises:
        InputError: it holds none, or one is damaged.
    """
    records = {name: load_saved_metadata(path) for name, path in find_saved_maps(directory).items()}
    for name, record in records.items():
        if lacking := {*SHARED_SETTINGS, "input", "sha256", "layer", "method", "class_asked"} - record.keys():
            raise InputError(f"{directory / name}: expected {', '.join(sorted(lacking))} in its record, got none")
    return records


def config_from_records(records: Records) -> ExplainConfig:
    """Return the request that made these maps.

    Raises:
        UsageError: they come from runs with different settings.
    """
    settings: dict[str, Any] = {}
    for name in SHARED_SETTINGS:
        values = {record[name] for record in records.values()}
        if len(values) > 1:
            raise UsageError(
                f"expected results of one run, got {name} {' and '.join(sorted(map(str, values)))}",
                "compare two directories instead",
            )
        settings[name] = values.pop()
    layers = [layer for layer in _unique(records, "layer") if layer != INPUT_LAYER]
    return ExplainConfig(layers or ["auto"], _unique(records, "class_asked"), _unique(records, "method"), **settings)


def _unique(records: Records, key: str) -> list[str]:
    return list(dict.fromkeys(record[key] for record in records.values()))


def reexplain(classifier: Classifier, records: Records, output_dir: Path) -> Iterator[Unexplained | str]:
    """Make the maps again and write them under their old names; yield each photo, or why it has none.

    Args:
        classifier: the model to run now.
        records: of the earlier run.
        output_dir: directory of the new maps.

    Raises:
        UsageError: the model lacks one of the layers or classes, or the records are of several runs.
        OutputError: a map cannot be written.
    """
    names: dict[str, dict[tuple[str, str, str], str]] = {}
    hashes = {record["input"]: record["sha256"] for record in records.values()}
    for name, record in records.items():
        names.setdefault(record["input"], {})[record["layer"], record["method"], record["class_asked"]] = name
    run = prepare_run(classifier, config_from_records(records))
    photos = (_load_unchanged_image(path, hashes[path]) for path in names)
    for path, result in zip(names, explain_images(run, photos), strict=True):
        if isinstance(result, Unexplained):
            yield result
            continue
        _save_maps(result, names[path], output_dir)
        yield path


def _load_unchanged_image(path: str, sha256: str | None) -> LoadedImage | Unexplained:
    photo = load_image(Source(path), MAX_PIXELS)
    if isinstance(photo, LoadedImage) and photo.sha256 != sha256:
        return Unexplained(path, "expected the photo of the earlier run, got another file of its name")
    return photo


def _save_maps(explanations: Sequence[Explanation], names: dict[tuple[str, str, str], str], output_dir: Path) -> None:
    for one in explanations:
        if name := names.get((one.layer, one.method, one.request_key[2])):
            one.save(output_dir / name, "npz")
