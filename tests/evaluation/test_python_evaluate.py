"""`gradcam_cli.evaluate` gives the numbers of `gradcam evaluate`."""

import json

import numpy as np
import pytest
from PIL import Image
from small_models import small_network

from gradcam_cli import evaluate, load_model
from gradcam_cli.errors import InputError, UsageError

IMAGES = np.random.default_rng(5).integers(0, 256, (3, 12, 12, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="0..1")


def test_numbers_are_those_of_the_command(classifier, cli):
    classifier.model.save(cli.here / "net.keras")
    paths = [cli.here / f"{i}.png" for i in range(3)]
    for path, pixels in zip(paths, IMAGES, strict=True):
        Image.fromarray(pixels).save(path)
    options = [
        "--model",
        "net.keras",
        "--preprocess",
        "0..1",
        "--metric",
        "deletion",
        "--metric",
        "road",
        "--seed",
        "3",
    ]
    done = cli("evaluate", *paths, *options, "--method", "layercam", "--steps", "5", "--json")
    printed = [json.loads(line) for line in done.lines]
    found = evaluate(paths, classifier, metrics=["deletion", "road"], methods="layercam", steps=5, seed=3, batch_size=2)
    rows = [line for line in printed if line["status"] == "ok"]
    assert [row.method for row in found.rows] == [line["method"] for line in rows]
    for row, line in zip(found.rows, rows, strict=True):
        assert row.values == pytest.approx(line["metrics"], abs=1e-5)
    arrays = evaluate(IMAGES, classifier, metrics=("deletion", "road"), methods=["layercam"], steps=5, seed=3)
    assert arrays.mean_metrics[0]["deletion"] == pytest.approx(found.mean_metrics[0]["deletion"], abs=1e-5)


def test_failures_are_listed_and_all_failures_raise(classifier, tmp_path):
    missing = tmp_path / "<none>.png"
    results = evaluate([IMAGES[0], missing], classifier, metrics="deletion")
    assert [failure.source for failure in results.failures] == [str(missing)]
    assert results.num_images == 1
    html = results._repr_html_()
    assert "<td>gradcam</td><td>1</td>" in html
    assert "&lt;none&gt;.png: cannot be read" in html
    with pytest.raises(InputError, match=r"no image was evaluated; .*none"):
        evaluate([missing], classifier, metrics="deletion")


def test_wrong_arguments_are_refused(classifier):
    for options in ({"metrics": "iou"}, {"steps": 1}, {"deletion_baseline": "pink"}, {"target_class": "top3"}):
        with pytest.raises(UsageError):
            evaluate(IMAGES, classifier, **options)
    with pytest.raises(TypeError, match="did you mean 'metrics'"):
        evaluate(IMAGES, classifier, metric="deletion")
    with pytest.raises(TypeError, match="unexpected keyword 'counterfactual'"):
        evaluate(IMAGES, classifier, counterfactual=True)
