"""The steps of an evaluation: choose the images of mosaics, evaluate images and mosaics, check the sanity of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradcam_cli.console import ShowProgress, no_progress
from gradcam_cli.evaluation.evaluate import Draw
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.mosaics.pictures import MosaicPictures
from gradcam_cli.evaluation.results import EvaluationResults, Record
from gradcam_cli.evaluation.run import EvaluationRun
from gradcam_cli.evaluation.thresholds import MetricThreshold
from gradcam_cli.images.load import Unexplained


def run_evaluation(
    run: EvaluationRun,
    *,
    sanity_check: bool = False,
    thresholds: Sequence[MetricThreshold] = (),
    pictures: MosaicPictures | None = None,
    draw: Draw | None = None,
    show: ShowProgress = no_progress,
    record: Callable[[Sequence[Record]], None] = lambda _: None,
) -> EvaluationResults:
    """Run all steps of an evaluation.

    Args:
        run: the evaluation.
        sanity_check: whether to randomize the network layer by layer, if an image was evaluated.
        thresholds: limits for the metrics.
        pictures: collects the maps of some mosaics, or None.
        draw: draws the maps for a report, or None.
        show: shows the progress.
        record: called with the results of each image, mosaic and step.

    Raises:
        InputError: too few images have a class of the required probability.
    """
    records: list[Record] = []

    def add(*found: Record) -> None:
        records.extend(found)
        record(found)

    def add_image(result: list[MetricRow] | Unexplained) -> None:
        add(*(result if isinstance(result, list) else [result]))

    if run.mosaics:
        with show("choosing images", run.num_images) as advance:
            for _ in run.find_mosaics():
                advance(1)
    with show("evaluating", run.num_steps) as advance:
        for result in run.evaluate(draw):
            add_image(result)
            advance(1)
    if run.mosaics:
        with show("evaluating mosaics", len(run.mosaics.mosaics)) as advance:
            for result in run.mosaics.evaluate(pictures.add if pictures else None, draw):
                add_image(result)
                advance(1)
    if sanity_check and any(isinstance(each, MetricRow) for each in records):
        with show("sanity check", None) as advance:
            for step in run.check_sanity():
                add(step)
                advance(1)
    config = run.config.metrics
    return EvaluationResults(config.metrics, tuple(records), config.seed, thresholds, pictures)
