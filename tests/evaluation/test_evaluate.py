"""The evaluator: metrics against an independent computation, annotated classes, baselines."""

import itertools

import numpy as np
import pytest
from small_models import small_network

from gradcam_cli import load_model
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.evaluate import EvaluationItem, Evaluator, MetricConfig
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import summarize
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

PIXELS = [np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8) for seed in range(5)]


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="-1..1")


def evaluate(classifier, items, methods=("gradcam", "random"), threads=2, **config):
    run = prepare_run(classifier, ExplainConfig(layers=("conv2",), methods=methods, batch_size=2))
    return list(Evaluator(run, MetricConfig(**{"metrics": list(METRICS), **config})).evaluate(items, threads))


def items():
    return [EvaluationItem(LoadedImage(str(i), pixels)) for i, pixels in enumerate(PIXELS)]


def probabilities(classifier, inputs, c):
    return classifier.model(np.float32(np.asarray(inputs) / 127.5 - 1), training=False).numpy()[:, c]


@pytest.mark.parametrize("baseline", ["mean", "black"])
def test_faithfulness_equals_an_independent_computation(classifier, baseline):
    """Average drop, increase, deletion and insertion, computed image by image and pixel by pixel."""
    steps = 7
    run = prepare_run(classifier, ExplainConfig(layers=("conv2",)))
    for i, (gradcam, _) in enumerate(evaluate(classifier, items(), deletion_baseline=baseline, steps=steps)):
        x = PIXELS[i].astype(np.float64)
        c = gradcam.metadata["class_index"]
        ((explanation,),) = explain_images(run, [LoadedImage(str(i), PIXELS[i])])
        L = explanation.heatmap  # the image has the size of the model input
        y = probabilities(classifier, [x], c)[0]
        o = probabilities(classifier, [x * L[:, :, None]], c)[0]
        assert gradcam.values["average-drop"] == pytest.approx(max(0, y - o) / y, abs=1e-6)
        assert gradcam.values["increase-in-confidence"] == float(o > y)
        replacement = np.zeros_like(x) if baseline == "black" else np.ones_like(x) * x.mean((0, 1))
        ranked = sorted(((row, column) for row in range(12) for column in range(12)), key=lambda pixel: -L[pixel])
        for name, start, end in (("deletion", x, replacement), ("insertion", replacement, x)):
            curve = []
            for k in range(steps + 1):
                changed = start.copy()
                for row, column in ranked[: round(k * 144 / steps)]:
                    changed[row, column] = end[row, column]
                curve.append(probabilities(classifier, [changed], c)[0])
            area = sum((a + b) / 2 for a, b in itertools.pairwise(curve)) / steps
            assert gradcam.values[name] == pytest.approx(area, abs=1e-6)
            np.testing.assert_allclose(gradcam.curves[name], curve, atol=2e-6)


def test_results_do_not_depend_on_the_number_of_threads(classifier):
    single, several = (evaluate(classifier, items(), threads=threads, steps=3) for threads in (1, 4))
    assert single == several


def test_seed_determines_the_noise_of_road(classifier):
    first, repeated, other = (
        [rows[0].values["road"] for rows in evaluate(classifier, items(), metrics=["road"], seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == repeated
    assert first != other


def test_failures_keep_their_position(classifier):
    first, second, *_ = items()
    failure = EvaluationItem(Failure("bad", "cannot be read"))
    results = evaluate(classifier, [first, failure, second], metrics=["average-drop"])
    assert [isinstance(result, Unexplained) for result in results] == [False, True, False]


def annotated(c, box=(0, 0, 6, 12), pixels=PIXELS[0], others=()):
    return EvaluationItem(LoadedImage("a", pixels), (c, *others), (Annotation("a", "thing", None, box),))


def test_annotated_class_is_explained(classifier):
    """Whatever the prediction; of several candidates the most probable class."""
    p = probabilities(classifier, [PIXELS[0]], slice(None))[0]
    for c in range(3):
        ((gradcam, _),) = evaluate(classifier, [annotated(c)], metrics=["energy-pointing-game"])
        assert gradcam.metadata["class_index"] == c
    last, middle, first = np.argsort(p)
    ((gradcam, _),) = evaluate(
        classifier, [annotated(int(last), others=(int(middle),))], metrics=["energy-pointing-game"]
    )
    assert gradcam.metadata["class_index"] == middle
    assert gradcam.metadata["class_index"] != first


def test_localization_of_baselines_by_hand(classifier):
    """The uniform map has the object's share of the energy; its box is the full image."""
    methods = ("gradcam", "center", "uniform")
    ((_, center, uniform),) = evaluate(classifier, [annotated(0, (3, 3, 9, 9))], methods)
    assert uniform.values["energy-pointing-game"] == pytest.approx(36 / 144)
    assert uniform.values["iou"] == pytest.approx(36 / 144)
    assert uniform.values["pointing-game"] is None
    assert uniform.values["deletion"] is None
    assert uniform.baseline
    assert center.values["pointing-game"] == 1
    ((_, corner, _),) = evaluate(classifier, [annotated(0, (0, 0, 4, 4))], methods)
    assert corner.values["pointing-game"] == 0


def test_localization_error_requires_class_and_box(classifier):
    """A localized box counts only if the class is among the predictions; all three classes are among the top five."""
    order = np.argsort(probabilities(classifier, [PIXELS[0]], slice(None))[0])
    for c, expected in ((order[-1], 0), (order[-2], 1), (order[0], 1)):
        ((_, uniform),) = evaluate(classifier, [annotated(int(c), (0, 0, 12, 12))], ("gradcam", "uniform"))
        assert (uniform.values["loc-error-top1"], uniform.values["loc-error-top5"]) == (expected, 0)


def test_map_without_relu_is_an_extra_row(classifier):
    """Scaled to 0..1 by its minimum and maximum, it has the same peak and spreads the energy."""
    ((gradcam, pre_relu, _),) = evaluate(
        classifier, [annotated(0, (0, 0, 6, 12))], also_without_relu=True, deletion_baseline="mean"
    )
    assert (gradcam.method, gradcam.relu, pre_relu.method, pre_relu.relu) == ("gradcam", True, "gradcam", False)
    assert gradcam.values["pointing-game"] == pre_relu.values["pointing-game"]
    assert abs(pre_relu.values["energy-pointing-game"] - 0.5) < abs(gradcam.values["energy-pointing-game"] - 0.5)


def test_means_by_hand(classifier):
    rows = [
        row
        for image_rows in evaluate(classifier, items(), metrics=["average-drop", "pointing-game"])
        for row in image_rows
    ]
    gradcam, random = summarize(rows, ["average-drop", "pointing-game"])
    assert (gradcam["method"], gradcam["maps"], gradcam["baseline"]) == ("gradcam", 5, False)
    assert random["baseline"]
    assert gradcam["average-drop"] == pytest.approx(
        np.mean([row.values["average-drop"] for row in rows if row.method == "gradcam"])
    )
    assert gradcam["pointing-game"] is None
