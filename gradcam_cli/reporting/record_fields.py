"""The records of run logs and of `--json`: one table of values for each kind of record."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradcam_cli.evaluation.correctness import BROKEN, CORRECTNESS
from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.output.render_options import BLENDS
from gradcam_cli.pipeline.fields import (
    Check,
    FieldError,
    Fields,
    choice,
    flag,
    integer,
    list_of,
    mapping,
    name,
    nullable,
    number,
    record,
    text,
    tuple_of,
)
from gradcam_cli.pipeline.json_lines import FIELDS, METADATA_FIELDS, PREDICTIONS, SUMMARY_FIELDS, Record
from gradcam_cli.pipeline.truth import STATES, TRUTH
from gradcam_cli.reporting.levels import LEVELS
from gradcam_cli.reporting.sheets import PROFILES, SHEETS
from gradcam_cli.reporting.signal_lines import SIGNAL

MAX_CURVE_POINTS = 10_000
RESULT_STATUSES = ("ok", "failed", "skipped", "unmatched")
"""Statuses of the records that belong to an input."""


class Shape(NamedTuple):
    """A kind of record: the kinds of its values, and the keys that it must have; unknown keys are removed."""

    fields: Fields
    required: tuple[str, ...] = ()


_SUMMARY = record(SUMMARY_FIELDS)
_SIZE = nullable(list_of(integer(1), 1, 3))
_PATH = nullable(text())
_IMAGES: Fields = {"size": _SIZE, "image": _PATH, "thumbnail": _PATH}
_DRAWN: Fields = {"map_image": _PATH, "figure": _PATH, "levels": LEVELS, "profiles": PROFILES}
_MAP_OF_RUN = record({**METADATA_FIELDS, **_DRAWN, "thumbnail": _PATH, "map": _SUMMARY})
_REPORT = nullable(
    record(
        {
            **_IMAGES,
            **_DRAWN,
            "sheets": SHEETS,
            "signal": SIGNAL,
            "map_images": list_of(_PATH),
            "all_levels": list_of(LEVELS),
            "figures": list_of(_PATH),
            "all_profiles": list_of(PROFILES),
            "maps": list_of(_SUMMARY),
            "files": mapping(text()),
            "map": _SUMMARY,
            "predictions": PREDICTIONS,
            "before": _MAP_OF_RUN,
            "after": _MAP_OF_RUN,
        }
    )
)
_VERSION: Fields = {"schema_version": FIELDS["schema_version"], "versions": FIELDS["versions"]}
_CLASS = record({"index": nullable(integer()), "name": nullable(name)}, ("index", "name"))
_MEASURE = number(-1e6, 1e6)
_METRICS = choice(METRICS)
_DEPTH = record(
    {"t": number(), "adjoint_norm": number(), "head_probability": nullable(number()), **SUMMARY_FIELDS},
    ("t", "adjoint_norm"),
)

_TILE = record(
    {
        "photo": text(),
        "class_index": integer(),
        "class_name": nullable(name),
        "rank": nullable(integer(1)),
        "metrics": mapping(nullable(number()), _METRICS),
    },
    ("photo", "class_index", "rank"),
)

EXPLANATION = Shape({**FIELDS, "tol": number(), "report": _REPORT}, ("input",))
DEPTHS = Shape({**EXPLANATION.fields, "depths": list_of(_DEPTH)}, ("input", "depths"))
EVALUATION = Shape(
    {
        **_VERSION,
        **METADATA_FIELDS,
        "status": text(),
        "relu": flag,
        "baseline": flag,
        "metrics": mapping(nullable(number()), _METRICS),
        "curves": mapping(list_of(number(), 2, MAX_CURVE_POINTS), _METRICS),
        "report": _REPORT,
        "class_index": nullable(integer()),
        "tiles": nullable(list_of(_TILE, 2, 8)),
    },
    ("input", "layer", "method", "baseline", "metrics", "curves"),
)
COMPARISON = Shape(
    {
        **_VERSION,
        "status": text(),
        "name": text(),
        "input": text(),
        "class_before": _CLASS,
        "class_after": _CLASS,
        **dict.fromkeys(("rank", "ssim", "top_iou", "peak_shift"), _MEASURE),
        **dict.fromkeys(("truth_before", "truth_after"), nullable(TRUTH)),
        "correctness": choice(CORRECTNESS),
        "report": _REPORT,
    },
    ("name", "input", "class_before", "class_after", "rank", "ssim", "top_iou", "peak_shift"),
)
NOT_COMPARED = Shape(
    {**_VERSION, "status": text(), "name": text(), "error": FIELDS["error"], "hint": FIELDS["hint"]}, ("name",)
)
SHAPES = {
    "run_start": Shape(
        {
            **_VERSION,
            "status": text(),
            "command": name,
            "command_line": text(),
            "rerun_args": list_of(text()),
            "inputs": nullable(integer()),
            "cmap": nullable(name),
            "blend": nullable(choice(BLENDS)),
            "only": nullable(choice(STATES)),
            "seed": nullable(integer()),
            "thresholds": list_of(tuple_of(choice([*METRICS, *DRIFTS, BROKEN]), choice(("min", "max")), number())),
            "start": text(100),
        }
    ),
    "run_end": Shape(
        {
            **_VERSION,
            "status": text(),
            "threshold_results": mapping(nullable(text())),
            "seconds": number(0, 1e10),
            "stop_reason": nullable(text()),
        }
    ),
    "ok": EXPLANATION,
    "failed": EXPLANATION,
    "skipped": EXPLANATION,
    "unmatched": NOT_COMPARED,
    "sanity": Shape(
        {
            **_VERSION,
            "status": text(),
            **dict.fromkeys(("last_randomized_layer", "layer", "method"), name),
            "all_downstream_randomized": flag,
            **dict.fromkeys(("rank", "ssim"), _MEASURE),
        },
        ("last_randomized_layer", "all_downstream_randomized", "layer", "method", "rank", "ssim"),
    ),
    "summary": Shape({**_VERSION, "status": text()}),
}
"""The kinds of records, by status."""
VARIANTS = {("ok", "class_before"): COMPARISON, ("ok", "curves"): EVALUATION, ("ok", "depths"): DEPTHS}
"""Kinds of results that a key distinguishes from an explanation."""


def check_record(value: Any) -> Record:
    """Return a record without unknown keys.

    Raises:
        FieldError: it is no object, has an unknown status, or a value of another kind.
    """
    if not isinstance(value, dict):
        raise FieldError("a JSON object", value)
    shape = _shape(value)
    valid: Record = record(shape.fields, ("status", *shape.required))(value)
    return valid


def _shape(value: Record) -> Shape:
    status: str = record_status(value.get("status"))
    if status == "failed" and "input" not in value:
        return NOT_COMPARED
    return next((shape for (kind, key), shape in VARIANTS.items() if kind == status and key in value), SHAPES[status])


record_status: Check = choice(SHAPES)
