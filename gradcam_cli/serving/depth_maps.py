"""Maps along the depth t of an ODE, at the depths of a slider; one solve of an image and a class gives all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.methods.registry import DEPTH_METHODS
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.neuralode.explain.depth import parse_depths, prepare_depth_run
from gradcam_cli.neuralode.layers.find_block import find_block
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.pipeline.config import ExplainConfig, check_choice
from gradcam_cli.pipeline.model_input import to_whole_input
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun
from gradcam_cli.pipeline.stages import make_explanations, run_batches
from gradcam_cli.serving.byte_cache import ByteCache
from gradcam_cli.serving.requests import MapRequest

NUM_DEPTHS = 21
MAX_SOLVED_BYTES = 1 << 27
"""States and adjoints of the images and classes that were solved last."""
EXPLAIN_SETTINGS = ("fit", "max_value")
"""The settings that `gradcam neuralode explain` has, too."""


def find_depth_maps(classifier: Classifier, settings: ExplainConfig) -> DepthMaps | None:
    """Return the maps along the depth of the only ODE of a model, or None for another model."""
    try:
        block = find_block(classifier.model)
        return DepthMaps(classifier, block, settings)
    except GradcamError:
        return None


class DepthMaps:
    """The maps along the depth of a model.

    Args:
        classifier: the model.
        block: its ODE.
        settings: of all maps.

    Raises:
        GradcamError: the block cannot be explained along its depth.
    """

    def __init__(self, classifier: Classifier, block: ODEBlock, settings: ExplainConfig) -> None:
        self._block, self.depths = block, parse_depths(block, num_times=NUM_DEPTHS)
        config = ExplainConfig(**{name: getattr(settings, name) for name in EXPLAIN_SETTINGS})
        self._run = prepare_depth_run(classifier, replace(config, methods=("flow",)), self.depths, block)
        self._solved: ByteCache[ForwardBackward] = ByteCache(MAX_SOLVED_BYTES)

    def session(self) -> dict[str, Any]:
        """Return what the page lists: the interval, the depths of the slider, and the block."""
        start, end = self._block.t_span
        return {"t0": start, "t1": end, "times": self.depths, "layer": self._block.name}

    def explain(self, request: MapRequest, image: LoadedImage) -> Explanation:
        """Return the map at the depth of the slider that is next to t: that of `gradcam neuralode explain`.

        Raises:
            GradcamError: the depth is outside the interval, or the method has no maps along it.
        """
        t = self.nearest(request.t or 0.0)
        check_choice("method", request.method, DEPTH_METHODS)
        if request.against or request.counterfactual:
            raise UsageError("a map along the depth has no contrast and no counterfactual")
        run = self._run_at(request, t)
        model_input = to_whole_input(run, image)
        if isinstance(model_input, Unexplained):
            raise InputError(model_input.error or "no map", model_input.hint)
        (result,) = run_batches(run, [model_input])
        explained = make_explanations(run, result)
        if isinstance(explained, Unexplained):
            raise InputError(explained.error or "no map", explained.hint)
        return explained[0]

    def nearest(self, t: float) -> float:
        """Return the depth of the slider that is next to a depth.

        Raises:
            UsageError: it is outside the interval.
        """
        start, end = sorted(self._block.t_span)
        if not start <= t <= end:
            raise UsageError(f"t: expected a depth from {start:g} to {end:g}, got {t:g}")
        return min(self.depths, key=lambda depth: abs(depth - t))

    def _run_at(self, request: MapRequest, t: float) -> PreparedRun:
        """Return the run for one depth, whose pass is a part of that for all depths."""
        index, all_depths = self.depths.index(t), self._run
        config = replace(all_depths.config, methods=(request.method,), classes=(request.class_,))
        prepared = prepare_depth_run(all_depths.classifier, config, [t], self._block)

        def gradients(x: np.ndarray, selectors: np.ndarray) -> ForwardBackward:
            key = request.image, selectors.tobytes()
            solved = self._solved.get(key)
            if solved is None:
                solved = all_depths.gradient_function(x, selectors)
                nbytes = sum(each.nbytes for each in (*solved.A, *solved.dA, *solved.f))
                self._solved.put(key, solved, nbytes)
            return solved._replace(A=[solved.A[index]], dA=[solved.dA[index]], f=[solved.f[index]])

        return replace(prepared, gradient_function=gradients)
