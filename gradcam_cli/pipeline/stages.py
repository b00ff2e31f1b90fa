"""The stages of the straight line: image -> model input -> one pass per batch -> maps -> explanations.

The stages are separate so that they can overlap. `to_model_input` and `make_explanations` may run in any thread;
`run_batches` runs in the one thread that drives the network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.console import log
from gradcam_cli.errors import InputError
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.images.memory import ACTIVE, bytes_to_draw
from gradcam_cli.methods import cam, maps, registry
from gradcam_cli.models.class_selection import TRUTH
from gradcam_cli.models.image_rows import selected_rows
from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.pipeline.augmentation import augmented_passes
from gradcam_cli.pipeline.differences import with_differences
from gradcam_cli.pipeline.explained_class import explained_class
from gradcam_cli.pipeline.map_values import compute_cam, compute_multi_pass, detection_box, zero_reason
from gradcam_cli.pipeline.model_input import ModelInput, to_model_input
from gradcam_cli.pipeline.prediction import Prediction, prediction_of
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun
from gradcam_cli.pipeline.truth import LeftOut, Truth, judge
from gradcam_cli.pipeline.window_passes import NOWHERE_POSITIVE, explain_windows

OUT_OF_MEMORY = ("out of memory", "use a smaller image, a smaller --input-size, or fewer --threads")
SMALLER_BATCH = 4
"""A batch of windows is so much smaller than one of images, since a large input and its maps take memory, too."""
OUTSIDE_IMAGE = "the map is positive only outside the image: in the padding, or between the pixels of a small image"


class ForwardResult(NamedTuple):
    """An image after the forward and backward pass: all that its maps are computed from.

    Attributes:
        image, crop_box: as in `ModelInput`.
        batch_result: activations, gradients and scores of the whole batch.
        batch_index: index of the image in the batch.
        multi_pass_maps: maps that needed further passes, or several windows, by their key in `PreparedRun.maps`.
        seconds: the image's share of the time of the pass.
        truth: whether its prediction is right, or None without true classes.
        windows: number of windows; the batch result is the mean over them, without activations. 0 without windows.
    """

    image: LoadedImage
    crop_box: Box
    batch_result: ForwardBackward
    batch_index: int
    multi_pass_maps: dict[tuple[int, str, int], cam.Cam]
    seconds: float
    truth: Truth | None = None
    windows: int = 0

    def left_out_by(self, only: str | None) -> bool:
        """Return whether `--only` does not select the image."""
        return only is not None and self.truth is not None and self.truth.state != only


def explain_images(
    run: PreparedRun, loaded: Iterable[LoadedImage | Unexplained]
) -> Iterator[list[Explanation] | Unexplained]:
    """Explain images batch by batch, in order; an input without an image is passed on."""
    for result in run_batches(run, (to_model_input(run, image) for image in loaded)):
        yield make_explanations(run, result)


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
        padded_size = padded_size or (run.batch_size if any(item.windows for item in fitted) else len(fitted))
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
        alone = next((i for i, item in enumerate(model_inputs) if item.windows), len(model_inputs))
        batch = model_inputs[: min(padded_size, alone) or 1]
        try:
            results += _run_batch(run, batch, padded_size) if alone else [_run_windows(run, batch[0], padded_size)]
        except (MemoryError, tf.errors.ResourceExhaustedError):
            if padded_size > 1:
                padded_size = (padded_size + 1) // 2
                log.warning("out of memory: reducing the batch size to %d", padded_size)
                continue
            results.append(Failure(model_inputs[0].image.name, *OUT_OF_MEMORY))
        model_inputs = model_inputs[len(batch) :]
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
    classes = [item.classes for item in model_inputs] + [model_inputs[-1].classes] * (padded_size - len(model_inputs))
    names = [item.image.name for item in model_inputs]
    with selected_rows(run.classifier.rows, names + [names[-1]] * (padded_size - len(names))):
        results = [(run.forward_backward(x, np.array(classes, np.int32)), False)]
        results += augmented_passes(run, np.stack(pixels), results[0][0]) if run.config.aug_smooth else ()
    forward_results = [
        ForwardResult(item.image, item.crop_box, results[0][0], i, {}, 0.0, _truth_of(run, results[0][0], i, item))
        for i, item in enumerate(model_inputs)
    ]
    for i, result in enumerate(forward_results):
        if not result.left_out_by(run.config.only):
            with selected_rows(run.classifier.rows, [names[i]]):
                result.multi_pass_maps.update(compute_multi_pass(run, x[i], results, i))
    seconds = (time.perf_counter() - start) / len(model_inputs)
    return [result._replace(seconds=seconds) for result in forward_results]


def _run_windows(run: PreparedRun, item: ModelInput, batch_size: int) -> ForwardResult | Unexplained:
    """Run an input with several windows."""
    image, start = item.image, time.perf_counter()
    size = batch_size if run.config.batch_size else max(batch_size // SMALLER_BATCH, 1)
    try:
        result, blended = explain_windows(run, image, item.windows, item.classes, size)
    except InputError as error:
        return Failure(image.name, error.message, error.hint)
    truth, seconds = _truth_of(run, result, 0, item), time.perf_counter() - start
    return ForwardResult(image, item.crop_box, result, 0, blended, seconds, truth, len(item.windows))


def _truth_of(run: PreparedRun, result: ForwardBackward, i: int, item: ModelInput) -> Truth | None:
    true_class = run.true_class(item.image.name)
    return judge(true_class, result.ranked_by[i], _predictions_of(run, result, i)) if true_class else None


def _predictions_of(run: PreparedRun, result: ForwardBackward, i: int) -> Callable[[int], Prediction]:
    """Return the function that returns a class of the i-th image of a batch by its index."""
    return partial(prediction_of, result, i, run.classifier.labels, run.config.score)


def _ranked_predictions(run: PreparedRun, result: ForwardBackward, i: int) -> tuple[Prediction, ...]:
    ranked = np.argsort(-result.ranked_by[i], kind="stable")[: run.config.top_k]
    return tuple(map(_predictions_of(run, result, i), map(int, ranked)))


def make_explanations(run: PreparedRun, forward_result: ForwardResult | Unexplained) -> list[Explanation] | Unexplained:
    """Compute the maps of an image: one explanation per layer, method and class; a failure is passed on."""
    if isinstance(forward_result, Unexplained):
        return forward_result
    image, truth = forward_result.image, forward_result.truth
    if forward_result.left_out_by(run.config.only):
        ranked = _ranked_predictions(run, forward_result.batch_result, forward_result.batch_index)
        judged, hint = truth.to_json() if truth else None, f"left out by --only {run.config.only}"
        return LeftOut(image.name, hint=hint, truth=judged, predictions=ranked, sha256=image.sha256)
    keys = [key for key in run.maps if not (truth and truth.unknown and run.classes[key[2]].text == TRUTH)]
    if not keys:
        return Failure(image.name, f"its true class is unknown: {truth and truth.unknown}")
    ACTIVE.reserve(bytes_to_draw(image.shape, len(keys)))
    try:
        pixels = image.pixels
        return with_differences([_make_explanation(run, forward_result, pixels, key) for key in keys])
    except InputError as error:
        return Failure(forward_result.image.name, error.message, error.hint)
    except MemoryError:
        return Failure(forward_result.image.name, *OUT_OF_MEMORY)


def _make_explanation(
    run: PreparedRun, forward_result: ForwardResult, pixels: np.ndarray, key: tuple[int, str, int]
) -> Explanation:
    start = time.perf_counter()
    image, crop_box, result, i, computed, seconds, truth, windows = forward_result
    layer, method, c = key
    requested_layer = list(run.layers.values())[layer]
    cam_map = computed.get(key) or compute_cam(run, method, result, (i, layer, c))
    if not np.isfinite(cam_map.map).all():
        raise InputError("the network's output for this image contains NaN or infinity")
    map_box, input_box = run.covered_boxes(layer, method, crop_box)
    if windows:
        map_box, zero = Box.whole(image.shape), None if cam_map.map.any() else NOWHERE_POSITIVE
    else:
        zero = zero_reason(method, result, (i, layer, c), cam_map)
    heatmap = maps.to_image(cam_map.map, map_box, image.shape, run.config.interpolation)
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
        prediction=explained_class(run, result, i, c),
        predictions=_ranked_predictions(run, result, i),
        layer=registry.layer_name(method, list(run.layers), layer),
        method=method,
        detection_box=detection_box(run, result, i, c, crop_box),
        request_key=(requested_layer, method, run.classes[c].text),
        zero_reason=zero or (None if heatmap.any() else OUTSIDE_IMAGE),
        model=run.model,
        settings=run.settings_for(image.space.kind),
        note=image.note and image.note.text,
        timings={"decode": image.seconds, "network": seconds, "map": time.perf_counter() - start},
        truth=truth,
        space=image.space,
        windows=windows,
    )
