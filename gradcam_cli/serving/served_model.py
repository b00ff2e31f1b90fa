"""A model of a server: what the page lists about it, and the passes of the images that were explained last."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from gradcam_cli.errors import GradcamError, InputError, ModelError, UsageError
from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.methods import registry
from gradcam_cli.models.class_selection import groups_of, resolve_classes
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.network.layer_choice import layers_of_sizes
from gradcam_cli.network.layer_trace import LayerOutput
from gradcam_cli.network.precision import resolve_precision
from gradcam_cli.network.split_network import KeptPass, SplitNetwork
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.pipeline.model_input import ModelInput, to_model_input
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun, load, prepare_run
from gradcam_cli.pipeline.stages import ForwardResult, make_explanations, run_batches
from gradcam_cli.serving.byte_cache import ByteCache
from gradcam_cli.serving.depth_maps import DepthMaps, find_depth_maps
from gradcam_cli.serving.requests import MapRequest

MAX_KEPT_BYTES = 1 << 30
"""Activations of the images that were explained last."""
MAX_RUNS = 128
NUM_STRIP_LAYERS = 12


@dataclass(frozen=True)
class KeptImage:
    """An input fitted to a model, with its scores, and with its forward pass if one model input shows all of it."""

    model_input: ModelInput
    result: ForwardBackward
    forward: KeptPass | None = None

    @property
    def nbytes(self) -> int:
        """Size of the kept arrays in bytes."""
        passed = self.forward.nbytes if self.forward else 0
        return passed + self.model_input.pixels.nbytes + 3 * math.prod(self.model_input.image.shape)


class ServedModel:
    """A loaded model. All methods run in the one thread of the server's `Worker`.

    Args:
        model_id: names it in requests.
        config: how it is loaded.
        settings: of all maps.
        rerun_args: the options of the command line that a map of this model requires.
        kept: the images whose passes are kept, of all models of the server.

    Raises:
        ModelError, WeightsError, UsageError: the model cannot be loaded, or has no class scores.
    """

    def __init__(
        self,
        model_id: str,
        config: ModelConfig,
        settings: ExplainConfig,
        rerun_args: Sequence[str],
        kept: ByteCache[KeptImage],
    ) -> None:
        self.id, self.config, self.rerun_args = model_id, config, tuple(rerun_args)
        self.classifier: Classifier = load(config)
        self.settings, self._kept = settings, kept
        self._runs: dict[str, PreparedRun] = {}
        self.default_layer = self.classifier.find_layer("auto")
        self._network = self._split()

    @cached_property
    def layers(self) -> dict[str, LayerOutput]:
        """The layers that can be explained, by path, in the order of their calls."""
        check = self.classifier.check_layer
        usable = (each for each in self.classifier.layer_outputs if each.affects_score and not each.reason)
        return {each.path: each for each in usable if check(each) is None}

    @cached_property
    def methods(self) -> dict[str, registry.Method]:
        """The methods that the model supports, by name."""
        names = [*registry.LAYER_METHODS, *(["flow"] if self.depth_maps else [])]
        return {name: registry.METHODS[name] for name in names if self._supports(name)}

    @cached_property
    def depth_maps(self) -> DepthMaps | None:
        """The maps along the depth t of an ODE, or None for a model without one."""
        return find_depth_maps(self.classifier, self.settings)

    @cached_property
    def strip(self) -> list[LayerOutput]:
        """The layers that the page shows along the depth: at most twelve, from the input to the output."""
        layers = list(self.layers.values())
        count = min(NUM_STRIP_LAYERS, len(layers))
        chosen = {round((i + 1) * len(layers) / count) - 1: None for i in range(count)}
        return [layers[i] for i in chosen]

    def _split(self) -> SplitNetwork:
        classifier, settings = self.classifier, self.settings
        layers = {**self.layers, self.default_layer.path: self.default_layer}
        return SplitNetwork(
            classifier.model,
            classifier.input_shape,
            classifier.class_count,
            list(layers.values()),
            settings.score,
            resolve_precision(settings.precision),
            classifier.task,
        )

    @property
    def shown_first(self) -> list[str]:
        """The layers that the page shows first: the default layer, then the strip from the output to the input."""
        return list(dict.fromkeys(each.path for each in (self.default_layer, *reversed(self.strip))))

    def prepare(self, path: str) -> None:
        """Run the part of the network behind a layer once, with a black image: its first use takes longer."""
        self._network.gradients(self._black, [path], np.zeros((1, 1), np.int32))
        if path == self.shown_first[-1]:
            del self._black

    @cached_property
    def _black(self) -> KeptPass:
        return self._network.forward(self.classifier.preprocess(np.zeros((1, *self.classifier.input_shape), np.uint8)))

    def keep(self, image_id: str, load: Callable[[], LoadedImage]) -> KeptImage:
        """Return an image with its forward pass; it is run once, until it is dropped.

        Args:
            image_id: names it.
            load: returns it; called if it is not kept.

        Raises:
            InputError: the image does not fit the model.
        """
        key = self.classifier.name, self.id, image_id
        if found := self._kept.get(key):
            return found
        run = self._prepared(self.settings)
        model_input = to_model_input(run, load())
        if isinstance(model_input, Unexplained):
            raise InputError(f"{model_input.source}: {model_input.error}", model_input.hint)
        if model_input.windows:
            kept = KeptImage(model_input, _passed(run, model_input).batch_result)
        else:
            forward = self._network.forward(self.classifier.preprocess(model_input.pixels[None]))
            kept = KeptImage(model_input, forward.result(), forward)
        return self._kept.put(key, kept, kept.nbytes)

    def explain(self, request: MapRequest, load: Callable[[], LoadedImage]) -> Explanation:
        """Return a map of an image, that of `gradcam`; the arguments are those of `keep`.

        Raises:
            GradcamError: the model has no such layer or class, or the method does not support them.
        """
        if request.t is not None:
            if self.depth_maps is None:
                raise ModelError("the model has no ODEBlock: expected no depth t")
            return self.depth_maps.explain(request, load())
        kept = self.keep(request.image, load)
        run = self._run_of(request)
        if kept.forward:
            gradients = partial(self._network.gradients, kept.forward, [each.path for each in run.layer_outputs])
            run = replace(run, gradient_function=lambda _x, *arguments: gradients(*arguments))
        model_input = kept.model_input._replace(classes=run.class_selectors())
        explanation = first_explanation(run, model_input)
        self._kept.put((self.classifier.name, self.id, request.image), kept, kept.nbytes)  # it may have grown
        return explanation

    def _run_of(self, request: MapRequest) -> PreparedRun:
        """Return the run of one map; without a contrast, it is that of another class with the other class."""
        config, class_ = self._config_of(request), (request.class_,)
        if config.against:
            return _single(self._prepared(replace(config, classes=class_)))
        run = self._prepared(config)
        classes = resolve_classes(class_, self.classifier.labels, self.classifier.class_count)
        return _single(replace(run, config=replace(config, classes=class_), classes=classes))

    def _config_of(self, request: MapRequest) -> ExplainConfig:
        uses_layer = registry.METHODS[request.method].uses_layer
        layers: tuple[str, ...] = ((request.layer if uses_layer else None) or self.default_layer.path,)
        if registry.METHODS[request.method].kind == "layers":
            last = self.classifier.find_layer(layers[0])
            layers = tuple(each.path for each in layers_of_sizes(self.classifier.layer_outputs, last)) or layers
        return replace(
            self.settings,
            layers=layers,
            methods=(request.method,),
            against=(request.against,) if request.against else (),
            counterfactual=request.counterfactual,
        )

    def _prepared(self, config: ExplainConfig) -> PreparedRun:
        """Return the prepared run of a configuration; the last ones are kept."""
        key = repr(config)
        if key not in self._runs:
            self._runs[key] = prepare_run(self.classifier, config, announced=config == self.settings)
            if len(self._runs) > MAX_RUNS:
                del self._runs[next(iter(self._runs))]
        return self._runs[key]

    def _supports(self, method: str) -> bool:
        if registry.METHODS[method].kind == "layers":
            return bool(layers_of_sizes(self.classifier.layer_outputs, self.default_layer))
        if registry.METHODS[method].kind != "attention":
            return True
        try:
            self.classifier.traced.attention(self.settings.score, "float32").grid(method)
        except GradcamError:
            return False
        return True


def _single(run: PreparedRun) -> PreparedRun:
    """Check that a run is that of one class, and not of a group."""
    if len(run.classes) > 1 or groups_of([*run.classes, *run.against]):
        raise UsageError(f"class: expected one class, got {run.config.classes[0]!r}")
    return run


def first_explanation(run: PreparedRun, model_input: ModelInput) -> Explanation:
    """Return the first map of a run.

    Raises:
        InputError: the image cannot be explained.
    """
    explained = make_explanations(run, _passed(run, model_input))
    if isinstance(explained, Unexplained):
        raise InputError(explained.error or "no map", explained.hint)
    return explained[0]


def _passed(run: PreparedRun, model_input: ModelInput) -> ForwardResult:
    """Return an input after the pass of a run, or of all of its windows.

    Raises:
        InputError: the input cannot be explained.
    """
    (result,) = run_batches(run, [model_input])
    if isinstance(result, Unexplained):
        raise InputError(result.error or "no map", result.hint)
    return result
