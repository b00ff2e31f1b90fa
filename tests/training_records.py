"""A record of a training with two images and the epochs 1, 2 and 4, made by hand."""

from itertools import pairwise

import numpy as np

from gradcam_cli.callbacks.epoch_maps import EpochMaps, ImageMap
from gradcam_cli.callbacks.record import RecordedImage, TrainingRun, write_epoch, write_run
from gradcam_cli.images.box import Box
from gradcam_cli.images.encode import encode
from gradcam_cli.methods.maps import to_image
from gradcam_cli.pipeline.config import DEFAULTS
from gradcam_cli.pipeline.saved import SavedMap

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)
LOGS = {
    0: {"loss": 2.0, "val_loss": 1.5, "accuracy": 0.25},
    1: {"loss": 1.0, "accuracy": 0.5},
    2: {"loss": 0.75, "accuracy": 0.5},
    3: {"loss": 0.5, "accuracy": 0.75},
}


def image_map(name, cam):
    """A map of class 1; class 0 is predicted."""
    cam = np.array(cam, np.float32)
    heatmap = to_image(cam, Box(0, 0, 30, 20), (20, 30), "linear")
    metadata = {**DEFAULTS, "layer": "conv", "method": "gradcam", "input": name, "class_index": 1, "class_name": "cat"}
    saved = SavedMap({**metadata, "probability": 0.25}, heatmap, cam)
    predicted = {"index": 0, "name": "dog", "logit": 1.0, "probability": 0.5, "value": None}
    return ImageMap(saved, None, None, float(cam.max()), predicted)


def record(directory, names=("images[0]", "images[1]")):
    """Write the record; return its epochs."""
    left, right = [[4, 1, 0], [2, 1, 0]], [[0, 1, 4], [0, 1, 2]]
    epochs = [
        EpochMaps(0, [image_map(names[0], left), image_map(names[1], left)], {0: LOGS[0]}),
        EpochMaps(1, [image_map(names[0], right), image_map(names[1], left)], {1: LOGS[1]}),
        EpochMaps(
            3, [image_map(names[0], left), ImageMap(None, "the weights contain NaN")], {n: LOGS[n] for n in (2, 3)}
        ),
    ]
    for before, maps in pairwise(epochs):
        maps.drift.update(last=maps.drift_since(before), first=maps.drift_since(epochs[0]))
    images = [RecordedImage(name, (20, 30), Box(0, 0, 30, 20), Box(0, 0, 30, 20)) for name in names]
    write_run(directory, TrainingRun("net", "conv", "gradcam", "0" * 64, tuple(images)), [encode(i) for i in IMAGES])
    for maps in epochs:
        write_epoch(directory, maps)
    return epochs
