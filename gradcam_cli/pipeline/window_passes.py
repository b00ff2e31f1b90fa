"""Maps of an input that is larger than the model input: a window is slid over it, and the maps are blended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gradcam_cli.console import log, progress
from gradcam_cli.errors import InputError
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.images.windows import BlendedMap
from gradcam_cli.methods.cam import Cam
from gradcam_cli.methods.maps import paste_into_image, upsample
from gradcam_cli.models.image_rows import selected_rows
from gradcam_cli.network.contrast import resolve_nearest
from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.pipeline.augmentation import augmented_passes
from gradcam_cli.pipeline.contrast import contrast_selectors
from gradcam_cli.pipeline.map_values import compute_cam, compute_multi_pass
from gradcam_cli.pipeline.model_input import fit_decoded
from gradcam_cli.pipeline.run import PreparedRun

NOWHERE_POSITIVE = "no positive value: the map of each window is zero everywhere"
"""Why a blended map is zero."""


class WindowBatch(NamedTuple):
    """A batch of windows after the network.

    Attributes:
        boxes: the windows.
        x: (n, ...), their preprocessed input; n may be larger than the number of windows.
        results: passes of the batch, and whether the windows are mirrored in it; several with `--aug-smooth`.
    """

    boxes: Sequence[Box]
    x: np.ndarray
    results: Sequence[tuple[ForwardBackward, bool]]


def explain_windows(
    run: PreparedRun, image: LoadedImage, windows: Sequence[Box], classes: Sequence[int], batch_size: int
) -> tuple[ForwardBackward, dict[tuple[int, str, int], Cam]]:
    """Explain an input window by window.

    A score of the input is the mean of that of all windows, and so is a probability; classes are ranked by these means,
    and each map explains the same class in all windows. A map is blended at the size of the input, in the units of the
    score of a window.

    Args:
        run: the prepared run.
        image: the input.
        windows: from `window_boxes`.
        classes: the classes to explain: indices, or -r for the class of rank r.
        batch_size: windows in one pass; the last batch is padded.

    Returns:
        The means, with a first axis of length 1 and without activations, and the maps by their key in `run.maps`.

    Raises:
        InputError: the network's output contains NaN or infinity, or the file has changed.
    """
    log.info("%s: %d windows of %s", image.name, len(windows), "x".join(map(str, windows[0].shape)))
    chosen, against = np.array([classes], np.int32), None
    if (chosen < 0).any() or any(each.index_or_rank < 0 for each in run.against):
        none = np.zeros_like(chosen)
        first = replace(run, config=replace(run.config, aug_smooth=False))
        mean = _mean([_scores(batch) for batch in _batches(first, image, windows, none, None, batch_size)], windows)
        ranked = np.argsort(-mean.ranked_by[0], kind="stable")
        chosen = np.where(chosen < 0, ranked[np.maximum(-chosen - 1, 0)], chosen).astype(np.int32)
        against = _nearest(run, mean.y, chosen) if run.against else None
    blended = {key: _blended_map(run, image, windows, key) for key in run.maps}
    scores = []
    for batch in _batches(run, image, windows, chosen, against, batch_size):
        for i, box in enumerate(batch.boxes):
            with selected_rows(run.classifier.rows, [image.name]):
                computed = compute_multi_pass(run, batch.x[i], batch.results, i)
            for key, blend in blended.items():
                layer, method, c = key
                cam_map = computed.get(key) or compute_cam(run, method, batch.results[0][0], (i, layer, c))
                blend.add(box, _of_window(run, key, cam_map, box))
        scores.append(_scores(batch))
    return _mean(scores, windows), {key: Cam(None, blend.mean()) for key, blend in blended.items()}


def _batches(
    run: PreparedRun,
    image: LoadedImage,
    windows: Sequence[Box],
    classes: np.ndarray,
    against: np.ndarray | None,
    batch_size: int,
) -> Iterator[WindowBatch]:
    """Run the network on all windows, batch by batch; the windows of a batch are cut out when it is due."""
    decoded, repeated = image.decoded(), None if against is None else np.repeat(against, batch_size, 0)
    with progress(f"windows of {image.name}", len(windows)) as advance:
        for start in range(0, len(windows), batch_size):
            boxes = windows[start : start + batch_size]
            pixels = np.stack([fit_decoded(run.classifier, decoded, box) for box in boxes])
            x = run.classifier.preprocess(np.concatenate([pixels, np.repeat(pixels[-1:], batch_size - len(pixels), 0)]))
            with selected_rows(run.classifier.rows, [image.name] * batch_size):
                results = [(run.forward_backward(x, np.repeat(classes, batch_size, 0), repeated), False)]
                results += augmented_passes(run, pixels, results[0][0]) if run.config.aug_smooth else ()
            yield WindowBatch(boxes, x, results)
            advance(len(boxes))


def _scores(batch: WindowBatch) -> ForwardBackward:
    """Return the scores of a batch without its activations, which take memory."""
    return batch.results[0][0]._replace(A=[], dA=[])


def _blended_map(run: PreparedRun, image: LoadedImage, windows: Sequence[Box], key: tuple[int, str, int]) -> BlendedMap:
    covered, _ = run.covered_boxes(key[0], key[1], Box.whole(windows[0].shape))
    return BlendedMap(image.shape, windows, covered)


def _of_window(run: PreparedRun, key: tuple[int, str, int], cam_map: Cam, window: Box) -> np.ndarray:
    """Return the map of a window at its size."""
    if not np.isfinite(cam_map.map).all():
        raise InputError("the network's output for this input contains NaN or infinity")
    covered, _ = run.covered_boxes(key[0], key[1], Box.whole(window.shape))
    return paste_into_image(upsample(cam_map.map, covered.shape, run.config.interpolation), covered, window.shape)


def _mean(results: Sequence[ForwardBackward], windows: Sequence[Box]) -> ForwardBackward:
    """Return the means over all windows; the copies that fill up the last batch are left out."""

    def mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
        joined: np.ndarray = np.concatenate(arrays)[: len(windows)]
        means: np.ndarray = joined.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
        return means

    first = results[0]
    return ForwardBackward(
        mean([each.y for each in results]),
        None if first.logits is None else mean([each.logits for each in results if each.logits is not None]),
        mean([each.probabilities for each in results]),
        mean([each.ranked_by for each in results]),
        first.classes[:1],
        [],
        [],
        against=None if first.against is None else first.against[:1],
    )


def _nearest(run: PreparedRun, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the contrasted classes (1, C, T) of the mean scores."""
    selectors = tf.constant(contrast_selectors(run.against, classes.shape))
    count, groups = run.classifier.class_count, run.classifier.target.groups
    chosen = [
        resolve_nearest(tf.constant(y), tf.constant(classes[:, c]), selectors[:, c], count, groups).numpy()
        for c in range(classes.shape[1])
    ]
    return np.stack(chosen, axis=1).astype(np.int32)
