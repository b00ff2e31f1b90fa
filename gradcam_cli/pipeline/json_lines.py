"""Results as JSON objects: the lines of `--json`."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata
from typing import Any

from gradcam_cli.images.load import Unexplained
from gradcam_cli.pipeline.results import Explanation, json_number

SCHEMA_VERSION = 1


def to_json(result: Explanation | Unexplained, outputs: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object of a result: the same keys always, null where there is nothing, no NaN.

    Args:
        result: what is written down.
        outputs: paths of the files written, by kind.
    """
    record: dict[str, Any] = dict.fromkeys(_KEYS)
    record.update(schema_version=SCHEMA_VERSION, input=result.source, outputs=outputs or {}, versions=versions())
    if isinstance(result, Unexplained):
        record.update(status=result.status, error=result.error, hint=result.hint)
        return record
    setting, chosen = result.settings, result.prediction
    record.update(
        status="ok",
        sha256=result.sha256,
        model=setting.model,
        weights={"name": setting.weights, "sha256": setting.weights_sha256},
        layer=result.layer,
        method=result.method,
        score=setting.score,
        class_index=chosen.index,
        class_name=chosen.name,
        class_id=chosen.id,
        class_asked=result.request_key[2],
        logit=json_number(chosen.logit),
        probability=json_number(chosen.probability),
        top=predictions(result),
        map=map_summary(result),
        fit=setting.fit,
        view=result.crop_box,
        preprocessing=setting.preprocess,
        precision=setting.precision,
        batch_size=setting.batch_size,
        zoom_order=setting.zoom_order,
        counterfactual=setting.counterfactual,
        smooth=setting.aug_smooth,
        seconds={stage: round(spent, 4) for stage, spent in result.timings.items()},
    )
    return record


def predictions(result: Explanation) -> list[dict[str, Any]]:
    """Return the model's largest predictions."""
    return [
        {"index": p.index, "name": p.name, "logit": json_number(p.logit), "probability": json_number(p.probability)}
        for p in result.predictions
    ]


def map_summary(result: Explanation) -> dict[str, Any]:
    """Return what a map says in numbers."""
    return {
        "raw_max": json_number(float(result.cam.max())),
        "mean": json_number(float(result.heatmap.mean())),
        "positive_weights": None if result.alpha is None else float((result.alpha > 0).mean()),
        "peak": result.peak,
        "box": result.box,
        "zero": result.zero_reason,
    }


_KEYS = (
    *("schema_version", "input", "sha256", "status", "error", "hint", "model", "weights", "layer", "method", "score"),
    *("class_index", "class_name", "class_id", "class_asked", "logit", "probability", "top", "map", "fit", "view"),
    *(
        "preprocessing",
        "precision",
        "batch_size",
        "zoom_order",
        "counterfactual",
        "smooth",
        "outputs",
        "seconds",
        "versions",
    ),
)


@cache
def versions() -> dict[str, str]:
    """Return the versions of what made a map; those of the packages are read without importing them."""
    packages = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy", "scipy", "pillow")}
    return {"gradcam": metadata.version("gradcam-cli"), "python": platform.python_version(), **packages}
