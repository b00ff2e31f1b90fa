"""One evaluation on mosaics: inputs in, metrics of the maps of their mosaics out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gradcam_cli.console import log
from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.evaluate import Draw
from gradcam_cli.evaluation.metrics.mosaic import SIDE, tile_places
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.mosaics.config import MosaicConfig
from gradcam_cli.evaluation.mosaics.evaluator import MosaicEvaluator, Show
from gradcam_cli.evaluation.mosaics.layout import Mosaic, draw_mosaics, require_classes
from gradcam_cli.evaluation.mosaics.prepare import prepare_mosaics
from gradcam_cli.evaluation.mosaics.sure_inputs import SureInputs
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
        found: the inputs.
        mosaics: the mosaics, after `find`.
    """

    run: PreparedRun
    config: MosaicConfig
    metrics: Sequence[str]
    found: SureInputs
    mosaics: list[Mosaic] = field(default_factory=list)

    @classmethod
    def prepare(
        cls, single_run: PreparedRun, explain: ExplainConfig, config: MosaicConfig, metrics: Sequence[str]
    ) -> MosaicRun:
        """Prepare the maps of mosaics.

        Args:
            single_run: a run of the model for single inputs.
            explain: layers, methods and settings of the maps.
            config: which mosaics are made.
            metrics: the requested metrics.

        Raises:
            UsageError: as `prepare_mosaics`.
        """
        run = prepare_mosaics(single_run.classifier, explain, metrics)
        limit = len(tile_places(run.classifier.rank)) * config.count
        return cls(run, config, metrics, SureInputs(single_run, config.probability, limit, config.seed))

    def find(self, images: Iterable[LoadedImage | Unexplained]) -> Iterator[None]:
        """Read the inputs and draw the mosaics; yield after each input.

        Raises:
            InputError: too few inputs have a class of the required probability, or the frames of a film cannot be
                halved.
        """
        yield from self.found.read(images)
        shape, probability = self.run.classifier.spatial_shape, self.config.probability
        tiles = len(tile_places(len(shape)))
        require_classes(self.found, tiles, probability)
        if self.found.kept[0].decoded.space.kind == "film" and shape[0] % SIDE:  # frames are not blended
            raise InputError(f"mosaics of films require a model of an even number of frames, got {shape[0]}")
        self.mosaics = draw_mosaics(self.found.kept, tiles, self.config.count, self.config.seed)
        log.info(
            "mosaics: %d of %d inputs have a class of probability %g or more; a tile has the size %s",
            self.found.num_sure,
            self.found.num_read,
            probability,
            "x".join(str(side // SIDE) for side in reversed(shape)),
        )

    def evaluate(self, show: Show | None = None, draw: Draw | None = None) -> Iterator[list[MetricRow] | Unexplained]:
        """Yield the metrics of all maps of each mosaic.

        Args:
            show: receives the maps of each mosaic for a picture, or None.
            draw: draws the maps of the first mosaics for a report, or None.
        """
        yield from MosaicEvaluator(self.run, self.metrics, show, draw).evaluate(self.mosaics)
