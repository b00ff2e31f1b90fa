"""The straight line over many images: photos, what the network sees of them, one pass a batch, maps, explanations.

The stages are apart so that they may overlap: `to_model_input` and `make_explanations` are for any thread, `run_batches` is
for the one that drives the network.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.console import log
from gradcam_cli.errors import InputError
from gradcam_cli.images import decode, fit
from gradcam_cli.images.fit import Box, crop_box_for
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.methods import cam, maps, perturbation, registry
from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.pipeline.results import Explanation, Prediction
from gradcam_cli.pipeline.run import PreparedRun

OUT_OF_MEMORY = ("out of memory", "a smaller photo, a smaller --input-size, or fewer --threads need less")
OUTSIDE_IMAGE = "the map is positive only outside the image: in the padding, or between the pixels of a small image"


class ModelInput(NamedTuple):
    """A photo and what the network sees of it.

    Attributes:
        image: as it was decoded.
        crop_box: the part of it that is seen.
        pixels: (h, w, c) uint8, the network's input before preprocessing.
        classes: to explain in place of those of the run, as many; None for those of the run.
    """

    image: LoadedImage
    crop_box: Box
    pixels: np.ndarray
    classes: tuple[int, ...] | None = None


class ForwardResult(NamedTuple):
    """A photo after its pass: all that its maps are made of.

    Attributes:
        image: as it was decoded.
        crop_box: the part of it that the network saw.
        batch_result: of the whole batch.
        batch_index: the photo's place in the batch.
        multi_pass_maps: maps that took more than the one pass, by their place in `Run.maps`.
        seconds: its share of the time that the pass took.
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
    """Explain photos batch by batch, one stage after the other; failures pass through at their place."""
    for scored in run_batches(run, (to_model_input(run, photo) for photo in loaded)):
        yield make_explanations(run, scored)


def to_model_input(run: PreparedRun, image: LoadedImage | Unexplained) -> ModelInput | Unexplained:
    """Bring a photo to the network's input; a failure passes through."""
    if isinstance(image, Unexplained):
        return image
    h, w, channels = run.classifier.input_shape
    view = crop_box_for(image.pixels.shape[:2], (h, w), run.config.fit)
    if (view.x1 - view.x0) * (view.y1 - view.y0) > max(decode.MAX_PIXELS, image.pixels[..., 0].size):
        size = f"{image.pixels.shape[1]}x{image.pixels.shape[0]}"
        return Failure(image.name, f"{size} pixels are too narrow to be padded", "--fit squash or --fit crop")
    return ModelInput(image, view, fit.resize_to_input(image.pixels, view, (h, w), channels))


def run_batches(
    run: PreparedRun, model_inputs: Iterable[ModelInput | Unexplained], padded_size: int = 0
) -> Iterator[ForwardResult | Unexplained]:
    """Pass photos through the network batch by batch, in their order; failures pass through at their place.

    All batches are padded to one size, so that nothing is compiled twice. Where memory does not suffice for it,
    half as many are tried from then on, and a photo that does not even fit alone fails.

    Args:
        run: made ready.
        model_inputs: seen by the network.
        padded_size: of the batches, at least as many as there are photos in one; 0 takes that of the first.
    """
    for batch in _batches(model_inputs, run.batch_size):
        good = [seen for seen in batch if isinstance(seen, ModelInput)]
        padded_size = padded_size or len(good)
        results, padded_size = _run_with_oom_retry(run, good, padded_size)
        scored = iter(results)
        for seen in batch:
            yield next(scored) if isinstance(seen, ModelInput) else seen


def _run_with_oom_retry(
    run: PreparedRun, model_inputs: list[ModelInput], padded_size: int
) -> tuple[list[ForwardResult | Unexplained], int]:
    """Score photos, `padded_size` in a pass; return the results with the size for which there was memory."""
    results: list[ForwardResult | Unexplained] = []
    while model_inputs:
        try:
            results += _run_batch(run, model_inputs[:padded_size], padded_size)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            if padded_size > 1:
                padded_size = (padded_size + 1) // 2
                log.warning("memory does not suffice for the batch: going on with %d in a pass", padded_size)
                continue
            results.append(Failure(model_inputs[0].image.name, *OUT_OF_MEMORY))
        model_inputs = model_inputs[padded_size:]
    return results, padded_size


def _batches(model_inputs: Iterable[ModelInput | Unexplained], size: int) -> Iterator[list[ModelInput | Unexplained]]:
    """Yield runs of photos that hold `size` good ones, the last one fewer."""
    batch: list[ModelInput | Unexplained] = []
    for seen in model_inputs:
        batch.append(seen)
        if sum(isinstance(other, ModelInput) for other in batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _run_batch(run: PreparedRun, model_inputs: list[ModelInput], padded_size: int) -> list[ForwardResult]:
    start = time.perf_counter()
    pixels = [seen.pixels for seen in model_inputs]
    x = run.classifier.preprocess(np.stack(pixels + [pixels[-1]] * (padded_size - len(pixels))))
    usual = tuple(requested.index_or_rank for requested in run.classes)
    codes = np.array(
        [seen.classes or usual for seen in model_inputs] + [usual] * (padded_size - len(model_inputs)), np.int32
    )
    result = run.gradient_function(x, codes)
    results = [(result, False), *(_augmented_passes(run, np.stack(pixels), result) if run.config.aug_smooth else ())]
    computed = [_compute_multi_pass(run, x[i], results, i) for i in range(len(model_inputs))]
    seconds = (time.perf_counter() - start) / len(model_inputs)
    return [
        ForwardResult(seen.image, seen.crop_box, result, i, computed[i], seconds) for i, seen in enumerate(model_inputs)
    ]


def _augmented_passes(
    run: PreparedRun, pixels: np.ndarray, result: ForwardBackward
) -> Iterator[tuple[ForwardBackward, bool]]:
    """Pass copies of the photos for the same classes: mirrored or not, at 0.9, 1 and 1.1 of their brightness."""
    codes = result.classes
    padded = np.concatenate([pixels, np.repeat(pixels[-1:], len(codes) - len(pixels), 0)])
    for mirrored in (False, True):
        for light in (0.9, 1.0, 1.1):
            if mirrored or light != 1:
                copy = np.clip(padded[:, :, ::-1] if mirrored else padded, 0, 255 / light) * np.float32(light)
                yield run.gradient_function(run.classifier.preprocess(copy), codes), mirrored


def _compute_multi_pass(
    run: PreparedRun, x: np.ndarray, results: Sequence[tuple[ForwardBackward, bool]], i: int
) -> dict[tuple[int, str, int], cam.Cam]:
    """Compute the maps of a photo that need the network again, or several copies of the photo."""
    first, computed = results[0][0], {}
    for layer, method, c in run.maps:
        if registry.METHODS[method].kind == "attribution":
            asked = perturbation.AttributionInputs(
                x,
                run.baseline_input,
                first.A[layer][i],
                first.dA[layer][c, i],
                int(first.classes[i, c]),
                run.config.max_channels,
            )
            computed[layer, method, c] = registry.METHODS[method].function(run.scorers[layer], asked)
        elif len(results) > 1:
            cams = [(_compute_cam(run, method, result, (i, layer, c)), mirrored) for result, mirrored in results]
            L = np.mean([one.map[:, ::-1] if mirrored else one.map for one, mirrored in cams], axis=0)
            weights = [one.alpha for one, _ in cams if one.alpha is not None]
            alpha = np.mean(weights, axis=0) if weights else None
            computed[layer, method, c] = cam.Cam(alpha, L)
    return computed


def _compute_cam(run: PreparedRun, method: str, result: ForwardBackward, indices: tuple[int, int, int]) -> cam.Cam:
    i, layer, c = indices
    dA = result.dA[layer][c, i]
    return registry.METHODS[method].function(result.A[layer][i], -dA if run.config.counterfactual else dA)


def make_explanations(run: PreparedRun, forward_result: ForwardResult | Unexplained) -> list[Explanation] | Unexplained:
    """Make the maps of a photo: for every layer, method and class one explanation; a failure passes through."""
    if isinstance(forward_result, Unexplained):
        return forward_result
    try:
        return [_make_explanation(run, forward_result, *place) for place in run.maps]
    except InputError as error:
        return Failure(forward_result.image.name, error.message, error.hint)
    except MemoryError:
        return Failure(forward_result.image.name, *OUT_OF_MEMORY)


def _make_explanation(run: PreparedRun, forward_result: ForwardResult, layer: int, method: str, c: int) -> Explanation:
    start = time.perf_counter()
    photo, view, result, i, computed, seconds = forward_result
    path, asked = list(run.layers.items())[layer]
    made = computed.get((layer, method, c)) or _compute_cam(run, method, result, (i, layer, c))
    if not np.isfinite(made.map).all():
        raise InputError("the network's answer to this image is not finite: expected numbers, got NaN or infinity")
    map_ = maps.upsample(made.map, (view.y1 - view.y0, view.x1 - view.x0), run.config.interpolation)
    map_ = maps.normalize(maps.paste_into_image(map_, view, photo.pixels.shape[:2]))
    scores = result.probabilities if result.logits is None else result.logits
    ranked = np.argsort(-scores[i], kind="stable")[: run.config.top_k]
    return Explanation(
        source=photo.name,
        sha256=photo.sha256,
        image=photo.pixels,
        heatmap=map_,
        cam=made.map,
        cam_pre_relu=made.pre_relu,
        alpha=made.alpha,
        crop_box=view,
        prediction=_prediction(run, result, i, int(result.classes[i, c])),
        predictions=tuple(_prediction(run, result, i, int(index)) for index in ranked),
        layer=path if registry.METHODS[method].uses_layer else registry.INPUT_LAYER,
        method=method,
        request_key=(asked, method, run.classes[c].text),
        zero_reason=cam.zero_reason(result.A[layer][i], result.dA[layer][c, i], made)
        or (None if map_.any() else OUTSIDE_IMAGE),
        model=run.model,
        settings=run.settings,
        timings={"decode": photo.seconds, "network": seconds, "map": time.perf_counter() - start},
    )


def _prediction(run: PreparedRun, result: ForwardBackward, i: int, index: int) -> Prediction:
    labels = run.classifier.labels
    logit = None if result.logits is None else float(result.logits[i, index])
    return Prediction(index, labels.name(index), labels.id(index), logit, float(result.probabilities[i, index]))
