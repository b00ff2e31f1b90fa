"""The maps L_c of an image from the results of the pass of its batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.images.boxes import to_image_box
from gradcam_cli.methods import cam, registry
from gradcam_cli.methods.refinecam import NOTHING_IN_COMMON, LayerArrays
from gradcam_cli.methods.scorer import AttributionInputs
from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.pipeline.run import PreparedRun


def compute_multi_pass(
    run: PreparedRun,
    x: np.ndarray,
    results: Sequence[tuple[ForwardBackward, bool]],
    i: int,
    keys: Iterable[tuple[int, str, int]] | None = None,
) -> dict[tuple[int, str, int], cam.Cam]:
    """Compute the maps of an image that need further passes, or the average over several copies.

    Args:
        run: the prepared run.
        x: (h, w, c), the preprocessed input.
        results: passes of the image's batch, and whether the images are mirrored in it.
        i: index of the image in the batch.
        keys: of the maps, of those in `PreparedRun.maps`; None for all.
    """
    first, computed = results[0][0], {}
    for layer, method, c in run.maps if keys is None else keys:
        if registry.METHODS[method].kind in registry.MULTI_PASS:
            inputs = attribution_inputs(run, x, first, (i, layer, c))
            computed[layer, method, c] = registry.METHODS[method].function(run.scorer(layer, method), inputs)
        elif len(results) > 1:
            cams = [(compute_cam(run, method, result, (i, layer, c)), mirrored) for result, mirrored in results]
            L = np.mean([each.map[..., ::-1] if mirrored else each.map for each, mirrored in cams], axis=0)
            weights = [each.alpha for each, _ in cams if each.alpha is not None]
            alpha = np.mean(weights, axis=0) if weights else None
            computed[layer, method, c] = cam.Cam(alpha, L)
    return computed


def attribution_inputs(
    run: PreparedRun, x: np.ndarray, result: ForwardBackward, indices: tuple[int, int, int]
) -> AttributionInputs:
    """Return what a method that runs the model gets; the indices are those of the image, the layer and the class."""
    i, layer, c = indices
    A, dA = result.A[layer][i], result.dA[layer][c, i]
    return AttributionInputs(x, run.baseline_input, A, dA, int(result.classes[i, c]), run.config.max_channels)


def compute_cam(run: PreparedRun, method: str, result: ForwardBackward, indices: tuple[int, int, int]) -> cam.Cam:
    """Compute a map from activations and gradients; the indices are those of the image, the layer and the class."""
    i, layer, c = indices
    sign, entry = -1 if run.config.counterfactual else 1, registry.METHODS[method]
    if entry.kind == "layers":
        arrays = zip(result.A, result.dA, run.input_parts, strict=True)
        layers = [LayerArrays(A[i], sign * dA[c, i], box) for A, dA, box in arrays]
        return entry.function(layers, run.classifier.input_shape[:-1])
    f = [result.f[layer][i]] if entry.kind == "depth" else []
    return entry.function(result.A[layer][i], sign * result.dA[layer][c, i], *f)


def zero_reason(method: str, result: ForwardBackward, indices: tuple[int, int, int], cam_map: cam.Cam) -> str | None:
    """Return why a map is zero everywhere, or None if it is not; the indices are those of `compute_cam`."""
    i, layer, c = indices
    if registry.METHODS[method].kind == "layers":
        return None if cam_map.map.any() else NOTHING_IN_COMMON
    return cam.zero_reason(result.A[layer][i], result.dA[layer][c, i], cam_map)


def detection_box(run: PreparedRun, result: ForwardBackward, i: int, c: int, crop_box: Box) -> Box | None:
    """Return the box of the explained anchor, in pixels of the image, or None."""
    box_format = run.classifier.target.box_format
    if result.boxes is None or box_format is None:
        return None
    numbers = result.boxes[i, int(result.classes[i, c])]
    return to_image_box(numbers, box_format, crop_box, run.classifier.input_shape[:2])
