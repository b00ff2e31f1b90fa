"""`auto` on kinds of transformers: layer, and the maps of Grad-CAM and HiResCAM against an independent GradientTape."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hierarchical_kinds import KINDS as HIERARCHICAL
from model_kinds import CLASSES, SIZE
from quick_cases import first_quick
from transformer_kinds import KINDS

from gradcam_cli import load_model
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

IMAGE = np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
X = IMAGE[None].astype(np.float32) / 255


def relative(got, expected):
    assert got.shape == expected.shape
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def explained(model):
    config = ExplainConfig(methods=("gradcam", "hirescam"), classes=tuple(range(CLASSES)))
    (found,) = explain_images(prepare_run(load_model(model, preprocess="0..1"), config), [LoadedImage("image", IMAGE)])
    return found


ALL_KINDS = {**KINDS, **HIERARCHICAL}


@pytest.mark.slow
@pytest.mark.parametrize("name", first_quick(ALL_KINDS, 5))
def test_transformer(name):
    """The chosen layer is the last one whose patches affect the score; weights are averages over patches alone."""
    keras.utils.set_random_seed(3)
    kind = ALL_KINDS[name]()
    model = kind.model()
    h = kind.stem(tf.constant(X))
    with tf.GradientTape(persistent=True) as tape:
        A = kind.layer(h)
        tape.watch(A)
        logits = kind.rest(h, A)
        y = [logits[:, c] for c in range(CLASSES)]
    cells = kind.cells(A)[0].numpy()
    found = {(each.method, each.prediction.index): each for each in explained(model)}
    for c in range(CLASSES):
        dA = kind.cells(tape.gradient(y[c], A))[0].numpy()
        for method, expected in (("gradcam", cells @ dA.mean((0, 1))), ("hirescam", (cells * dA).sum(-1))):
            result = found[method, c]
            assert result.layer == kind.name
            assert result.prediction.logit == pytest.approx(float(logits[0, c]), rel=1e-4, abs=1e-6)
            assert relative(result.cam_pre_relu, expected) <= 1e-5
