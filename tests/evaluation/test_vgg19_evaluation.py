"""`gradcam evaluate` and `compare` with the full VGG19 on real images."""

import json
import shutil

import h5py
import numpy as np
import pytest

from gradcam_cli.evaluation.drift import DRIFTS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vgg19_loaded_once")]


@pytest.fixture
def evaluate(cli, vgg19_weights):
    """Run `gradcam evaluate` and return the means by method and ReLU, and all lines."""

    def call(*arguments, status=0):
        result = cli("evaluate", *arguments, "--weights", vgg19_weights, "--precision", "auto", "--json")
        assert result.status == status, result.stderr
        lines = [json.loads(line) for line in result.lines]
        means = lines[-1]["mean_metrics"]
        return {mean["method"] if mean["relu"] else f"{mean['method']} without ReLU": mean for mean in means}, lines

    return call


@pytest.mark.extended
def test_maps_point_at_pets(evaluate, data):
    """The peak is on the animal in 92 % of the images, half of the map's energy too; random maps are far below."""
    pets = data / "images/pets", "--annotations", data / "images/pets.json"
    thresholds = "--fail-under", "pointing-game=0.92", "--fail-under", "energy-pointing-game=0.5"
    means, _ = evaluate(*pets, *thresholds, "--metric", "pointing-game", "--metric", "energy-pointing-game")
    assert means["gradcam"]["maps"] == 80
    assert means["random"]["pointing-game"] < 0.6
    assert means["random"]["energy-pointing-game"] < means["gradcam"]["energy-pointing-game"] - 0.1


@pytest.mark.extended
def test_relu_improves_localization(evaluate, data):
    """Without ReLU, scaled to 0..1, fewer boxes are localized: the paper's observation."""
    pets = data / "images/pets", "--annotations", data / "images/pets.json"
    means, _ = evaluate(*pets, "--metric", "loc-error-top1", "--also-without-relu")
    assert means["gradcam"]["loc-error-top1"] < means["gradcam without ReLU"]["loc-error-top1"]


@pytest.mark.extended
@pytest.mark.parametrize("baseline", ["blur", "mean"])
def test_gradcam_is_more_faithful_than_random(evaluate, data, baseline):
    """Deletion lowers and insertion raises the probability faster than with a random map."""
    images = sorted((data / "images/imagenet").iterdir())[::8]
    means, _ = evaluate(
        *images, "--metric", "deletion", "--metric", "insertion", "--deletion-baseline", baseline, "--steps", "8"
    )
    assert means["gradcam"]["deletion"] < means["random"]["deletion"]
    assert means["gradcam"]["insertion"] > means["random"]["insertion"]


@pytest.mark.extended
def test_gradcam_is_sensitive_and_guided_backpropagation_is_not(evaluate, data):
    """Grad-CAM changes when the top layers are randomized; guided backpropagation is insensitive."""
    images = sorted((data / "images/imagenet").iterdir())[:3]
    methods = "--method", "gradcam", "--method", "guided-backprop"
    _, lines = evaluate(*images, *methods, "--metric", "average-drop", "--sanity-check")
    steps = [line for line in lines if line["status"] == "sanity" and line["all_downstream_randomized"]]
    first_rank = {line["method"]: line["rank"] for line in reversed(steps)}
    assert first_rank["gradcam"] < 0.3
    assert first_rank["guided-backprop"] > 0.5
    assert lines[-1]["insensitive_methods"] == ["guided-backprop at input"]


def test_only_changed_weights_have_drift(cli, vgg19_weights, data, tmp_path):
    """The same weights have no drift; random weights in block 5 give status 4 and a grid."""
    changed = tmp_path / "changed.h5"
    shutil.copy(vgg19_weights, changed)
    rng = np.random.default_rng(0)
    with h5py.File(changed, "r+") as file:
        for number in range(1, 5):
            kernel = file[f"block5_conv{number}/block5_conv{number}/kernel:0"]
            kernel[...] = rng.normal(0, 0.02, kernel.shape)
    images = sorted((data / "images/imagenet").iterdir())[:4]
    explained = cli(*images, "--weights", vgg19_weights, "--layer", "block5_conv4", "--save", "npz", "-o", "before")
    assert explained.status == 0
    thresholds = [word for name in DRIFTS for word in ("--max-drift", f"{name}=1e-6")]
    same = cli("compare", "before", "vgg19", "--weights", vgg19_weights, *thresholds)
    assert (same.status, same.stderr) == (0, "")
    drifted = cli("compare", "before", "vgg19", "--weights", changed, *thresholds, "--grid", "grid.png")
    assert drifted.status == 4
    assert (cli.here / "grid.png").stat().st_size > 10_000
