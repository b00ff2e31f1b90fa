"""Maps measured through the straight line: values of an independent program, classes of annotations, baselines."""

import itertools

import numpy as np
import pytest
from small_models import small_network

from gradcam_cli import load_model
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.evaluate import EvaluationConfig, EvaluationItem, Evaluator
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import summarize
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run

PIXELS = [np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8) for seed in range(5)]


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="-1..1")


def rows_of(classifier, items, methods=("gradcam", "random"), workers=2, classes=("top",), **protocol):
    run = prepare_run(classifier, ExplainConfig(layers=("conv2",), methods=methods, classes=classes, batch_size=2))
    return list(Evaluator(run, EvaluationConfig(**{"metrics": list(METRICS), **protocol})).evaluate(items, workers))


def photos():
    return [EvaluationItem(LoadedImage(str(i), pixels)) for i, pixels in enumerate(PIXELS)]


def probability(classifier, pictures, c):
    return classifier.model(np.float32(np.asarray(pictures) / 127.5 - 1), training=False).numpy()[:, c]


@pytest.mark.parametrize("base", ["mean", "black"])
def test_values_of_an_independent_program(classifier, base):
    """Drop, increase, deletion and insertion, computed photo by photo and pixel by pixel from the maps' cells."""
    steps = 7
    for i, (gradcam, _) in enumerate(rows_of(classifier, photos(), base=base, steps=steps)):
        run = prepare_run(classifier, ExplainConfig(layers=("conv2",), interpolation="linear"))
        x = PIXELS[i].astype(np.float64)
        c = gradcam.identity["class_index"]
        from gradcam_cli.pipeline.stages import explain_images

        ((record,),) = explain_images(run, [LoadedImage(str(i), PIXELS[i])])
        L = record.heatmap  # the photo has the size of the input
        y = probability(classifier, [x], c)[0]
        o = probability(classifier, [x * L[:, :, None]], c)[0]
        assert gradcam.values["drop"] == pytest.approx(max(0, y - o) / y, abs=1e-6)
        assert gradcam.values["increase"] == float(o > y)
        ground = np.zeros_like(x) if base == "black" else np.ones_like(x) * x.mean((0, 1))
        ranked = sorted(((row, column) for row in range(12) for column in range(12)), key=lambda place: -L[place])
        for name, start, end in (("deletion", x, ground), ("insertion", ground, x)):
            curve = []
            for k in range(steps + 1):
                picture = start.copy()
                for row, column in ranked[: round(k * 144 / steps)]:
                    picture[row, column] = end[row, column]
                curve.append(probability(classifier, [picture], c)[0])
            area = sum((a + b) / 2 for a, b in itertools.pairwise(curve)) / steps
            assert gradcam.values[name] == pytest.approx(area, abs=1e-6)
            np.testing.assert_allclose(gradcam.curves[name], curve, atol=2e-6)


def test_workers_change_nothing(classifier):
    alone, together = (rows_of(classifier, photos(), workers=workers, steps=3) for workers in (1, 4))
    assert alone == together


def test_the_seed_is_of_the_noise(classifier):
    first, again, other = (
        [rows[0].values["road"] for rows in rows_of(classifier, photos(), metrics=["road"], seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_failures_keep_their_place(classifier):
    items = [photos()[0], EvaluationItem(Failure("bad", "cannot be read")), photos()[1]]
    found = rows_of(classifier, items, metrics=["drop"])
    assert [isinstance(one, Unexplained) for one in found] == [False, True, False]


def annotated(c, box=(0, 0, 6, 12), pixels=PIXELS[0], others=()):
    return EvaluationItem(LoadedImage("a", pixels), (c, *others), (Annotation("a", "thing", None, box),))


def test_the_annotated_class_is_explained(classifier):
    """Whatever the network's own choice; with several that are meant, the most probable of them."""
    p = probability(classifier, [PIXELS[0]], slice(None))[0]
    for c in range(3):
        ((gradcam, _),) = rows_of(classifier, [annotated(c)], metrics=["energy"])
        assert gradcam.identity["class_index"] == c
    last, middle, first = np.argsort(p)
    ((gradcam, _),) = rows_of(classifier, [annotated(int(last), others=(int(middle),))], metrics=["energy"])
    assert gradcam.identity["class_index"] == middle
    assert gradcam.identity["class_index"] != first


def test_localisation_by_hand(classifier):
    """The whole map has the region's share of the energy; its box is the photo, so that its overlap is known."""
    methods = ("gradcam", "centre", "whole")
    ((_, centre, whole),) = rows_of(classifier, [annotated(0, (3, 3, 9, 9))], methods)
    assert whole.values["energy"] == pytest.approx(36 / 144)
    assert whole.values["iou"] == pytest.approx(36 / 144)
    assert whole.values["pointing"] is None
    assert whole.values["deletion"] is None
    assert whole.baseline
    assert centre.values["pointing"] == 1
    ((_, corner, _),) = rows_of(classifier, [annotated(0, (0, 0, 4, 4))], methods)
    assert corner.values["pointing"] == 0


def test_localisation_errors(classifier):
    """A box that is found counts only where the class is among the predictions; all three are among five."""
    order = np.argsort(probability(classifier, [PIXELS[0]], slice(None))[0])
    for c, expected in ((order[-1], 0), (order[-2], 1), (order[0], 1)):
        ((_, whole),) = rows_of(classifier, [annotated(int(c), (0, 0, 12, 12))], ("gradcam", "whole"))
        assert (whole.values["error1"], whole.values["error5"]) == (expected, 0)


def test_without_relu(classifier):
    """The map without its ReLU, least value to 0 and largest to 1, keeps the peak and spreads the energy."""
    ((gradcam, plain, _),) = rows_of(classifier, [annotated(0, (0, 0, 6, 12))], without_relu=True, base="mean")
    assert (gradcam.method, plain.method) == ("gradcam", "gradcam without relu")
    assert gradcam.values["pointing"] == plain.values["pointing"]
    assert abs(plain.values["energy"] - 0.5) < abs(gradcam.values["energy"] - 0.5)


def test_means_by_hand(classifier):
    rows = [row for found in rows_of(classifier, photos(), metrics=["drop", "pointing"]) for row in found]
    gradcam, random = summarize(rows, ["drop", "pointing"])
    assert (gradcam["method"], gradcam["maps"], gradcam["baseline"]) == ("gradcam", 5, False)
    assert random["baseline"]
    assert gradcam["drop"] == pytest.approx(np.mean([row.values["drop"] for row in rows if row.method == "gradcam"]))
    assert gradcam["pointing"] is None
