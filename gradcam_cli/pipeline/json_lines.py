"""Results as JSON objects: the lines of `--json`."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from gradcam_cli.images.load import Failure, Skipped
from gradcam_cli.images.space import RANKS
from gradcam_cli.pipeline import fields
from gradcam_cli.pipeline.config import DEFAULTS, MAP_SETTINGS, SETTINGS
from gradcam_cli.pipeline.differences import difference_summary
from gradcam_cli.pipeline.prediction import Prediction, json_number
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.truth import TRUTH, LeftOut

SCHEMA_VERSION = 2

Record = dict[str, Any]
"""One JSON object: a line of `--json` or of a report's run log."""


def setting_field(key: str) -> fields.Check:
    """Return the kind of a setting's values: a choice, a text, a list of texts, a number, a flag, or an integer."""
    setting = SETTINGS[key]
    if setting.multiple:
        return fields.list_of(fields.text())
    if isinstance(DEFAULTS[key], float):
        return fields.number(0)
    if setting.metavar:
        return fields.text() if DEFAULTS[key] is not None else fields.nullable(fields.text())
    if setting.choices:
        return fields.choice(setting.choices)
    return fields.flag if DEFAULTS[key] is False else fields.nullable(fields.integer(1))


PREDICTION_FIELDS: fields.Fields = {
    "index": fields.nullable(fields.integer()),
    "name": fields.nullable(fields.name),
    "logit": fields.nullable(fields.number()),
    "probability": fields.nullable(fields.number()),
    "value": fields.nullable(fields.number()),
}
PREDICTION = fields.record(PREDICTION_FIELDS, ("index", "name", "probability"))
PREDICTIONS = fields.list_of(PREDICTION)
SUMMARY_FIELDS: fields.Fields = {
    "cells": fields.nullable(fields.list_of(fields.integer(1), 1, 3)),
    "raw_max": fields.nullable(fields.number()),
    "mean": fields.nullable(fields.number()),
    "positive_weight_fraction": fields.nullable(fields.number(0, 1)),
    "peak": fields.nullable(fields.position),
    "box": fields.nullable(fields.box),
    "zero_reason": fields.nullable(fields.text()),
}
"""The values of `map_summary`."""
_PLACE = fields.nullable(
    fields.record({key: SUMMARY_FIELDS[key] for key in ("raw_max", "peak", "box")}, ("raw_max", "peak", "box"))
)
DIFFERENCE_FIELDS: fields.Fields = {
    "predicted": PREDICTION,
    "predicted_map": _PLACE,
    "for_predicted": _PLACE,
    "for_true": _PLACE,
}
"""The values of `differences.difference_summary`."""
METADATA_FIELDS: fields.Fields = {
    "input": fields.text(),
    "sha256": fields.nullable(fields.sha256),
    "model": fields.text(),
    "preprocess": fields.nullable(fields.name),
    "layer": fields.name,
    "method": fields.name,
    "class_index": fields.nullable(fields.integer()),
    "class_name": fields.nullable(fields.name),
    "class_members": fields.nullable(PREDICTIONS),
    "against_classes": fields.nullable(PREDICTIONS),
    "probability": fields.nullable(fields.number()),
    "requested_class": fields.text(),
    "truth": fields.nullable(TRUTH),
    **{key: setting_field(key) for key in MAP_SETTINGS},
    "rerun_args": fields.nullable(fields.list_of(fields.text())),
    "kind": fields.nullable(fields.choice(tuple(RANKS))),
    "spacing": fields.nullable(fields.list_of(fields.number(0), 1, 3)),
}
"""The values of `Explanation.metadata`, and the options of the command that recompute the map."""
FIELDS: fields.Fields = {
    "schema_version": fields.integer(1),
    "input": fields.text(),
    "sha256": METADATA_FIELDS["sha256"],
    "status": fields.choice(("ok", "failed", "skipped")),
    "error": fields.nullable(fields.text()),
    "hint": fields.nullable(fields.text()),
    "model": fields.nullable(fields.text()),
    "weights": fields.nullable(
        fields.record({"name": fields.nullable(fields.text()), "sha256": METADATA_FIELDS["sha256"]})
    ),
    "preprocess": METADATA_FIELDS["preprocess"],
    "preprocess_reason": fields.nullable(fields.text()),
    **{key: fields.nullable(METADATA_FIELDS[key]) for key in ("layer", "method", "class_index", "class_name")},
    "class_id": fields.nullable(fields.name),
    **{key: METADATA_FIELDS[key] for key in ("class_members", "against_classes")},
    "requested_class": fields.nullable(fields.text()),
    "logit": fields.nullable(fields.number()),
    "probability": METADATA_FIELDS["probability"],
    "value": fields.nullable(fields.number()),
    "predictions": fields.nullable(PREDICTIONS),
    "truth": METADATA_FIELDS["truth"],
    "map": fields.nullable(fields.record(SUMMARY_FIELDS)),
    "difference": fields.nullable(fields.record(DIFFERENCE_FIELDS)),
    "kind": METADATA_FIELDS["kind"],
    "spacing": METADATA_FIELDS["spacing"],
    "windows": fields.nullable(fields.integer(1)),
    "crop_box": fields.nullable(fields.box),
    "detection_box": fields.nullable(fields.box),
    **{key: fields.nullable(setting_field(key)) for key in SETTINGS},
    "rerun_args": METADATA_FIELDS["rerun_args"],
    "outputs": fields.mapping(fields.text()),
    "timings": fields.nullable(fields.mapping(fields.number())),
    "versions": fields.nullable(fields.mapping(fields.name)),
}
"""The values of every line of `gradcam INPUT... --json`, by key and in this order; most are null for a failed input."""
KEYS = tuple(FIELDS)
"""The keys of every line of `gradcam INPUT... --json`, in this order."""
ENVELOPE = ("schema_version", "versions")
"""The keys of every line of every command that are the same for all; records of the Python API leave them out."""


def json_line(record: Mapping[str, Any]) -> str:
    """Return a record as one line of JSON, without its newline; `schema_version` and `versions` are added.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps({"schema_version": SCHEMA_VERSION, **record, "versions": versions()}, allow_nan=False)


def to_json(
    result: Explanation | Failure | Skipped,
    outputs: dict[str, str] | None = None,
    rerun_args: Sequence[str] | None = None,
) -> Record:
    """Return the JSON object of a result: always the same keys, null where there is no value, no NaN.

    Args:
        result: an explanation, or the reason why there is none.
        outputs: paths of the files written, by kind.
        rerun_args: the options of the command that recompute its maps.
    """
    record: Record = dict.fromkeys(KEYS)
    record.update(schema_version=SCHEMA_VERSION, input=result.source, outputs=outputs or {}, versions=versions())
    if not isinstance(result, Explanation):
        record.update(result.to_dict())
        if isinstance(result, Skipped):
            record.update(truth=result.truth)
        if isinstance(result, LeftOut):
            record.update(sha256=result.sha256, predictions=predictions(result.predictions))
        return record
    prediction = result.prediction
    record.update(
        result.settings.values(),
        status="ok",
        sha256=result.sha256,
        model=result.model.name,
        weights={"name": result.model.weights, "sha256": result.model.weights_sha256},
        preprocess=result.model.preprocess.mode,
        preprocess_reason=result.model.preprocess.reason,
        layer=result.layer,
        method=result.method,
        **prediction.metadata(),
        class_id=prediction.id,
        requested_class=result.request_key[2],
        logit=json_number(prediction.logit),
        value=json_number(prediction.value),
        predictions=predictions(result.predictions),
        truth=result.truth and result.truth.to_json(),
        map=map_summary(result),
        difference=difference_summary(result),
        kind=result.space.kind,
        spacing=list(result.space.spacing) or None,
        windows=result.windows or None,
        crop_box=result.crop_box,
        detection_box=result.detection_box,
        rerun_args=None if rerun_args is None else list(rerun_args),
        timings={stage: round(seconds, 4) for stage, seconds in result.timings.items()},
    )
    return record


def explanation_dict(explanation: Explanation) -> Record:
    """Return what `Explanation.to_dict` returns."""
    record = json.loads(json.dumps(to_json(explanation), allow_nan=False))
    return {key: record[key] for key in KEYS if key not in ENVELOPE}


def predictions(ranked: Iterable[Prediction]) -> list[dict[str, Any]]:
    """Return the classes with the largest scores, largest first."""
    return [each.to_json() for each in ranked]


def map_summary(result: Explanation) -> dict[str, Any]:
    """Return a map's summary: size of the layer, maximum before normalization, mean, peak, box, why it is zero."""
    return {
        "cells": list(result.cam.shape),
        "raw_max": json_number(float(result.cam.max())),
        "mean": json_number(float(result.heatmap.mean())),
        "positive_weight_fraction": None if result.alpha is None else float((result.alpha > 0).mean()),
        "peak": result.peak,
        "box": result.box,
        "zero_reason": result.zero_reason,
    }


@cache
def versions() -> dict[str, str]:
    """Return the versions of gradcam, Python and the libraries that compute maps, without importing them."""
    packages = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy", "scipy", "pillow")}
    return {"gradcam": metadata.version("gradcam-cli"), "python": platform.python_version(), **packages}
