"""Metrics that compute maps of other inputs, classes or weights: against direct computations, and their passes."""

from collections import Counter

import numpy as np
import pytest
from small_models import small_network

from gradcam_cli import load_model
from gradcam_cli.evaluation.evaluate import EvaluationItem, Evaluator, MetricConfig
from gradcam_cli.evaluation.map_metrics import OF_ANY_MAP, OF_METHOD
from gradcam_cli.evaluation.metrics import randomization, robustness
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.methods import maps, registry
from gradcam_cli.methods.cam import Cam, gradcam
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

PIXELS = [np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8) for seed in range(3)]
PER_METHOD = sorted(OF_METHOD)


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="-1..1")


def prepare(classifier, methods, **config):
    return prepare_run(classifier, ExplainConfig(layers=("conv2",), methods=methods, batch_size=4, **config))


def evaluate(run, metrics, images=PIXELS[:1], **config):
    """Return the values of the maps of each image, by method."""
    items = [EvaluationItem(LoadedImage(str(i), pixels)) for i, pixels in enumerate(images)]
    results = Evaluator(run, MetricConfig(metrics=metrics, **config)).evaluate(items, 2)
    return [{row.method: row.values for row in rows if row.relu} for rows in results]


def heatmap(run, pixels, method="gradcam"):
    """Return the map of an input, (12, 12): the image has the size of the input."""
    (explanations,) = explain_images(run, [LoadedImage("x", pixels)])
    return next(e.heatmap for e in explanations if e.method == method), explanations[0].prediction.index


def test_every_metric_of_the_registry_has_a_function():
    elsewhere = {"average-drop", "increase-in-confidence", "deletion", "insertion", "road"}
    elsewhere |= {name for name, metric in METRICS.items() if metric.needs_annotations or metric.uses_mosaics}
    assert set(METRICS) == {*OF_ANY_MAP, *OF_METHOD, *elsewhere}


def test_robustness_equals_a_direct_computation(classifier):
    """The maps of ten noisy images, each explained for the class of the image without noise."""
    (values,) = evaluate(prepare(classifier, ("gradcam",)), ["avg-sensitivity", "max-sensitivity"], seed=4)
    L, c = heatmap(prepare(classifier, ("gradcam",)), PIXELS[0])
    run = prepare(classifier, ("gradcam",), classes=(str(c),))
    noisy = robustness.add_uniform_noise(PIXELS[0].astype(np.float32), np.random.default_rng(4))
    x = classifier.preprocess(noisy)
    result = run.gradient_function(x, np.full((10, 1), c, np.int32))
    changes = []
    for A, dA, y in zip(result.A[0], result.dA[0][0], result.y, strict=True):
        changed = maps.to_image(gradcam(A, dA).map, Box(0, 0, 12, 12), (12, 12), "linear")
        if y.argmax() == c:
            changes.append(np.linalg.norm(changed - L) / np.linalg.norm(L))
    assert changes
    assert values["gradcam"]["avg-sensitivity"] == pytest.approx(np.mean(changes), rel=1e-4)
    assert values["gradcam"]["max-sensitivity"] == pytest.approx(np.max(changes), rel=1e-4)


def test_maps_that_ignore_input_class_or_weights(classifier):
    """The center prior is perfectly robust, and fails both randomization metrics; Eigen-CAM fails at the class."""
    (values,) = evaluate(prepare(classifier, ("gradcam", "eigencam", "center", "random")), PER_METHOD)
    for name in PER_METHOD:
        if METRICS[name].family == "robustness":
            assert values["center"][name] == pytest.approx(0, abs=1e-9)
            assert values["gradcam"][name] > 0
    assert values["center"]["random-logit"] == pytest.approx(1)
    assert values["random"]["random-logit"] == pytest.approx(1)
    assert values["center"]["smooth-mprt"] == pytest.approx(1)
    assert values["eigencam"]["random-logit"] == pytest.approx(1)
    assert values["eigencam"]["smooth-mprt"] == pytest.approx(1)  # no layer upstream of conv2 has random weights
    assert values["gradcam"]["random-logit"] < 0.99
    assert values["gradcam"]["smooth-mprt"] < 0.99


def test_random_logit_is_the_similarity_to_the_map_of_the_other_class(classifier):
    run = prepare(classifier, ("gradcam",))
    (values,) = evaluate(run, ["random-logit"], seed=2)
    L, c = heatmap(run, PIXELS[0])
    other = randomization.other_class(c, 3, np.random.default_rng([2, c]))
    L_other, _ = heatmap(prepare(classifier, ("gradcam",), classes=(str(other),)), PIXELS[0])
    assert values["gradcam"]["random-logit"] == pytest.approx(randomization.random_logit(L, L_other), abs=1e-5)


def test_weights_are_restored(classifier):
    before = [variable.numpy() for variable in classifier.model.variables]
    evaluate(prepare(classifier, ("gradcam", "saliency")), ["smooth-mprt"])
    for variable, value in zip(classifier.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_coherency_and_adcc_equal_a_direct_computation(classifier):
    run = prepare(classifier, ("gradcam",))
    (values,) = evaluate(run, ["average-drop", "coherency", "adcc"])
    L, c = heatmap(run, PIXELS[0])
    x = classifier.preprocess((PIXELS[0] * L[:, :, None]).astype(np.float32)[None])
    result = run.gradient_function(x, np.full((1, 1), c, np.int32))
    masked = maps.to_image(gradcam(result.A[0][0], result.dA[0][0, 0]).map, Box(0, 0, 12, 12), (12, 12), "linear")
    coherent = (1 + np.corrcoef(L.ravel(), masked.ravel())[0, 1]) / 2
    found = values["gradcam"]
    assert found["coherency"] == pytest.approx(coherent, abs=1e-5)
    parts = (coherent, 1 - L.mean(), 1 - found["average-drop"])
    assert found["adcc"] == pytest.approx(3 / sum(1 / part for part in parts), abs=1e-5)


def test_completeness_belongs_to_integrated_gradients_alone(classifier):
    """The sum of the signed values, over the three channels, against two logits."""
    run = prepare(classifier, ("gradcam", "integrated-gradients", "saliency"))
    (values,) = evaluate(run, ["completeness"])
    assert values["gradcam"]["completeness"] is None
    assert values["saliency"]["completeness"] is None
    (explanations,) = explain_images(run, [LoadedImage("x", PIXELS[0])])
    attributions = next(e for e in explanations if e.method == "integrated-gradients")
    c = attributions.prediction.index
    logits = run.scorers[0].scores(classifier.preprocess(np.stack([PIXELS[0], np.zeros_like(PIXELS[0])])))[:, c]
    difference = float(logits[0] - logits[1])
    expected = abs((attributions.cam_pre_relu.sum() - difference) / difference)
    assert values["integrated-gradients"]["completeness"] == pytest.approx(expected, abs=1e-4)
    assert expected < 0.05


def test_input_invariance_of_gradients_and_of_a_black_baseline(classifier):
    """A gradient does not change with the shift; the black patch of occlusion is another color after it."""
    run = prepare(classifier, ("gradcam", "saliency", "guided-backprop", "integrated-gradients", "occlusion"))
    (values,) = evaluate(run, ["input-invariance"])
    assert values["gradcam"]["input-invariance"] is None
    assert values["saliency"]["input-invariance"] == pytest.approx(0, abs=1e-4)
    assert values["guided-backprop"]["input-invariance"] == pytest.approx(0, abs=1e-4)
    assert values["integrated-gradients"]["input-invariance"] > 0.05
    assert values["occlusion"]["input-invariance"] > 0.05


def test_maps_without_relu_have_no_value_of_a_method(classifier):
    items = [EvaluationItem(LoadedImage("x", PIXELS[0]))]
    evaluator = Evaluator(
        prepare(classifier, ("gradcam",)), MetricConfig(["entropy", "max-sensitivity"], also_without_relu=True)
    )
    ((with_relu, without),) = evaluator.evaluate(items, 1)
    assert with_relu.values["max-sensitivity"] is not None
    assert without.values["max-sensitivity"] is None
    assert without.values["entropy"] > with_relu.values["entropy"]


def test_values_of_multi_pass_methods_under_noise(classifier):
    """Methods that run the model several times are computed for the noisy inputs, too."""
    (values,) = evaluate(prepare(classifier, ("occlusion", "smoothgrad")), ["max-sensitivity", "smooth-mprt"])
    for method in ("occlusion", "smoothgrad"):
        assert values[method]["max-sensitivity"] > 0
        assert abs(values[method]["smooth-mprt"]) < 1


def test_seed_determines_all_values(classifier):
    run = prepare(classifier, ("gradcam",))
    names = [*OF_ANY_MAP, *OF_METHOD]
    first, again, other = (evaluate(run, names, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.fixture
def passes(monkeypatch):
    """Count the inputs of all forward passes of scorers, and those of forward and backward passes."""
    counts = Counter()
    run_padded = ModelScorer._run_padded

    def counted(self, function, inputs, max_batch):
        counts["scored"] += len(inputs)
        return run_padded(self, function, inputs, max_batch)

    monkeypatch.setattr(ModelScorer, "_run_padded", counted)
    return counts


@pytest.mark.parametrize(
    ("metrics", "explained", "scored"),
    [
        (["entropy", "gini", "effective-complexity"], 1, 0),
        (["avg-sensitivity", "max-sensitivity", "local-lipschitz", "relative-input-stability"], 11, 1),
        (["infidelity", "sensitivity-n"], 1, 65),
        (["coherency"], 4, 0),
        (["adcc", "average-drop"], 4, 3),
        (["random-logit"], 2, 1),
        (["smooth-mprt"], 21, 0),
    ],
)
def test_metrics_share_their_passes(classifier, passes, metrics, explained, scored):
    """Inputs of forward and backward passes, and of forward passes alone, for three maps of one image."""
    run = prepare(classifier, ("gradcam", "layercam", "random"))
    inputs = []

    def counted(x, classes):
        inputs.append(len(np.unique(x, axis=0)))  # without padding
        return run.gradient_function(x, classes)

    counted_run = prepare(classifier, ("gradcam", "layercam", "random"))
    object.__setattr__(counted_run, "gradient_function", counted)
    evaluate(counted_run, metrics)
    assert (sum(inputs), passes["scored"]) == (explained, scored)


def test_maps_of_zeros_have_no_value(classifier, monkeypatch):
    """They are left out of the means, and counted."""
    zeros = registry.Method(lambda A, dA: Cam(None, np.zeros(A.shape[:2], np.float32)), "cam", "zeros")
    monkeypatch.setitem(registry.METHODS, "gradcam", zeros)
    (values,) = evaluate(prepare(classifier, ("gradcam",)), [*OF_ANY_MAP, *OF_METHOD])
    assert set(values["gradcam"].values()) == {None}


def test_a_single_score_has_no_other_class():
    """A model of one number, as of a regression: the other metrics have values."""
    classifier = load_model(small_network(classes=1, activation="linear"), preprocess="-1..1")
    assert classifier.class_count == 1
    (values,) = evaluate(prepare(classifier, ("layercam",), score="output"), ["random-logit", "entropy"])
    assert values["layercam"]["random-logit"] is None
    assert values["layercam"]["entropy"] is not None
