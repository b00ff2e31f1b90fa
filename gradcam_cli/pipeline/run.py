"""A prepared run: model loaded, layers and classes resolved, network compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial

import numpy as np

from gradcam_cli.console import Announcement, log
from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box, part_of_box
from gradcam_cli.images.fit import resolved_fit
from gradcam_cli.methods import registry
from gradcam_cli.models.class_selection import TRUE_CLASS, ClassSelector, groups_of, number_groups, resolve_classes
from gradcam_cli.models.classifier import Classifier, load_model
from gradcam_cli.network.attention_scorer import ModelAttention
from gradcam_cli.network.batch_size import default_batch_size
from gradcam_cli.network.contrast import Contrast
from gradcam_cli.network.gradients import ForwardBackward, GradientFunction
from gradcam_cli.network.grid import Grid
from gradcam_cli.network.layer_trace import LayerOutput
from gradcam_cli.network.precision import resolve_precision
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.network.trace_cache import trace_cache
from gradcam_cli.pipeline.announcement import announce, describe_choices
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig, RunSettings, check_choice, check_settings
from gradcam_cli.pipeline.contrast import check_contrast, contrast_selectors, find_contrast
from gradcam_cli.pipeline.method_checks import check_methods, trace_methods
from gradcam_cli.pipeline.results import ModelInfo
from gradcam_cli.pipeline.targets import classifier_for_target, classifier_with_groups
from gradcam_cli.pipeline.truth import TrueClass, find_true_class, require_classes


@dataclass(frozen=True)
class PreparedRun:
    """A classifier and a configuration with layers and classes resolved and the network compiled."""

    classifier: Classifier
    config: ExplainConfig
    layers: dict[str, str]  # path -> as requested
    classes: list[ClassSelector]
    batch_size: int
    precision: str
    gradient_function: GradientFunction
    scorers: list[ModelScorer]  # one per layer
    layer_outputs: list[LayerOutput]  # one per layer
    against: Sequence[ClassSelector] = ()  # the contrasted classes

    def forward_backward(
        self, x: np.ndarray, classes: np.ndarray, against: np.ndarray | None = None
    ) -> ForwardBackward:
        """Run the network on a batch.

        Args:
            x: (n, h, w, c), the preprocessed batch.
            classes: (n, C) int32, class selectors.
            against: (n, C, T), the contrasted classes; None: those of the run.
        """
        if not self.against:
            return self.gradient_function(x, classes)
        selectors = contrast_selectors(self.against, classes.shape) if against is None else against
        return self.gradient_function(x, classes, Contrast(selectors, self.config.gamma))

    @cached_property
    def baseline_input(self) -> np.ndarray:
        """A black image, or values of zero, preprocessed: (h, w, c) float32, or of the other shape of the model."""
        black: np.ndarray = self.classifier.preprocess(np.zeros((1, *self.classifier.input_shape), np.uint8))[0]
        return black

    @cached_property
    def maps(self) -> list[tuple[int, str, int]]:
        """(index of the layer, method, index of the class) of every map of an image."""
        return registry.map_keys(range(len(self.layers)), self.config.methods, range(len(self.classes)))

    def true_class(self, image: str) -> TrueClass | None:
        """Return the true class of an image, by its name; None for a run without true classes."""
        return self._true_class_of(self.config.truth.label(image)) if self.config.truth else None

    @cached_property
    def _true_class_of(self) -> Callable[[str | None], TrueClass]:
        expected = self.config.truth is not None and self.config.truth.expected is not None
        return cache(partial(find_true_class, classifier=self.classifier, expected=expected))

    def class_selectors(self, true_class: TrueClass | None = None) -> tuple[int, ...]:
        """Return an image's class indices and -r for ranks r; the first rank takes the place of an unknown class."""
        index = -1 if true_class is None or true_class.index is None else true_class.index
        selectors = (selector.index_or_rank for selector in self.classes)
        return tuple(index if selector == TRUE_CLASS else selector for selector in selectors)

    def covered_boxes(self, layer: int, method: str, crop_box: Box) -> tuple[Box, Box]:
        """Return the parts of the image and of the model input that the cells of a map cover.

        Args:
            layer: index of the layer.
            method: name of the method.
            crop_box: the part of the image that the model input shows.
        """
        shape = self.classifier.input_shape[:-1]
        grid, whole = self._grid(layer, method), Box.whole(shape)
        if grid is None:
            return crop_box, whole
        image_part, input_part = (part_of_box(box, grid.edges, shape) for box in (crop_box, whole))
        return image_part, input_part

    @cached_property
    def input_parts(self) -> list[Box]:
        """The part of the model input that the cells of each layer cover."""
        shape = self.classifier.input_shape[:-1]
        grids = (output.grid for output in self.layer_outputs)
        return [part_of_box(Box.whole(shape), grid.edges, shape) if grid else Box.whole(shape) for grid in grids]

    def _grid(self, layer: int, method: str) -> Grid | None:
        """Return the arrangement of the cells of a map; None if they are the pixels of the model input."""
        if registry.METHODS[method].kind == "attention":
            return self.attention.grid(method)
        return self.layer_outputs[layer].grid if registry.METHODS[method].uses_layer else None

    @cached_property
    def attention(self) -> ModelAttention:
        """The attention maps of the model; methods of the kind `attention` require that it has them."""
        return self.classifier.traced.attention(self.config.score, self.precision)

    def scorer(self, layer: int, method: str) -> ModelScorer | ModelAttention:
        """Return what a `MULTI_PASS` method runs the model with."""
        return self.attention if registry.METHODS[method].kind == "attention" else self.scorers[layer]

    @cached_property
    def model(self) -> ModelInfo:
        """The model, as records name it."""
        classifier = self.classifier
        return ModelInfo(classifier.name, classifier.weights, classifier.weights_hash, classifier.preprocess_choice)

    @cached_property
    def announcement(self) -> Announcement:
        """What was chosen for the model, and why."""
        return describe_choices(self.classifier, zip(self.layers.values(), self.layer_outputs, strict=True))

    @cached_property
    def settings(self) -> RunSettings:
        """The settings of the run, with the precision and the batch size that are used."""
        requested = self.config.values()
        return RunSettings(**{**requested, "precision": self.precision, "batch_size": self.batch_size})

    def settings_for(self, kind: str) -> RunSettings:
        """Return the settings of an input of a kind: with the fit that `auto` stands for."""
        fit = resolved_fit(self.settings.fit, len(self.classifier.input_shape) - 1, kind)
        return self.settings if fit == self.settings.fit else replace(self.settings, fit=fit)


def load(config: ModelConfig) -> Classifier:
    """Load a model.

    Raises:
        ModelError, WeightsError, UsageError: as `load_model`.
    """
    return load_model(**asdict(config))


def prepare_run(classifier: Classifier, config: ExplainConfig, *, announced: bool = True) -> PreparedRun:
    """Check a configuration against a classifier, before the first image is read, and announce what was chosen.

    Args:
        classifier: the model.
        config: the maps to compute.
        announced: whether the choices are logged.

    Raises:
        UsageError: the model has no such layer or class, or the machine does not support the precision.
        ModelError: no layer has spatial output, the model does not expose the logit, or a method does not support it.
    """
    check_settings(config)
    config = replace(config, fit=resolved_fit(config.fit, len(classifier.input_shape) - 1))
    trace_cache(classifier.model).drop_stale(classifier.model)
    classifier = classifier_for_target(classifier, config)
    for method in config.methods:
        check_choice("method", method, registry.LAYER_METHODS)
    for layer in config.layers:
        if not isinstance(layer, str):
            raise UsageError(f"layer: expected the path of a layer or 'auto', got {layer!r}")
    if config.counterfactual:
        registry.require_negatable(config.methods, "--counterfactual")
    check_contrast(config)
    has_truth = config.truth is not None
    classes = resolve_classes(config.classes, classifier.labels, classifier.class_count, has_truth=has_truth)
    against = find_contrast(config, classifier, classes)
    if groups := groups_of([*classes, *against]):
        classes, against = (number_groups(each, groups, classifier.class_count) for each in (classes, against))
        classifier = classifier_with_groups(classifier, config, groups)
    layers: dict[str, str] = {}
    outputs: dict[str, LayerOutput] = {}
    for requested in config.layers:
        output = classifier.find_layer(requested)
        layers.setdefault(output.path, requested)
        outputs[output.path] = output
    check_methods(config.methods, list(outputs.values()), classifier.layer_outputs, classifier.target)
    if config.aug_smooth:
        _require_symmetric(outputs.values(), classifier.input_shape)
    require_classes(config, classifier)
    precision = resolve_precision(config.precision)
    batch_size = config.batch_size or default_batch_size(classifier.model, classifier.input_shape)
    network = classifier.traced.gradient_function(tuple(outputs.values()), config.score, precision)
    for method in set(config.methods) & set(registry.names_of_kind(*registry.MULTI_PASS)) if announced else ():
        log.info("%s: %s, for each image and class", method, registry.METHODS[method].cost)
    scorers = [classifier.traced.scorer(output, config.score, precision, batch_size) for output in outputs.values()]
    run = PreparedRun(
        classifier, config, layers, classes, batch_size, precision, network, scorers, list(outputs.values()), against
    )
    trace_methods(config.methods, scorers[0], lambda: run.attention, classifier.input_shape)
    if announced:
        announce(classifier, run.announcement)
    return run


def _require_symmetric(outputs: Iterable[LayerOutput], input_shape: tuple[int, ...]) -> None:
    """Check that mirrored images have mirrored maps: no layer may cover more of one side of the image."""
    if len(input_shape) != 3:
        raise UsageError(f"--aug-smooth: expected a model of images, got one of inputs {input_shape}")
    width = input_shape[1]
    for output in outputs:
        if output.grid and abs(sum(output.grid.edges[-1]) - width) > 1:
            raise UsageError(f"--aug-smooth: layer {output.path} covers the model input asymmetrically")
