"""Evaluation of models of signals, volumes and images of bands: every metric has a value, and a few are recomputed."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scipy import ndimage

from gradcam_cli import load_model
from gradcam_cli.auditing.api import prepare_audit
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.compare_runs import compare_runs
from gradcam_cli.evaluation.evaluate import EvaluationItem, Evaluator, MetricConfig
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.passes import Passes
from gradcam_cli.images.bands import Bands
from gradcam_cli.images.load import Failure, LoadedImage
from gradcam_cli.images.space import RANKS, Space
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

SHAPES = {"signal": (24, 2), "image": (8, 10, 5), "volume": (5, 6, 8, 1)}
METHODS = ("gradcam", "integrated-gradients", "random")
ON_INPUTS = [name for name, metric in METRICS.items() if not metric.uses_mosaics]


@pytest.fixture(scope="module", params=SHAPES)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def classifier(kind):
    *shape, channels = SHAPES[kind]
    convolution = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[len(shape)]
    x = inputs = keras.Input((*shape, channels))
    x = convolution(4, 3, padding="same", activation="relu", name="conv", kernel_initializer=normal(0))(x)
    x = keras.layers.Flatten()(x)
    outputs = keras.layers.Dense(3, activation="softmax", kernel_initializer=normal(1))(x)
    return load_model(keras.Model(inputs, outputs), preprocess="none")


def normal(seed):
    return keras.initializers.RandomNormal(stddev=0.3, seed=seed)


def loaded(kind, shape=None):
    """Return an input of values in -3..3, in the first channel, and 100 times as large in the others."""
    shape = shape or SHAPES[kind]
    values = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    values[..., 1:] *= 100
    shown = values if kind == "signal" else np.zeros((*shape[:-1], 3), np.uint8)
    return LoadedImage(kind, shown, bands=Bands(values, scaled=False), space=Space(kind)), values


def evaluate(classifier, image, annotations=(), **config):
    run = prepare_run(classifier, ExplainConfig(layers=("conv",), methods=METHODS, batch_size=4, **config))
    metrics = MetricConfig(ON_INPUTS, steps=6, also_without_relu=True)
    (result,) = Evaluator(run, metrics).evaluate([EvaluationItem(image, None, annotations)], 1)
    return result


def test_all_metrics(kind, classifier):
    """Each metric has a value for one of the maps, and those of faithfulness equal a direct computation."""
    image, x = loaded(kind)
    whole = tuple(side for side in x.shape[-2::-1])
    rows = evaluate(classifier, image, [Annotation(kind, "a", None, (*(0,) * len(whole), *whole))])
    gradcam = next(row for row in rows if row.method == "gradcam" and row.relu)
    assert [name for name in ON_INPUTS if all(row.values[name] is None for row in rows)] == []
    assert gradcam.values["energy-pointing-game"] == pytest.approx(1)
    run = prepare_run(classifier, ExplainConfig(layers=("conv",), batch_size=1))
    ((explanation,),) = explain_images(run, [image])
    c, L = explanation.prediction.index, explanation.heatmap

    def p(inputs):
        return classifier.model(np.asarray(inputs, np.float32), training=False).numpy()[:, c]

    y, o = p([x, x * L[..., None]])
    assert gradcam.values["average-drop"] == pytest.approx(max(0, y - o) / y, abs=1e-5)
    sides = [x.shape[0], *[min(x.shape[1:-1])] * 2] if x.ndim == 4 else [min(x.shape[:-1])] * (x.ndim - 1)
    blurred = ndimage.gaussian_filter(x, (*(side / 20 for side in sides), 0))
    order, curve = np.argsort(-L.ravel(), kind="stable"), []
    for k in range(7):
        replaced = np.zeros(L.size, bool)
        replaced[order[: round(k * L.size / 6)]] = True
        curve.append(p([np.where(replaced.reshape(*L.shape, 1), blurred, x)])[0])
    np.testing.assert_allclose(gradcam.curves["deletion"], curve, atol=1e-4)


def test_noise_is_a_fraction_of_the_range_of_each_channel(kind, classifier, monkeypatch):
    """The noisy inputs of `max-sensitivity` differ by up to 5 % of the range of each channel, not of 255."""
    image, x = loaded(kind)
    seen, original = [], Passes.maps

    def record(self, pixels, *args):
        seen.append(pixels)
        return original(self, pixels, *args)

    monkeypatch.setattr(Passes, "maps", record)
    evaluate(classifier, image)
    noisy = next(pixels for pixels in seen if len(pixels) == 10 and not np.array_equal(pixels[-1], x))
    largest = np.abs(noisy - x).max(axis=tuple(range(x.ndim))) / np.ptp(x, axis=tuple(range(x.ndim - 1)))
    assert ((largest > 0.04) & (largest < 0.0501)).all()


def test_an_input_of_several_windows_fails_with_a_hint(kind, classifier):
    larger = tuple(side + 4 for side in SHAPES[kind][:-1])
    image, _ = loaded(kind, (*larger, SHAPES[kind][-1]))
    result = evaluate(classifier, image, fit="windows")
    assert isinstance(result, Failure)
    assert "expected an input that one model input shows, got one of" in result.error
    assert result.hint == "use --fit squash"
    assert not isinstance(evaluate(classifier, image, fit="squash"), Failure)


def test_saved_maps_are_compared(kind, classifier, tmp_path):
    """Equal maps have no drift; one that is mirrored along its last axis has that of its arrays."""
    image, _ = loaded(kind)
    ((explanation,),) = explain_images(prepare_run(classifier, ExplainConfig(layers=("conv",), batch_size=1)), [image])
    mirrored = replace(explanation, cam=explanation.cam[..., ::-1], heatmap=explanation.heatmap[..., ::-1])
    for folder, each in {"before": explanation, "same": explanation, "mirrored": mirrored}.items():
        each.save(tmp_path / folder / "a.npz")
    assert max(compare_runs(tmp_path / "before", tmp_path / "same").drifts.values()) < 1e-12
    comparison = compare_runs(tmp_path / "before", tmp_path / "mirrored")
    length = explanation.heatmap.shape[-1]
    moved = abs(2 * explanation.peak[0] - (length - 1))
    diagonal = np.linalg.norm(np.array(explanation.heatmap.shape) - 1)
    assert comparison.drifts["peak-shift"] == pytest.approx(moved / diagonal)
    assert comparison.drifts["rank"] > 0.1
    assert comparison.save_grid(tmp_path / "grid.png").exists()


@pytest.mark.parametrize("kind", ["signal", "volume"])
def test_audits_are_of_photos(kind):
    with pytest.raises(UsageError, match="an audit requires a model of images"):
        prepare_audit(
            SimpleNamespace(rank=RANKS[kind], input_shape=SHAPES[kind], rows=None, is_regression=False), ExplainConfig()
        )
