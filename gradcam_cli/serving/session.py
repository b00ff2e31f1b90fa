"""The models and images of a server, and the computations of its requests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.images.axes import INPUTS_OF_RANK
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.space import RANKS
from gradcam_cli.models.catalog import is_model_path
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.labels import normalize_name
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.pipeline.prediction import prediction_of
from gradcam_cli.pipeline.reading import read_options_of
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.reporting.rerun import escape_for_display
from gradcam_cli.serving.answers import (
    depth_command,
    explain_command,
    input_answer,
    prediction_answer,
)
from gradcam_cli.serving.byte_cache import ByteCache
from gradcam_cli.serving.image_store import ImageStore
from gradcam_cli.serving.requests import MapRequest
from gradcam_cli.serving.served_map import ServedMap
from gradcam_cli.serving.served_model import MAX_KEPT_BYTES, KeptImage, ServedModel

MAX_MAPS_BYTES = 1 << 28
"""Maps of signals, volumes and films that were computed last; answers for their slices need no network."""


class UnknownModel(Exception):  # noqa: N818  # an answer to the client
    """No model has this id."""


class Session:
    """What a server serves. All methods run in the thread of its `Worker`.

    Args:
        models: the models to load; one that is given twice is loaded once.
        settings: of all maps.
        rerun_args: the options of the command line that all maps require, besides `--model`.
        directory: of the images, or None.
        max_pixels: larger images are refused.

    Attributes:
        rank: number of spatial axes of the inputs of all models.

    Raises:
        UsageError: the models take inputs of several kinds, or a setting is not for these inputs.
        ModelError, WeightsError: a model cannot be loaded.
    """

    def __init__(
        self,
        models: Sequence[ModelConfig],
        settings: ExplainConfig,
        rerun_args: Sequence[str] = (),
        directory: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.kept: ByteCache[KeptImage] = ByteCache(MAX_KEPT_BYTES)
        self.models = {
            f"m{number}": ServedModel(f"m{number}", config, settings, ["--model", config.model, *rerun_args], self.kept)
            for number, config in enumerate({_file_of(config): config for config in models}.values())
        }
        classifiers = [each.classifier for each in self.models.values()]
        self.rank = _common_rank(classifiers)
        arrays = settings.rgb is not None or any(each.input_shape[-1] not in (1, 3) for each in classifiers)
        self.images = ImageStore(directory, read_options_of(settings, self.rank, max_pixels), arrays=arrays)
        self._maps: ByteCache[ServedMap] = ByteCache(MAX_MAPS_BYTES)

    def model(self, model_id: str) -> ServedModel:
        """Return a model by its id.

        Raises:
            UnknownModel: there is none.
        """
        if model_id not in self.models:
            raise UnknownModel
        return self.models[model_id]

    def explain(self, request: MapRequest) -> Explanation:
        """Return a map.

        Raises:
            UnknownImage, UnknownModel: an id does not exist.
            GradcamError: the map cannot be computed.
        """
        return self._map(request).explanation

    def kept_map(self, request: MapRequest) -> ServedMap | None:
        """Return a map that was computed before, or None; any thread may call it."""
        return self._maps.get(_without_place(request))

    def _map(self, request: MapRequest) -> ServedMap:
        if found := self.kept_map(request):
            return found
        start = time.perf_counter()
        explanation = self.model(request.model).explain(request, self._loader(request.image))
        milliseconds = 1000 * (time.perf_counter() - start)
        computed = ServedMap(explanation, self.command(request, explanation), milliseconds)
        if self.rank == RANKS["image"]:
            return computed
        return self._maps.put(_without_place(request), computed, computed.nbytes)

    def _loader(self, image_id: str) -> Callable[[], LoadedImage]:
        return partial(self.images.load, self.images.find(image_id))

    def map(self, request: MapRequest) -> dict[str, Any]:
        """Return the answer for a map; the errors are those of `explain`."""
        return self._map(request).answer(request.axis, request.slice)

    def command(self, request: MapRequest, explanation: Explanation) -> list[str]:
        """Return the command that writes a map."""
        model = self.model(request.model)
        if request.t is not None and model.depth_maps:
            return depth_command(explanation, model.depth_maps.nearest(request.t), model.rerun_args)
        return explain_command(explanation, self.rerun_args(request))

    def rerun_args(self, request: MapRequest) -> list[str]:
        """Return the options of the command line that a map requires, besides its layer, method and class."""
        contrast = ["--against", request.against] if request.against else []
        negated = ["--counterfactual"] if request.counterfactual else []
        return [*self.model(request.model).rerun_args, *contrast, *negated]

    def predictions(self, model_id: str, image_id: str, top: int) -> dict[str, Any]:
        """Return the classes of an image with the largest scores, and what the model sees of it."""
        model, stored = self.model(model_id), self.images.find(image_id)
        kept = model.keep(image_id, partial(self.images.load, stored))
        result, labels, score = kept.result, model.classifier.labels, model.settings.score
        ranked = np.argsort(-result.ranked_by[0], kind="stable")[:top]
        image, windows = input_answer(kept.model_input.image), len(kept.model_input.windows)
        return {
            "image": {
                "id": stored.id,
                "name": stored.name,
                **image,
                "crop": list(kept.model_input.crop_box),
                **({"windows": windows} if windows else {}),
            },
            "predictions": [prediction_answer(prediction_of(result, 0, labels, score, int(i))) for i in ranked],
        }

    def classes(self, model_id: str, query: str, limit: int) -> dict[str, Any]:
        """Return the classes of a model whose name or index contains a text."""
        names = self._class_names(model_id)
        text = normalize_name(query)
        found = [(i, name) for i, (name, plain) in enumerate(names) if text in plain or query.strip() == str(i)]
        found.sort(key=lambda each: (query.strip() != str(each[0]), not names[each[0]][1].startswith(text)))
        return {"classes": [{"index": i, "name": name} for i, name in found[:limit]], "total": len(found)}

    def _class_names(self, model_id: str) -> list[tuple[str, str]]:
        return self._names[self.model(model_id).id]

    @cached_property
    def _names(self) -> dict[str, list[tuple[str, str]]]:
        names = {}
        for model_id, model in self.models.items():
            labels, count = model.classifier.labels, model.classifier.class_count
            texts = [labels.name(i) or str(i) for i in range(count)]
            names[model_id] = [(escape_for_display(text), normalize_name(text)) for text in texts]
        return names


def _common_rank(classifiers: Sequence[Classifier]) -> int:
    """Return the number of spatial axes of the inputs of all models."""
    names = {each.rank: each.name for each in classifiers}
    if len(names) > 1:
        kinds = ", ".join(f"{INPUTS_OF_RANK[rank]} ({name})" for rank, name in names.items())
        hint = "start a server for each kind"
        raise UsageError(f"expected models of one kind of inputs, got models of {kinds}", hint)
    return classifiers[0].rank


def _without_place(request: MapRequest) -> MapRequest:
    return replace(request, axis=0, slice=None)


def _file_of(config: ModelConfig) -> str:
    """Return what identifies a model: the path of its file without links, or its name."""
    return os.path.realpath(config.model) if is_model_path(config.model) else config.model
