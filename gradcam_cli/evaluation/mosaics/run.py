"""One evaluation on mosaics: photos in, metrics of the maps of their mosaics out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gradcam_cli.console import log
from gradcam_cli.evaluation.evaluate import Draw
from gradcam_cli.evaluation.metrics.mosaic import SIDE, TILES
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.mosaics.config import MosaicConfig
from gradcam_cli.evaluation.mosaics.evaluator import MosaicEvaluator, Show
from gradcam_cli.evaluation.mosaics.layout import Mosaic, draw_mosaics, require_four_classes
from gradcam_cli.evaluation.mosaics.photos import SurePhotos
from gradcam_cli.evaluation.mosaics.prepare import prepare_mosaics
from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import PreparedRun


@dataclass
class MosaicRun:
    """An evaluation on mosaics that is ready to run.

    Attributes:
        run: the maps of the mosaics.
        config: which mosaics are made.
        metrics: the requested metrics.
        found: the photos.
        mosaics: the mosaics, after `find`.
    """

    run: PreparedRun
    config: MosaicConfig
    metrics: Sequence[str]
    found: SurePhotos
    mosaics: list[Mosaic] = field(default_factory=list)

    @classmethod
    def prepare(
        cls, photo_run: PreparedRun, explain: ExplainConfig, config: MosaicConfig, metrics: Sequence[str]
    ) -> MosaicRun:
        """Prepare the maps of mosaics.

        Args:
            photo_run: a run of the model for single photos.
            explain: layers, methods and settings of the maps.
            config: which mosaics are made.
            metrics: the requested metrics.

        Raises:
            UsageError: as `prepare_mosaics`.
        """
        run = prepare_mosaics(photo_run.classifier, explain, metrics)
        found = SurePhotos(photo_run, config.probability, TILES * config.count, config.seed)
        return cls(run, config, metrics, found)

    def find(self, images: Iterable[LoadedImage | Unexplained]) -> Iterator[None]:
        """Read the photos and draw the mosaics; yield after each photo.

        Raises:
            InputError: too few photos have a class of the required probability.
        """
        yield from self.found.read(images)
        require_four_classes(self.found, self.config.probability)
        self.mosaics = draw_mosaics(self.found.photos, self.config.count, self.config.seed)
        h, w, _ = self.run.classifier.input_shape
        log.info(
            "mosaics: %d of %d photos have a class of probability %g or more; each tile has %dx%d pixels",
            self.found.num_sure,
            self.found.num_read,
            self.config.probability,
            w // SIDE,
            h // SIDE,
        )

    def evaluate(self, show: Show | None = None, draw: Draw | None = None) -> Iterator[list[MetricRow] | Unexplained]:
        """Yield the metrics of all maps of each mosaic.

        Args:
            show: receives the maps of each mosaic for a picture, or None.
            draw: draws the maps of the first mosaics for a report, or None.
        """
        yield from MosaicEvaluator(self.run, self.metrics, show, draw).evaluate(self.mosaics)
