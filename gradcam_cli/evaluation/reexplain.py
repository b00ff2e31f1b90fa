"""Recompute the maps of an earlier run with another model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.saved_truth import truth_in_records
from gradcam_cli.images.in_memory import BytesSource
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained, load_image
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.methods.registry import LAYER_METHODS, layers_named
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.truth import TruthSource
from gradcam_cli.pipeline.config import MAP_SETTINGS, ExplainConfig
from gradcam_cli.pipeline.reading import read_options_of
from gradcam_cli.pipeline.recorded_image import read_recorded_image
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.saved import find_saved_maps, load_saved_metadata
from gradcam_cli.pipeline.stages import explain_images

Records = dict[str, dict[str, Any]]
"""The metadata of the maps in a directory, by the names of their files."""


def load_records(directory: Path) -> Records:
    """Read the metadata of the maps in a directory; damaged maps are left out, `compare_runs` reports them.

    Raises:
        InputError: the directory has no maps, or no valid ones.
    """
    records: Records = {}
    errors: list[InputError] = []
    for name, path in find_saved_maps(directory).items():
        try:
            records[name] = _load_record(path)
        except InputError as error:
            errors.append(error)
    if not records:
        raise errors[0]
    return records


def _load_record(path: Path) -> dict[str, Any]:
    record = load_saved_metadata(path)
    if missing := {*MAP_SETTINGS, "input", "sha256", "layer", "method", "requested_class"} - record.keys():
        raise InputError(f"{path}: {', '.join(sorted(missing))} not found in its metadata")
    if record["method"] not in LAYER_METHODS:
        raise InputError(f"{path}: unknown method {record['method']!r}")
    return record


def config_from_records(records: Records) -> ExplainConfig:
    """Return the configuration that recomputes these maps.

    Raises:
        UsageError: the maps were computed with different settings.
    """
    settings: dict[str, Any] = {}
    for name in MAP_SETTINGS:
        values = {str(record[name]): record[name] for record in records.values()}
        if len(values) > 1:
            raise UsageError(
                f"expected results of one run, got {name} {' and '.join(sorted(values))}",
                "compare two directories instead",
            )
        settings[name] = values.popitem()[1]
    return ExplainConfig(
        layers=list(dict.fromkeys(path for name in _unique(records, "layer") for path in layers_named(name)))
        or ["auto"],
        classes=_unique(records, "requested_class"),
        methods=_unique(records, "method"),
        **settings,
    )


def _unique(records: Records, key: str) -> list[str]:
    return list(dict.fromkeys(record[key] for record in records.values()))


def reexplain(
    classifier: Classifier,
    records: Records,
    output_dir: Path,
    rerun_args: Sequence[str] | None = None,
    truth: TruthSource | None = None,
) -> Iterator[Unexplained | str]:
    """Recompute maps and write them under their previous names; yield each input, or why it has no map.

    Args:
        classifier: the new model.
        records: metadata of the earlier run's maps, by file name.
        output_dir: directory of the new maps.
        rerun_args: the options of the command that recompute the new maps, saved with them.
        truth: the true classes of the images; None for those of the earlier run.

    Raises:
        UsageError: the model has no such layer or class, or the records come from several runs.
        OutputError: a map cannot be written.
    """
    names: dict[str, dict[tuple[str, str, str], str]] = {}
    hashes = {record["input"]: record["sha256"] for record in records.values()}
    for name, record in records.items():
        names.setdefault(record["input"], {})[record["layer"], record["method"], record["requested_class"]] = name
    truth = truth or truth_in_records(records.values())
    run = prepare_run(classifier, replace(config_from_records(records), truth=truth))
    options = read_options_of(run.config, classifier.rank)
    images = (_load_unchanged_image(path, hashes[path], options) for path in names)
    for path, result in zip(names, explain_images(run, images), strict=True):
        if isinstance(result, Unexplained):
            yield result
            continue
        _save_maps(result, names[path], output_dir, rerun_args)
        yield path


def _load_unchanged_image(path: str, sha256: str | None, options: ReadOptions) -> LoadedImage | Unexplained:
    try:
        return load_image(BytesSource(path, data=read_recorded_image(path, sha256)), options)
    except InputError as error:
        return Failure(path, error.message, error.hint)


def _save_maps(
    explanations: Sequence[Explanation],
    names: dict[tuple[str, str, str], str],
    output_dir: Path,
    rerun_args: Sequence[str] | None,
) -> None:
    for explanation in explanations:
        key = explanation.layer, explanation.method, explanation.request_key[2]
        if name := names.get(key):
            explanation.save(output_dir / name, "npz", rerun_args=rerun_args)
