"""Maps against those of other programs with the same weights (benchmarks/make_method_reference.py)."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli import load_model
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

with np.load(Path(__file__).with_name("method_reference.npz")) as arrays:
    REFERENCE = dict(arrays)
W = {name.removeprefix("weights/"): value for name, value in REFERENCE.items() if name.startswith("weights/")}


@pytest.fixture(scope="module")
def classifier():
    """The network of the reference, built in Keras."""
    conv1, norm = L.Conv2D(4, 3, padding="same", use_bias=False), L.BatchNormalization(epsilon=1e-5)
    conv2, dense = L.Conv2D(6, 3, padding="same"), L.Dense(3)
    x = keras.Input((24, 24, 3))
    z = L.MaxPooling2D()(L.ReLU(name="relu1")(norm(conv1(x))))
    z = L.GlobalAveragePooling2D()(L.ReLU(name="relu2")(conv2(z)))
    model = keras.Model(x, L.Softmax()(dense(z)))
    conv1.set_weights([W["conv1.weight"].transpose(2, 3, 1, 0)])
    norm.set_weights([W[f"norm.{name}"] for name in ("weight", "bias", "running_mean", "running_var")])
    conv2.set_weights([W["conv2.weight"].transpose(2, 3, 1, 0), W["conv2.bias"]])
    dense.set_weights([W["dense.weight"].T, W["dense.bias"]])
    return load_model(model, preprocess="0..1")


def explained(classifier, method, **request):
    run = prepare_run(classifier, ExplainConfig(methods=(method,), classes=(1,), **request))
    ((result,),) = explain_images(run, [LoadedImage("image", REFERENCE["image"])])
    return run, result


REQUESTS = {
    "refinecam": {"layers": ("relu2", "relu1")},
    "segeigencam": {"layers": ("relu2",)},
    "reciprocam": {"layers": ("relu2",), "score": "probability"},
    "fullgrad": {},
}


@pytest.mark.parametrize("method", REQUESTS)
def test_maps_equal_those_of_the_program(classifier, method):
    """To 1e-4 of their norm; another method's map differs."""
    _, result = explained(classifier, method, **REQUESTS[method])
    expected = REFERENCE[f"maps/{method}"]
    assert result.prediction.logit == pytest.approx(REFERENCE["logits"][1], rel=1e-4)
    assert np.linalg.norm(result.cam_pre_relu - expected) <= 1e-4 * np.linalg.norm(expected)


def test_full_gradients_equal_those_of_pytorch(classifier):
    """Each bias has the part of the score that PyTorch's gradients give, and all sum to the logit."""
    run, _ = explained(classifier, "fullgrad")
    found = run.scorers[0].full_gradients(classifier.preprocess(REFERENCE["image"][None])[0], 1)
    expected = [REFERENCE["input"], REFERENCE["norm"], REFERENCE["conv2"], REFERENCE["dense"]]
    assert [bias.box is None for bias in found.biases] == [False, False, True]
    for got, part in zip(found.parts, expected, strict=True):
        part = part.transpose(1, 2, 0) if part.ndim == 3 else part
        np.testing.assert_allclose(got, part, rtol=1e-4, atol=1e-7)
    total = sum(part.sum(dtype=np.float64) for part in found.parts)
    assert total == pytest.approx(REFERENCE["logits"][1], abs=1e-6)
    assert found.y_c == pytest.approx(REFERENCE["logits"][1], abs=1e-6)
