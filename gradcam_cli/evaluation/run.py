"""One evaluation: a model, images and annotations in, metrics out. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.evaluate import UNIFORM, Draw, EvaluationItem, Evaluator, MetricConfig
from gradcam_cli.evaluation.jobs import plan_tasks
from gradcam_cli.evaluation.metrics.registry import MOSAIC
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep
from gradcam_cli.evaluation.mosaics.config import MosaicConfig
from gradcam_cli.evaluation.mosaics.run import MosaicRun
from gradcam_cli.evaluation.sanity_check import check_sanity
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained, load_image
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import names_of_kind
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.model_input import ModelInput, to_whole_input
from gradcam_cli.pipeline.parallel import available_cpus
from gradcam_cli.pipeline.reading import read_options_of
from gradcam_cli.pipeline.run import PreparedRun, prepare_run

SANITY_IMAGES = 12
"""Default number of images of the sanity check."""
TOP_K = 5
"""Number of predictions that the localization error needs."""


@dataclass(frozen=True)
class EvaluationConfig:
    """What an evaluation computes.

    Attributes:
        metrics: the metrics and their parameters; the seed is also that of the sanity check.
        explain: layers, methods and settings of the maps; its classes are replaced by `target_class`.
        target_class: index, name or `topN`; None for the annotated class, or the first prediction without annotations.
        class_map: file that maps annotated categories to classes of the model, or None.
        max_pixels: larger images fail.
        threads: number of threads, or None for one per core.
        sanity_images: number of images of the sanity check.
        mosaics: which mosaics are made for the metrics that use them.
    """

    metrics: MetricConfig
    explain: ExplainConfig
    target_class: str | None = None
    class_map: Path | None = None
    max_pixels: int = MAX_PIXELS
    threads: int | None = None
    sanity_images: int = SANITY_IMAGES
    mosaics: MosaicConfig = field(default_factory=MosaicConfig)


@dataclass(frozen=True)
class EvaluationRun:
    """An evaluation that is ready to run.

    Attributes:
        classifier: the model.
        config: what is computed.
        run: the maps of all methods and baselines.
        read: returns the images and their classes; they are read again for mosaics and for the sanity check.
        count: number of images and classes, or None if it is not known before they are read.
        images: returns the images for mosaics, without classes.
        num_images: their number, or None.
        mosaics: the evaluation on mosaics, or None.
    """

    classifier: Classifier
    config: EvaluationConfig
    run: PreparedRun
    read: Callable[[], Iterator[EvaluationItem]]
    count: int | None
    images: Callable[[], Iterator[LoadedImage | Failure]]
    num_images: int | None
    mosaics: MosaicRun | None = None

    @property
    def num_steps(self) -> int | None:
        """The number of results of `evaluate`, or None if it is not known."""
        return self.count if uses_images(self.config.metrics.metrics) else 0

    def find_mosaics(self) -> Iterator[None]:
        """Choose the images of the mosaics; yield after each image.

        Raises:
            InputError: too few images have a class of the required probability.
        """
        if self.mosaics:
            yield from self.mosaics.find(self.images())

    def evaluate(self, draw: Draw | None = None) -> Iterator[list[MetricRow] | Unexplained]:
        """Yield the metrics of all maps of each image and class, in order, or the reason why it has none.

        If all metrics are on mosaics, only the images that cannot be used are listed.

        Args:
            draw: draws the maps for a report, or None.
        """
        if self.mosaics and not uses_images(self.config.metrics.metrics):
            yield from self.mosaics.found.failures
            return
        threads = self.config.threads or available_cpus()
        yield from Evaluator(self.run, self.config.metrics, draw).evaluate(self.read(), threads)

    def check_sanity(self) -> Iterator[SanityStep]:
        """Yield the steps of the sanity check of all methods, without the baselines, on the first images."""
        run = prepare_run(self.classifier, replace(self.run.config, methods=self.config.explain.methods))
        yield from check_sanity(run, self._first_inputs(), self.config.metrics.seed)

    def _first_inputs(self) -> list[ModelInput]:
        model_inputs: list[ModelInput] = []
        for item in self.read():
            model_input = to_whole_input(self.run, item.image)
            if isinstance(model_input, ModelInput):
                model_inputs.append(
                    model_input._replace(classes=item.classes[:1] if item.classes else model_input.classes)
                )
            if len(model_inputs) == self.config.sanity_images:
                break
        return model_inputs


def prepare_evaluation(
    classifier: Classifier,
    config: EvaluationConfig,
    sources: Sequence[Source],
    annotations: Sequence[Annotation] | None,
) -> EvaluationRun:
    """Plan the evaluation of files and prepare its maps.

    Args:
        classifier: the model.
        config: what is computed.
        sources: the images.
        annotations: annotated objects, or None.

    Raises:
        InputError: no image has an annotation of a class of the model.
        UsageError: the model has no such layer or class or has further inputs that differ from image to image, or
            several classes are requested.
    """
    tasks = plan_tasks(sources, annotations, classifier, config.target_class, config.class_map)
    run = prepare_maps(classifier, config, annotated=annotations is not None)
    options = read_options_of(config.explain, classifier.rank, config.max_pixels)
    load = partial(load_image, options=options)

    def read() -> Iterator[EvaluationItem]:
        for task in tasks:
            yield EvaluationItem(load(task.source), task.classes, task.annotations)

    def images() -> Iterator[LoadedImage | Failure]:
        return map(load, sources)

    mosaics = prepare_mosaic_run(run, config)
    return EvaluationRun(classifier, config, run, read, len(tasks), images, len(sources), mosaics)


def prepare_images(
    classifier: Classifier,
    config: EvaluationConfig,
    read: Callable[[], Iterator[LoadedImage | Failure]],
    count: int | None,
) -> EvaluationRun:
    """Prepare the evaluation of the images of a Python program.

    Args:
        classifier: the model.
        config: what is computed.
        read: returns the images, also a second time for mosaics and for the sanity check.
        count: their number, or None if it is not known.

    Raises:
        UsageError: as `prepare_evaluation`.
    """
    run = prepare_maps(classifier, config)

    def items() -> Iterator[EvaluationItem]:
        return map(EvaluationItem, read())

    return EvaluationRun(classifier, config, run, items, count, read, count, prepare_mosaic_run(run, config))


def prepare_mosaic_run(run: PreparedRun, config: EvaluationConfig) -> MosaicRun | None:
    """Prepare the evaluation on mosaics; None if no metric uses them.

    Raises:
        UsageError: as `prepare_mosaics`.
    """
    metrics = config.metrics.metrics
    if not set(metrics) & set(MOSAIC):
        return None
    return MosaicRun.prepare(run, config.explain, config.mosaics, metrics)


def uses_images(metrics: Iterable[str]) -> bool:
    """Return whether some of the metrics are on single images."""
    return not set(metrics) <= set(MOSAIC)


def prepare_maps(classifier: Classifier, config: EvaluationConfig, *, annotated: bool = False) -> PreparedRun:
    """Prepare the maps of all methods and baselines of an evaluation.

    Raises:
        UsageError: as `prepare_evaluation`.
    """
    if classifier.rows:
        raise UsageError("--other-inputs: the metrics require the same further inputs for all images")
    baselines = [name for name in names_of_kind("baseline") if name != UNIFORM or annotated]
    methods = list(dict.fromkeys([*config.explain.methods, *baselines]))
    target_class = "top" if annotated else config.target_class or "top"
    explain = replace(config.explain, methods=methods, classes=(target_class,), top_k=TOP_K)
    run = prepare_run(classifier, explain)
    if len(run.classes) > 1:
        raise UsageError(
            f"--class {target_class}: expected one class, got {len(run.classes)}", "use a class name or an index"
        )
    return run
