"""What `gradcam evaluate` and `compare` say of a real VGG19 on real photos."""

import json
import shutil

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def measured(cli, vgg19_weights):
    """Run `gradcam evaluate` and return the means by method, and all lines."""

    def call(*arguments, status=0):
        done = cli("evaluate", *arguments, "--weights", vgg19_weights, "--precision", "auto", "--json")
        assert done.status == status, done.stderr
        lines = [json.loads(line) for line in done.lines]
        return {mean["method"]: mean for mean in lines[-1]["means"]}, lines

    return call


def test_maps_point_at_pets(measured, data):
    """The peak is on the animal in 92 % of the photos, and half of the map; random cells are far below."""
    pets = data / "images/pets", "--annotations", data / "images/pets.json"
    limits = "--fail-under", "pointing=0.92", "--fail-under", "energy=0.5"
    means, _ = measured(*pets, *limits, "--metric", "pointing", "--metric", "energy")
    assert means["gradcam"]["maps"] == 80
    assert means["random"]["pointing"] < 0.6
    assert means["random"]["energy"] < means["gradcam"]["energy"] - 0.1


def test_the_relu_matters_to_boxes(measured, data):
    """Without it, brought to 0..1, the box is found less often: the paper's observation."""
    pets = data / "images/pets", "--annotations", data / "images/pets.json"
    means, _ = measured(*pets, "--metric", "error1", "--without-relu")
    assert means["gradcam"]["error1"] < means["gradcam without relu"]["error1"]


@pytest.mark.parametrize("base", ["blur", "mean"])
def test_pixels_of_the_map_matter(measured, data, base):
    """Deleting by the map hurts sooner, and inserting by it helps sooner, than by random cells."""
    photos = sorted((data / "images/imagenet").iterdir())[::8]
    means, _ = measured(*photos, "--metric", "deletion", "--metric", "insertion", "--base", base, "--steps", "8")
    assert means["gradcam"]["deletion"] < means["random"]["deletion"]
    assert means["gradcam"]["insertion"] > means["random"]["insertion"]


def test_sanity(measured, data):
    """Grad-CAM forgets when the top layers are random; guided backpropagation does not, and is named."""
    photos = sorted((data / "images/imagenet").iterdir())[:3]
    methods = "--method", "gradcam", "--method", "guided-backprop"
    _, lines = measured(*photos, *methods, "--metric", "drop", "--sanity")
    steps = [line for line in lines if line["status"] == "sanity" and line["behind"]]
    first = {line["method"]: line["rank"] for line in reversed(steps)}
    assert first["gradcam"] < 0.3
    assert first["guided-backprop"] > 0.5
    assert lines[-1]["insensitive"] == ["guided-backprop at input"]


def test_compare_with_a_changed_block(cli, vgg19_weights, data, tmp_path):
    """The same weights again: no drift. Block 5 drawn anew: status 4, and the sheet."""
    changed = tmp_path / "changed.h5"
    shutil.copy(vgg19_weights, changed)
    rng = np.random.default_rng(0)
    with h5py.File(changed, "r+") as file:
        for number in range(1, 5):
            kernel = file[f"block5_conv{number}/block5_conv{number}/kernel:0"]
            kernel[...] = rng.normal(0, 0.02, kernel.shape)
    photos = sorted((data / "images/imagenet").iterdir())[:4]
    made = cli(*photos, "--weights", vgg19_weights, "--layer", "block5_conv4", "--save", "npz", "-o", "before")
    assert made.status == 0
    limits = [word for name in ("class", "rank", "ssim", "iou", "peak") for word in ("--max-drift", f"{name}=1e-6")]
    again = cli("compare", "before", "vgg19", "--weights", vgg19_weights, *limits)
    assert (again.status, again.stderr) == (0, "")
    moved = cli("compare", "before", "vgg19", "--weights", changed, *limits, "--sheet", "moved.png")
    assert moved.status == 4
    assert (cli.here / "moved.png").stat().st_size > 10_000
