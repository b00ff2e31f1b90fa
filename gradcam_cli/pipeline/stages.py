"""The stages of the straight line: image -> model input -> one pass per batch -> maps -> explanations.

The stages are separate so that they can overlap. `to_model_input` and `make_explanations` may run in any thread;
`run_batches` runs in the one thread that drives the network.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.console import log
from gradcam_cli.errors import InputError
from gradcam_cli.images import decode
from gradcam_cli.images.boxes import to_image_box
from gradcam_cli.images.fit import Box, crop_box_for
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.images.memory import ACTIVE, bytes_to_draw
from gradcam_cli.methods import cam, maps, registry
from gradcam_cli.methods.scorer import AttributionInputs
from gradcam_cli.models.image_rows import selected_rows
from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.pipeline.augmentation import augmented_passes
from gradcam_cli.pipeline.model_input import fit_to_model
from gradcam_cli.pipeline.prediction import prediction_of
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun

OUT_OF_MEMORY = ("out of memory", "use a smaller image, a smaller --input-size, or fewer --threads")
OUTSIDE_IMAGE = "the map is positive only outside the image: in the padding, or between the pixels of a small image"


class ModelInput(NamedTuple):
    """An image fitted to the model input.

    Attributes:
        image: the decoded image.
        crop_box: the part of the image that the model input shows.
        pixels: (h, w, c), the model input before preprocessing: uint8, or float32 for an image of bands.
        classes: classes to explain instead of those of the run, the same number of them; or None.
    """

    image: LoadedImage
    crop_box: Box
    pixels: np.ndarray
    classes: tuple[int, ...] | None = None


class ForwardResult(NamedTuple):
    """An image after the forward and backward pass: all that its maps are computed from.

    Attributes:
        image, crop_box: as in `ModelInput`.
        batch_result: activations, gradients and scores of the whole batch.
        batch_index: index of the image in the batch.
        multi_pass_maps: maps that needed further passes, by their key in `PreparedRun.maps`.
        seconds: the image's share of the time of the pass.
    """

    image: LoadedImage
    crop_box: Box
    batch_result: ForwardBackward
    batch_index: int
    multi_pass_maps: dict[tuple[int, str, int], cam.Cam]
    seconds: float


def explain_images(
    run: PreparedRun, loaded: Iterable[LoadedImage | Unexplained]
) -> Iterator[list[Explanation] | Unexplained]:
    """Explain images batch by batch, in order; an input without an image is passed on."""
    for result in run_batches(run, (to_model_input(run, image) for image in loaded)):
        yield make_explanations(run, result)


def to_model_input(run: PreparedRun, image: LoadedImage | Unexplained) -> ModelInput | Unexplained:
    """Fit an image to the model input; an input without an image is passed on."""
    if isinstance(image, Unexplained):
        return image
    image.log_note()
    (h, w, _), (H, W) = run.classifier.input_shape, image.shape
    crop_box = crop_box_for((H, W), (h, w), run.config.fit)
    if (crop_box.x1 - crop_box.x0) * (crop_box.y1 - crop_box.y0) > max(decode.MAX_PIXELS, H * W):
        reason = f"an image of {W}x{H} pixels is too narrow for --fit pad"
        return Failure(image.name, reason, "use --fit squash or --fit crop")
    try:
        pixels = fit_to_model(run.classifier, image, crop_box)
    except InputError as error:
        return Failure(image.name, error.message, error.hint)
    image.wait()
    return ModelInput(image, crop_box, pixels)


def run_batches(
    run: PreparedRun, model_inputs: Iterable[ModelInput | Unexplained], padded_size: int = 0
) -> Iterator[ForwardResult | Unexplained]:
    """Run the network batch by batch, in order; an input without an image is passed on.

    All batches are padded to one size, so that the network is compiled once. After an out-of-memory error the batch
    size is halved for the rest of the run; an image that does not fit alone fails.

    Args:
        run: the prepared run.
        model_inputs: images fitted to the model input.
        padded_size: size of the padded batches; 0 uses the size of the first batch.
    """
    for batch in _batches(model_inputs, run.batch_size):
        fitted = [item for item in batch if isinstance(item, ModelInput)]
        padded_size = padded_size or len(fitted)
        results, padded_size = _run_with_oom_retry(run, fitted, padded_size)
        remaining = iter(results)
        for item in batch:
            yield next(remaining) if isinstance(item, ModelInput) else item


def _run_with_oom_retry(
    run: PreparedRun, model_inputs: list[ModelInput], padded_size: int
) -> tuple[list[ForwardResult | Unexplained], int]:
    """Run batches of `padded_size`; return the results, and the batch size that fitted into memory."""
    results: list[ForwardResult | Unexplained] = []
    while model_inputs:
        try:
            results += _run_batch(run, model_inputs[:padded_size], padded_size)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            if padded_size > 1:
                padded_size = (padded_size + 1) // 2
                log.warning("out of memory: reducing the batch size to %d", padded_size)
                continue
            results.append(Failure(model_inputs[0].image.name, *OUT_OF_MEMORY))
        model_inputs = model_inputs[padded_size:]
    return results, padded_size


def _batches(model_inputs: Iterable[ModelInput | Unexplained], size: int) -> Iterator[list[ModelInput | Unexplained]]:
    """Yield groups of inputs with `size` images each; the last group may have fewer."""
    batch: list[ModelInput | Unexplained] = []
    for item in model_inputs:
        batch.append(item)
        if sum(isinstance(member, ModelInput) for member in batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _run_batch(run: PreparedRun, model_inputs: list[ModelInput], padded_size: int) -> list[ForwardResult]:
    start = time.perf_counter()
    pixels = [item.pixels for item in model_inputs]
    x = run.classifier.preprocess(np.stack(pixels + [pixels[-1]] * (padded_size - len(pixels))))
    default = tuple(selector.index_or_rank for selector in run.classes)
    classes = [item.classes or default for item in model_inputs] + [default] * (padded_size - len(model_inputs))
    names = [item.image.name for item in model_inputs]
    with selected_rows(run.classifier.rows, names + [names[-1]] * (padded_size - len(names))):
        results = [(run.gradient_function(x, np.array(classes, np.int32)), False)]
        results += augmented_passes(run, np.stack(pixels), results[0][0]) if run.config.aug_smooth else ()
    maps_of_images = []
    for i, name in enumerate(names):
        with selected_rows(run.classifier.rows, [name]):
            maps_of_images.append(_compute_multi_pass(run, x[i], results, i))
    seconds = (time.perf_counter() - start) / len(model_inputs)
    return [
        ForwardResult(item.image, item.crop_box, results[0][0], i, maps_of_images[i], seconds)
        for i, item in enumerate(model_inputs)
    ]


def _compute_multi_pass(
    run: PreparedRun, x: np.ndarray, results: Sequence[tuple[ForwardBackward, bool]], i: int
) -> dict[tuple[int, str, int], cam.Cam]:
    """Compute the maps of an image that need further passes, or the average over several copies."""
    first, computed = results[0][0], {}
    for layer, method, c in run.maps:
        if registry.METHODS[method].kind in registry.MULTI_PASS:
            index, max_channels = int(first.classes[i, c]), run.config.max_channels
            A, dA = first.A[layer][i], first.dA[layer][c, i]
            inputs = AttributionInputs(x, run.baseline_input, A, dA, index, max_channels)
            computed[layer, method, c] = registry.METHODS[method].function(run.scorer(layer, method), inputs)
        elif len(results) > 1:
            cams = [(_compute_cam(run, method, result, (i, layer, c)), mirrored) for result, mirrored in results]
            L = np.mean([each.map[:, ::-1] if mirrored else each.map for each, mirrored in cams], axis=0)
            weights = [each.alpha for each, _ in cams if each.alpha is not None]
            alpha = np.mean(weights, axis=0) if weights else None
            computed[layer, method, c] = cam.Cam(alpha, L)
    return computed


def _compute_cam(run: PreparedRun, method: str, result: ForwardBackward, indices: tuple[int, int, int]) -> cam.Cam:
    i, layer, c = indices
    dA = result.dA[layer][c, i]
    arrays = [result.A[layer][i], -dA if run.config.counterfactual else dA]
    if registry.METHODS[method].kind == "depth":
        arrays.append(result.f[layer][i])
    return registry.METHODS[method].function(*arrays)


def make_explanations(run: PreparedRun, forward_result: ForwardResult | Unexplained) -> list[Explanation] | Unexplained:
    """Compute the maps of an image: one explanation per layer, method and class; a failure is passed on."""
    if isinstance(forward_result, Unexplained):
        return forward_result
    ACTIVE.reserve(bytes_to_draw(forward_result.image.shape, len(run.maps)))
    try:
        pixels = forward_result.image.pixels
        return [_make_explanation(run, forward_result, pixels, key) for key in run.maps]
    except InputError as error:
        return Failure(forward_result.image.name, error.message, error.hint)
    except MemoryError:
        return Failure(forward_result.image.name, *OUT_OF_MEMORY)


def _make_explanation(
    run: PreparedRun, forward_result: ForwardResult, pixels: np.ndarray, key: tuple[int, str, int]
) -> Explanation:
    start = time.perf_counter()
    image, crop_box, result, i, computed, seconds = forward_result
    layer, method, c = key
    path, requested_layer = list(run.layers.items())[layer]
    cam_map = computed.get(key) or _compute_cam(run, method, result, (i, layer, c))
    if not np.isfinite(cam_map.map).all():
        raise InputError("the network's output for this image contains NaN or infinity")
    map_box, input_box = run.covered_boxes(layer, method, crop_box)
    heatmap = maps.to_image(cam_map.map, map_box, image.shape, run.config.interpolation)
    prediction = partial(prediction_of, result, i, run.classifier.labels, run.config.score)
    ranked = np.argsort(-result.ranked_by[i], kind="stable")[: run.config.top_k]
    return Explanation(
        source=image.name,
        sha256=image.sha256,
        image=pixels,
        heatmap=heatmap,
        cam=cam_map.map,
        cam_pre_relu=cam_map.pre_relu,
        alpha=cam_map.alpha,
        crop_box=crop_box,
        map_box=map_box,
        input_box=input_box,
        prediction=prediction(int(result.classes[i, c])),
        predictions=tuple(prediction(int(index)) for index in ranked),
        layer=path if registry.METHODS[method].uses_layer else registry.INPUT_LAYER,
        method=method,
        detection_box=_detection_box(run, result, i, c, crop_box),
        request_key=(requested_layer, method, run.classes[c].text),
        zero_reason=cam.zero_reason(result.A[layer][i], result.dA[layer][c, i], cam_map)
        or (None if heatmap.any() else OUTSIDE_IMAGE),
        model=run.model,
        settings=run.settings,
        note=image.note and image.note.text,
        timings={"decode": image.seconds, "network": seconds, "map": time.perf_counter() - start},
    )


def _detection_box(run: PreparedRun, result: ForwardBackward, i: int, c: int, crop_box: Box) -> Box | None:
    box_format = run.classifier.target.box_format
    if result.boxes is None or box_format is None:
        return None
    numbers = result.boxes[i, int(result.classes[i, c])]
    return to_image_box(numbers, box_format, crop_box, run.classifier.input_shape[:2])
