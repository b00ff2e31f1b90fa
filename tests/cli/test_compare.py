"""Two runs side by side: no drift of a network against itself, drift of a changed one, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from small_models import small_network

KINDS = ("class", "rank", "ssim", "iou", "peak")


@pytest.fixture
def runs(cli, photo, model_file, tmp_path):
    """Make results of four photos: the small network twice, and with its second convolution drawn anew."""
    for number in range(4):
        photo(f"in/{number}.png", seed=number, size=(30, 24))
    changed = small_network()
    rng = np.random.default_rng(0)
    layer = changed.get_layer("conv2")
    layer.set_weights([rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()])
    changed.save(tmp_path / "changed.keras")

    def make(folder, model, *options):
        done = cli(tmp_path / "in", "--model", model, "--preprocess", "-1..1", "--save", "npz", "-o", folder, *options)
        assert done.status == 0, done.stderr

    make("before", model_file)
    make("again", model_file)
    make("changed", tmp_path / "changed.keras")
    cli.make = make
    cli.model_file = model_file
    return cli


def test_the_same_network_twice(runs):
    """Zero drift in every measure, status 0 under the strictest limits."""
    limits = [word for kind in KINDS for word in ("--max-drift", f"{kind}=0.0000001")]
    done = runs("compare", "before", "again", "--json", *limits)
    assert (done.status, done.stderr) == (0, "")
    *lines, summary = map(json.loads, done.lines)
    assert [line["name"] for line in lines] == [f"{number}_gradcam.npz" for number in range(4)]
    assert all(line["iou"] == 1 and line["peak"] == 0 for line in lines)
    assert summary["maps"] == 4
    assert summary["drift"] == pytest.approx(dict.fromkeys(KINDS, 0), abs=1e-9)


def test_a_changed_network(runs):
    """Drift in every measure of maps, status 4, what was missed by name, and the sheet."""
    done = runs(
        "compare", "before", "changed", "--max-drift", "rank=0.05", "--max-drift", "class=1", "--sheet", "s.png"
    )
    assert done.status == 4
    assert done.stderr.count("\n") == 1
    assert "drift of rank: expected at most 0.05, got" in done.stderr
    assert [line.split()[0] for line in done.lines[-6:]] == ["drift", *KINDS]
    with Image.open(runs.here / "s.png") as sheet:
        assert sheet.size[0] > sheet.size[1] / 4
    summary = json.loads(runs("compare", "before", "changed", "--json").lines[-1])
    assert all(summary["drift"][kind] > 0 for kind in ("rank", "ssim", "iou"))


def test_the_measures_are_those_of_the_arrays(runs):
    """The rank drift of a line is one minus Spearman's correlation of the raw maps."""
    from scipy import stats

    line = json.loads(runs("compare", "before", "changed", "--json").lines[0])
    with np.load("before/0_gradcam.npz") as a, np.load("changed/0_gradcam.npz") as b:
        assert line["rank"] == pytest.approx(stats.spearmanr(a["raw"].ravel(), b["raw"].ravel()).statistic)
        assert line["before"][0] == json.loads(str(a["record"]))["class_index"]


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (["--layer", "conv1"], "layer"),
        (["--method", "layercam"], "method"),
        (["--score", "probability"], "score"),
        (["--counterfactual"], "counterfactual"),
    ],
)
def test_maps_of_different_kinds_are_refused(runs, options, key):
    runs.make("other", runs.model_file, *options)
    done = runs("compare", "before", "other")
    assert done.status == 2
    assert f"expected the same {key} in both runs" in done.stderr


def test_results_that_one_run_alone_has(runs):
    """They are named, and the status is 1; with nothing in common there is nothing to compare."""
    (runs.here / "again/2_gradcam.npz").unlink()
    done = runs("compare", "before", "again")
    assert done.status == 1
    assert "2_gradcam.npz: in one run only" in done.stderr
    shutil.rmtree(runs.here / "again")
    (runs.here / "again").mkdir()
    assert runs("compare", "before", "again").status == 3
    (runs.here / "again/other.npz").write_bytes((runs.here / "before/0_gradcam.npz").read_bytes())
    done = runs("compare", "before", "again")
    assert done.status == 3
    assert "no result in common" in done.stderr


def test_bad_arguments(runs):
    assert runs("compare", "before", "nowhere").status == 2
    for limit in ("rank", "rank=x", "colour=1", "rank=-1", "rank=nan"):
        done = runs("compare", "before", "again", "--max-drift", limit)
        assert done.status == 2, limit
        assert "expected one of class, rank" in done.stderr
    (runs.here / "before/1_gradcam.npz").write_bytes(b"PK damaged")
    done = runs("compare", "before", "again")
    assert done.status == 3
    assert "1_gradcam.npz cannot be read" in done.stderr


def test_the_photo_is_under_the_map_while_it_is_there(runs, tmp_path):
    """Without its photo a map is drawn alone, and nothing fails."""
    assert runs("compare", "before", "changed", "--sheet", "with.png", "--most", "1").status == 0
    shutil.rmtree(tmp_path / "in")
    assert runs("compare", "before", "changed", "--sheet", "without.png", "--most", "1").status == 0
    assert (runs.here / "with.png").read_bytes() != (runs.here / "without.png").read_bytes()


def test_a_model_to_run_now(runs, tmp_path):
    """The same network gives zero drift and status 0; a changed one what its directory of results gave."""
    assert runs("compare", "before", runs.model_file, "--preprocess", "-1..1", "--max-drift", "rank=1e-9").status == 0
    by_directory = runs("compare", "before", "changed", "--json")
    now = runs("compare", "before", tmp_path / "changed.keras", "--preprocess", "-1..1", "--json", "--sheet", "s.png")
    assert now.lines == by_directory.lines
    assert (runs.here / "s.png").exists()
    assert not list(tmp_path.glob("gradcam-*"))


def test_several_maps_of_each_photo_again(runs):
    """Layers, methods, classes and settings are those of the baseline."""
    options = ["--layer", "conv1", "--layer", "conv2", "--method", "layercam", "--method", "saliency"]
    runs.make(
        "many", runs.model_file, *options, "--class", "1", "--class", "top2", "--fit", "crop", "--interpolation", "0"
    )
    done = runs("compare", "many", runs.model_file, "--preprocess", "-1..1", "--json")
    assert (done.status, done.stderr) == (0, "")
    summary = json.loads(done.lines[-1])
    assert summary["maps"] == 4 * 3 * 3
    assert summary["drift"] == pytest.approx(dict.fromkeys(KINDS, 0), abs=1e-9)


def test_photos_that_changed_since(runs, photo, tmp_path):
    """A photo that is gone, or another one of its name, is said to be so; the rest is compared."""
    (tmp_path / "in/0.png").unlink()
    photo("in/1.png", seed=99, size=(30, 24))
    done = runs("compare", "before", runs.model_file, "--preprocess", "-1..1", "--json")
    assert done.status == 1
    assert "0.png: cannot be read" in done.stderr
    assert "1.png: expected the photo of the earlier run" in done.stderr
    assert json.loads(done.lines[-1])["maps"] == 2


def test_new_argument_invalid(runs):
    done = runs("compare", "before", "nothing")
    assert done.status == 2
    assert "expected a directory of results or a model" in done.stderr
