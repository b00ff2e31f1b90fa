"""The sanity check keeps the maps of its images, not their pixels."""

import weakref

import numpy as np

from gradcam_cli import load_model
from gradcam_cli.evaluation.sanity_check import check_sanity
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.methods import maps
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.model_input import to_model_input
from gradcam_cli.pipeline.run import prepare_run


def test_heatmaps_of_all_images_are_never_alive_together(model_file, monkeypatch):
    """With 16 images, a few heatmaps of the image size exist at a time."""
    run = prepare_run(load_model(model_file, preprocess="0..1"), ExplainConfig(batch_size=4))
    rng = np.random.default_rng(0)
    images = [LoadedImage(str(i), rng.integers(0, 256, (50, 40, 3), np.uint8)) for i in range(16)]
    alive, counts = [], []
    original = maps.to_image

    def counted(*arguments):
        heatmap = original(*arguments)
        alive.append(weakref.ref(heatmap))
        counts.append(sum(reference() is not None for reference in alive))
        return heatmap

    monkeypatch.setattr(maps, "to_image", counted)
    steps = list(check_sanity(run, [to_model_input(run, image) for image in images], 0))
    assert steps
    assert max(counts) <= 4
