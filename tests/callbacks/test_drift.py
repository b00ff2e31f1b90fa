"""Drift between epochs, by hand, and what follows a jump."""

import numpy as np
import pytest
from small_training import cams, images, recorded, train

from gradcam_cli.callbacks import GradCAM
from gradcam_cli.callbacks.epoch_maps import EpochMaps, ImageMap
from gradcam_cli.callbacks.jump import find_jumps, parse_limits
from gradcam_cli.evaluation.metrics.similarity import rank_correlation
from gradcam_cli.pipeline.config import DEFAULTS
from gradcam_cli.pipeline.saved import SavedMap


def image_map(values, class_index=0):
    """A map whose cells are the pixels of the image."""
    cam = np.array(values, np.float32)
    metadata = {**DEFAULTS, "layer": "conv", "method": "gradcam", "input": "a", "class_name": None}
    return ImageMap(SavedMap({**metadata, "class_index": class_index}, cam / cam.max(), cam), limit=float(cam.max()))


RAMP, BACK = [[1, 2], [3, 4]], [[4, 3], [2, 1]]
GONE = ImageMap(None, error="NaN")


def epoch_maps(*images, epoch=0):
    return EpochMaps(epoch, list(images))


def test_drift_by_hand():
    """Of a ramp and the reverse: rank correlation -1, no common top fifth (one pixel), the peak a diagonal away."""
    before = epoch_maps(image_map(RAMP), image_map(RAMP), GONE)
    after = epoch_maps(image_map(BACK, class_index=1), image_map(RAMP), image_map(RAMP), epoch=1)
    drift = after.drift_since(before)
    assert drift["rank"] == [2, 0, None]
    assert drift["top-iou"] == [1, 0, None]
    assert drift["peak-shift"] == [1, 0, None]
    assert drift["class-change"] == [1, 0, None]
    assert drift["ssim"][0] > 0.1
    after.drift["last"] = drift
    assert after.mean_drift("last")["rank"] == 1
    assert after.mean_drift("first") == {}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((), []),
        ("rank=1", []),
        ("rank=0.9", ["rank 1.0000 is above 0.9 (max_drift rank=0.9)"[:6]]),
        ("rank=1.9@max", ["max of rank"]),
        ("rank=0.1@q50", []),
        (["rank=0.9", "class-change=0"], ["rank", "class-change"]),
    ],
    ids=str,
)
def test_limits(limits, expected):
    before = epoch_maps(image_map(RAMP), image_map(RAMP))
    after = epoch_maps(image_map(BACK, 1), image_map(RAMP), epoch=1)
    after.drift["last"] = after.drift_since(before)
    found = find_jumps(parse_limits(limits), before, after)
    assert len(found) == len(expected)
    assert all(message.startswith(start.strip()) for message, start in zip(found, expected, strict=True))


def test_lost_maps_are_a_jump():
    before, after = epoch_maps(image_map(RAMP), GONE), epoch_maps(GONE, GONE, epoch=1)
    after.drift["last"] = after.drift_since(before)
    assert find_jumps(parse_limits("rank=1"), before, after) == ["1 of 2 images have no map any more"]
    assert find_jumps((), before, after) == []


@pytest.mark.slow
def test_drift_of_a_training(tmp_path):
    """Since the last and the first epoch, equal to the rank correlation of the recorded maps."""
    x, y = images()
    train([GradCAM(x[:3], log_dir=tmp_path, classes=y[:3])], epochs=3)
    first, second, third = recorded(tmp_path)
    assert first.drift == {}
    for since, before in (("last", second), ("first", first)):
        expected = [1 - rank_correlation(a, b) for a, b in zip(cams(before), cams(third), strict=True)]
        np.testing.assert_allclose(third.drift[since]["rank"], expected)
    assert third.drift["last"] != third.drift["first"]


@pytest.mark.slow
@pytest.mark.parametrize(("on_jump", "epochs"), [("warn", 4), ("stop", 2)])
def test_jump_warns_or_stops(tmp_path, caplog, on_jump, epochs):
    x, y = images()
    callback = GradCAM(x[:3], log_dir=tmp_path, classes=y[:3], max_drift="rank=0", on_jump=on_jump)
    model = train([callback], epochs=4)
    assert len(model.history.history["loss"]) == epochs
    messages = [each.getMessage() for each in caplog.records]
    assert any(each.startswith("epoch 2: the maps jumped: rank ") for each in messages)
    assert ("the training stops after epoch 2" in messages) == (on_jump == "stop")
