"""Results as JSON objects: the lines of `--json`."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from gradcam_cli.images.load import Failure, Skipped
from gradcam_cli.pipeline.config import SETTINGS
from gradcam_cli.pipeline.prediction import json_number
from gradcam_cli.pipeline.results import Explanation

SCHEMA_VERSION = 2

Record = dict[str, Any]
"""One JSON object: a line of `--json` or of a report's run log."""

KEYS = (
    *("schema_version", "input", "sha256", "status", "error", "hint", "model", "weights", "preprocess", "layer"),
    *(
        "method",
        "class_index",
        "class_name",
        "class_id",
        "requested_class",
        "logit",
        "probability",
        "value",
        "predictions",
    ),
    *("map", "crop_box", *SETTINGS, "outputs", "timings", "versions"),
)
"""The keys of every line of `gradcam INPUT... --json`, in this order."""


def json_line(record: Mapping[str, Any]) -> str:
    """Return a record as one line of JSON, without its newline; `schema_version` and `versions` are added.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps({"schema_version": SCHEMA_VERSION, **record, "versions": versions()}, allow_nan=False)


def to_json(result: Explanation | Failure | Skipped, outputs: dict[str, str] | None = None) -> Record:
    """Return the JSON object of a result: always the same keys, null where there is no value, no NaN.

    Args:
        result: an explanation, or the reason why there is none.
        outputs: paths of the files written, by kind.
    """
    record: Record = dict.fromkeys(KEYS)
    record.update(schema_version=SCHEMA_VERSION, input=result.source, outputs=outputs or {}, versions=versions())
    if not isinstance(result, Explanation):
        record.update(status=result.status, error=result.error, hint=result.hint)
        return record
    prediction = result.prediction
    record.update(
        result.settings.values(),
        status="ok",
        sha256=result.sha256,
        model=result.model.name,
        weights={"name": result.model.weights, "sha256": result.model.weights_sha256},
        preprocess=result.model.preprocess,
        layer=result.layer,
        method=result.method,
        class_index=prediction.index,
        class_name=prediction.name,
        class_id=prediction.id,
        requested_class=result.request_key[2],
        logit=json_number(prediction.logit),
        probability=json_number(prediction.probability),
        value=json_number(prediction.value),
        predictions=predictions(result),
        map=map_summary(result),
        crop_box=result.crop_box,
        timings={stage: round(seconds, 4) for stage, seconds in result.timings.items()},
    )
    return record


def predictions(result: Explanation) -> list[dict[str, Any]]:
    """Return the classes with the largest scores, largest first."""
    return [
        {
            "index": p.index,
            "name": p.name,
            "logit": json_number(p.logit),
            "probability": json_number(p.probability),
            "value": json_number(p.value),
        }
        for p in result.predictions
    ]


def map_summary(result: Explanation) -> dict[str, Any]:
    """Return a map's summary: maximum before normalization, mean, peak, box, and why it is zero."""
    return {
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
