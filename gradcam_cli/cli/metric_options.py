"""Options of `gradcam evaluate` that choose metrics and set their parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gradcam_cli.cli.click_extensions import combine_options, option_group
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.metrics.faithfulness import CURVE_STEPS, DELETION_BASELINES
from gradcam_cli.evaluation.metrics.registry import METRICS, Metric, metric_choices, requested_metrics
from gradcam_cli.evaluation.mosaics.config import MOSAICS, PROBABILITY

_metrics = option_group("Metrics")


def _mark(metric: Metric) -> str:
    kind = "*" if metric.needs_annotations else "#" if metric.uses_mosaics else " "
    return f"{'^' if metric.higher_is_better else 'v'}{kind}{'+' if metric.default else ' '}"


METRICS_HELP = "".join(f"{_mark(metric)} {name:25} {metric.title}\n" for name, metric in METRICS.items())
metric_options = combine_options(
    _metrics(
        "--metric",
        "metrics",
        multiple=True,
        type=click.Choice(metric_choices()),
        metavar="NAME",
        help="Metric to compute, see below, a family such as family:complexity, or all (slow); repeatable. "
        "[default: those marked +]",
    ),
    _metrics(
        "--annotations",
        metavar="FILE|DIR",
        type=click.Path(exists=True, path_type=Path),
        help="Annotated objects: COCO .json, a directory of Pascal VOC .xml, or .csv of path,class,x0,y0,x1,y1; "
        "path,class,x0,x1 for signals; path,class,x0,y0,z0,x1,y1,z1 for volumes and films.",
    ),
    _metrics(
        "--class-map",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Classes of the model for annotated classes: JSON, or .csv of annotated,model.",
    ),
    _metrics(
        "--steps",
        type=click.IntRange(2, 1000),
        default=CURVE_STEPS,
        show_default=True,
        metavar="N",
        help="Steps of deletion and insertion.",
    ),
    _metrics(
        "--deletion-baseline",
        type=click.Choice(list(DELETION_BASELINES)),
        default="blur",
        show_default=True,
        help="Replacement of deleted pixels: blurred, the mean color or that of each channel, or values of 0.",
    ),
    _metrics(
        "--tolerance",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="PIXELS",
        help="Tolerance of pointing-game.",
    ),
    _metrics("--also-without-relu", is_flag=True, help="Also evaluate maps without their ReLU, scaled to 0..1."),
    _metrics(
        "--sanity-check", is_flag=True, help="Randomize the network layer by layer and measure how the maps change."
    ),
    _metrics(
        "--sanity-images",
        type=click.IntRange(1),
        default=12,
        show_default=True,
        metavar="N",
        help="Images of the sanity check.",
    ),
    _metrics("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Random seed."),
    _metrics(
        "--mosaics",
        type=click.IntRange(1),
        default=MOSAICS,
        show_default=True,
        metavar="N",
        help="Mosaics of the metrics marked #.",
    ),
    _metrics(
        "--mosaic-probability",
        type=click.FloatRange(0, 1),
        default=PROBABILITY,
        show_default=True,
        metavar="P",
        help="Inputs of mosaics: the smallest probability of the predicted class.",
    ),
)


def metrics_of(options: dict[str, Any]) -> list[str]:
    """Return the metrics to compute, in the order of the table.

    Raises:
        UsageError: a metric or --class-map requires annotations, or --class belongs to no metric.
    """
    if options["class_map"] and not options["annotations"]:
        raise UsageError("--class-map requires --annotations")
    limited = [limit.metric for limit in (*options["fail_under"], *options["fail_above"])]
    annotated, target_class = options["annotations"] is not None, options["target_class"] or None
    return requested_metrics(options["metrics"], limited, annotated=annotated, target_class=target_class)
