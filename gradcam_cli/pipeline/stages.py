"""The straight line over many images: photos, what the network sees of them, one pass a batch, maps, explanations.

The stages are apart so that they may overlap: `see` and `explain` are for any thread, `score` is
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
from gradcam_cli.images.fit import Box, view_of
from gradcam_cli.images.load import Photo, Unexplained
from gradcam_cli.methods import cam, maps, perturbation, registry
from gradcam_cli.network.gradients import Pass
from gradcam_cli.pipeline.results import Explanation, Prediction
from gradcam_cli.pipeline.run import Run

OUT_OF_MEMORY = ("out of memory", "a smaller photo, a smaller --input-size, or fewer --workers need less")
BESIDE = "its positive cells lie beside the photo, in the bars, or between the photo's few pixels"


class Seen(NamedTuple):
    """A photo and what the network sees of it.

    Attributes:
        photo: as it was decoded.
        view: the part of it that is seen.
        pixels: (h, w, c) uint8, the network's input before preprocessing.
        classes: to explain in place of those of the run, as many; None for those of the run.
    """

    photo: Photo
    view: Box
    pixels: np.ndarray
    classes: tuple[int, ...] | None = None


class Scored(NamedTuple):
    """A photo after its pass: all that its maps are made of.

    Attributes:
        photo: as it was decoded.
        view: the part of it that the network saw.
        result: of the whole batch.
        i: the photo's place in the batch.
        computed: maps that took more than the one pass, by their place in `Run.maps`.
        seconds: its share of the time that the pass took.
    """

    photo: Photo
    view: Box
    result: Pass
    i: int
    computed: dict[tuple[int, str, int], cam.Cam]
    seconds: float


def explain_photos(run: Run, photos: Iterable[Photo | Unexplained]) -> Iterator[list[Explanation] | Unexplained]:
    """Explain photos batch by batch, one stage after the other; failures pass through at their place."""
    for scored in score(run, (see(run, photo) for photo in photos)):
        yield explain(run, scored)


def see(run: Run, photo: Photo | Unexplained) -> Seen | Unexplained:
    """Bring a photo to the network's input; a failure passes through."""
    if isinstance(photo, Unexplained):
        return photo
    h, w, channels = run.classifier.input_shape
    view = view_of(photo.pixels.shape[:2], (h, w), run.request.fit)
    if (view.x1 - view.x0) * (view.y1 - view.y0) > max(decode.MAX_PIXELS, photo.pixels[..., 0].size):
        size = f"{photo.pixels.shape[1]}x{photo.pixels.shape[0]}"
        return Unexplained(photo.name, f"{size} pixels are too narrow to be padded", "--fit squash or --fit crop")
    return Seen(photo, view, fit.see(photo.pixels, view, (h, w), channels))


def score(run: Run, photos: Iterable[Seen | Unexplained], size: int = 0) -> Iterator[Scored | Unexplained]:
    """Pass photos through the network batch by batch, in their order; failures pass through at their place.

    All batches are padded to one size, so that nothing is compiled twice. Where memory does not suffice for it,
    half as many are tried from then on, and a photo that does not even fit alone fails.

    Args:
        run: made ready.
        photos: seen by the network.
        size: of the batches, at least as many as there are photos in one; 0 takes that of the first.
    """
    for batch in _batches(photos, run.batch_size):
        good = [seen for seen in batch if isinstance(seen, Seen)]
        size = size or len(good)
        results, size = _score_in_parts(run, good, size)
        scored = iter(results)
        for seen in batch:
            yield next(scored) if isinstance(seen, Seen) else seen


def _score_in_parts(run: Run, photos: list[Seen], size: int) -> tuple[list[Scored | Unexplained], int]:
    """Score photos, `size` in a pass; return the results with the size for which there was memory."""
    results: list[Scored | Unexplained] = []
    while photos:
        try:
            results += _score_batch(run, photos[:size], size)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            if size > 1:
                size = (size + 1) // 2
                log.warning("memory does not suffice for the batch: going on with %d in a pass", size)
                continue
            results.append(Unexplained(photos[0].photo.name, *OUT_OF_MEMORY))
        photos = photos[size:]
    return results, size


def _batches(photos: Iterable[Seen | Unexplained], size: int) -> Iterator[list[Seen | Unexplained]]:
    """Yield runs of photos that hold `size` good ones, the last one fewer."""
    batch: list[Seen | Unexplained] = []
    for seen in photos:
        batch.append(seen)
        if sum(isinstance(other, Seen) for other in batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _score_batch(run: Run, photos: list[Seen], size: int) -> list[Scored]:
    start = time.perf_counter()
    pixels = [seen.pixels for seen in photos]
    x = run.classifier.prepare(np.stack(pixels + [pixels[-1]] * (size - len(pixels))))
    usual = tuple(requested.code for requested in run.classes)
    codes = np.array([seen.classes or usual for seen in photos] + [usual] * (size - len(photos)), np.int32)
    result = run.network(x, codes)
    results = [(result, False), *(_other_copies(run, np.stack(pixels), result) if run.request.smooth else ())]
    computed = [_compute(run, x[i], results, i) for i in range(len(photos))]
    seconds = (time.perf_counter() - start) / len(photos)
    return [Scored(seen.photo, seen.view, result, i, computed[i], seconds) for i, seen in enumerate(photos)]


def _other_copies(run: Run, pixels: np.ndarray, result: Pass) -> Iterator[tuple[Pass, bool]]:
    """Pass copies of the photos for the same classes: mirrored or not, at 0.9, 1 and 1.1 of their brightness."""
    codes = result.classes
    padded = np.concatenate([pixels, np.repeat(pixels[-1:], len(codes) - len(pixels), 0)])
    for mirrored in (False, True):
        for light in (0.9, 1.0, 1.1):
            if mirrored or light != 1:
                copy = np.clip(padded[:, :, ::-1] if mirrored else padded, 0, 255 / light) * np.float32(light)
                yield run.network(run.classifier.prepare(copy), codes), mirrored


def _compute(
    run: Run, x: np.ndarray, results: Sequence[tuple[Pass, bool]], i: int
) -> dict[tuple[int, str, int], cam.Cam]:
    """Compute the maps of a photo that need the network again, or several copies of the photo."""
    first, computed = results[0][0], {}
    for layer, method, c in run.maps:
        if registry.METHODS[method].kind == "attribution":
            asked = perturbation.Question(
                x, run.black, first.A[layer][i], first.dA[layer][c, i], int(first.classes[i, c]), run.request.channels
            )
            computed[layer, method, c] = registry.METHODS[method].function(run.probes[layer], asked)
        elif len(results) > 1:
            cams = [(_cam(run, method, result, (i, layer, c)), mirrored) for result, mirrored in results]
            L = np.mean([one.L[:, ::-1] if mirrored else one.L for one, mirrored in cams], axis=0)
            weights = [one.alpha for one, _ in cams if one.alpha is not None]
            alpha = np.mean(weights, axis=0) if weights else None
            computed[layer, method, c] = cam.Cam(alpha, L)
    return computed


def _cam(run: Run, method: str, result: Pass, place: tuple[int, int, int]) -> cam.Cam:
    i, layer, c = place
    dA = result.dA[layer][c, i]
    return registry.METHODS[method].function(result.A[layer][i], -dA if run.request.counterfactual else dA)


def explain(run: Run, scored: Scored | Unexplained) -> list[Explanation] | Unexplained:
    """Make the maps of a photo: for every layer, method and class one explanation; a failure passes through."""
    if isinstance(scored, Unexplained):
        return scored
    try:
        return [_explanation(run, scored, *place) for place in run.maps]
    except InputError as error:
        return Unexplained(scored.photo.name, error.message, error.hint)
    except MemoryError:
        return Unexplained(scored.photo.name, *OUT_OF_MEMORY)


def _explanation(run: Run, scored: Scored, layer: int, method: str, c: int) -> Explanation:
    start = time.perf_counter()
    photo, view, result, i, computed, seconds = scored
    path, asked = list(run.layers.items())[layer]
    made = computed.get((layer, method, c)) or _cam(run, method, result, (i, layer, c))
    if not np.isfinite(made.L).all():
        raise InputError("the network's answer to this image is not finite: expected numbers, got NaN or infinity")
    map_ = maps.enlarge(made.L, (view.y1 - view.y0, view.x1 - view.x0), run.request.zoom_order)
    map_ = maps.normalise(maps.place(map_, view, photo.pixels.shape[:2]))
    scores = result.probabilities if result.logits is None else result.logits
    ranked = np.argsort(-scores[i], kind="stable")[: run.request.top]
    return Explanation(
        source=photo.name,
        sha256=photo.sha256,
        photo=photo.pixels,
        map=map_,
        raw=made.L,
        signed=made.S,
        alpha=made.alpha,
        view=view,
        prediction=_prediction(run, result, i, int(result.classes[i, c])),
        top=tuple(_prediction(run, result, i, int(index)) for index in ranked),
        layer=path if registry.METHODS[method].uses_layer else registry.INPUT,
        method=method,
        requested=(asked, method, run.classes[c].text),
        zero=cam.why_zero(result.A[layer][i], result.dA[layer][c, i], made) or (None if map_.any() else BESIDE),
        setting=run.setting,
        seconds={"decode": photo.seconds, "network": seconds, "map": time.perf_counter() - start},
    )


def _prediction(run: Run, result: Pass, i: int, index: int) -> Prediction:
    labels = run.classifier.labels
    logit = None if result.logits is None else float(result.logits[i, index])
    return Prediction(index, labels.name(index), labels.id(index), logit, float(result.probabilities[i, index]))
