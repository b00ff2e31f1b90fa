"""`to_dict` of the records of each function gives the lines that its command prints with `--json`."""

import json

import keras
import numpy as np
import pytest
from color_network import paint, write_color_network
from small_models import small_network

import gradcam_cli
from gradcam_cli import Failure, audit, compare, evaluate, explain_many, layers, load_model
from gradcam_cli.pipeline.json_lines import ENVELOPE

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}
OPTIONS = ("--preprocess", "0..1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two networks, and an image for each color in the folder of its class, between them one that cannot be read."""
    folder = tmp_path_factory.mktemp("records")
    write_color_network(folder / "old.keras")
    (folder / "new.labels.txt").write_text("red\ngreen\nblue\n")
    changed = keras.saving.load_model(folder / "old.keras")
    changed.get_layer("predictions").set_weights([np.eye(3)[:, [0, 2, 1]], np.zeros(3)])
    changed.save(folder / "new.keras")
    for name, color in COLORS.items():
        paint(folder / f"in/{name}/a.png", color)
    (folder / "in/green/b.png").write_bytes(b"no image")
    return folder


def printed(done):
    """Return the JSON lines of a command without the keys that all lines share."""
    lines = [json.loads(line) for line in done.lines]
    assert all(key in line for line in lines for key in ENVELOPE)
    return [{key: line[key] for key in line if key not in ENVELOPE} for line in lines]


def records(results, *, summary=True):
    """Return the JSON objects of a result's items and of the result, after a round trip through JSON."""
    found = [each.to_dict() for each in (*results, *([results] if summary else []))]
    assert json.loads(json.dumps(found, allow_nan=False)) == found  # also: no tuples, no other types
    for each in (results, *results):
        assert "\n" not in repr(each)
        assert len(repr(each)) < 300
    return found


@pytest.mark.parametrize("model", ["mini", "old.keras"])
def test_layers(cli, folder, model):
    model = model if model == "mini" else folder / model
    found = layers(model)
    assert records(found, summary=False) == printed(cli("layers", model, "--json"))
    assert found.default.path == layers(load_model(model, preprocess="0..1", weights="none")).default.path
    assert f"<td>{found.default.path}</td>" in found._repr_html_()


def test_layers_name_the_default_and_why_others_are_excluded(folder):
    found = {layer.path: layer for layer in layers(small_network())}
    assert [path for path, layer in found.items() if layer.default] == ["conv2"]
    assert found["conv1"].shape == (10, 10, 4)
    assert found["conv1"].num_params == 3 * 3 * 3 * 4 + 4
    assert found["conv1"].excluded is None


def test_explanations(cli, folder):
    """Files, the options of the command and times belong to a run of the command."""
    done = cli(folder / "in", "--model", folder / "old.keras", *OPTIONS, "--truth", "parent", "--json")
    paths = [folder / f"in/{name}.png" for name in ("blue/a", "green/a", "green/b", "red/a")]
    options = {"preprocess": "0..1", "truth": "parent", "on_error": "yield"}
    found = [each.to_dict() for each in explain_many(paths, folder / "old.keras", **options)]
    of_the_command = ("outputs", "rerun_args", "timings", "batch_size")
    for record, line in zip(found, printed(done), strict=True):
        if record["status"] == "failed":
            assert record == {key: line[key] for key in record}
            continue
        assert list(record) == list(line)
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        for key in set(line) - set(of_the_command):
            assert record[key] == line[key], key
        assert record["truth"]["right"]


def test_failures():
    failure = Failure("a.png", "cannot be read", "look")
    assert failure.to_dict() == {"status": "failed", "input": "a.png", "error": "cannot be read", "hint": "look"}


@pytest.fixture
def runs(cli, folder):
    """Maps of both networks; one map is damaged, and one is in one run only."""
    for model in ("old", "new"):
        done = cli(folder / "in", "--model", folder / f"{model}.keras", *OPTIONS, "--save", "npz", "-o", model)
        assert done.status == 1, done.stderr
    (cli.here / "new/blue/a_gradcam.npz").write_bytes(b"PK")
    (cli.here / "new/red/a_gradcam.npz").unlink()
    return cli


def test_comparison_of_two_directories(runs, folder):
    done = runs("compare", "old", "new", "--truth", "parent", "--labels", folder / "new.labels.txt", "--json")
    found = compare("old", "new", truth="parent", labels=folder / "new.labels.txt")
    assert records(found) == printed(done)
    assert [record["status"] for record in records(found)] == ["unmatched", "failed", "ok", "summary"]
    assert "1 maps, 1 in one run only, 1 damaged" in found._repr_html_()


def test_comparison_with_a_model(runs, folder):
    """The maps of the model are on disk as long as the comparison, also for its grid."""
    done = runs("compare", "old", folder / "new.keras", *OPTIONS, "--json")
    found = compare("old", folder / "new.keras", preprocess="0..1")
    assert records(found) == printed(done)
    assert len(found.changes) == 3
    assert found.save_grid("grid.png").is_file()
    directory = found.after
    assert directory.is_dir()
    del found
    assert not directory.exists()


def test_comparison_lists_images_that_a_model_cannot_explain(runs, folder):
    path = folder / "in/red/a.png"
    before = path.read_bytes()
    try:
        path.write_bytes(b"changed")
        found = compare("old", folder / "new.keras", preprocess="0..1")
    finally:
        path.write_bytes(before)
    assert [failure.source for failure in found.failures] == [str(path)]
    assert found.unmatched == ["red/a_gradcam.npz"]


EVALUATION = {
    "sanity check": (["--metric", "deletion", "--sanity-check"], {"metrics": "deletion", "sanity_check": True}),
    "without ReLU": (["--metric", "entropy", "--also-without-relu"], {"metrics": "entropy", "also_without_relu": True}),
    "truth": (
        ["--metric", "gini", "--truth", "parent", "--class", "truth"],
        {"metrics": "gini", "truth": "parent", "target_class": "truth"},
    ),
}


@pytest.mark.parametrize("name", EVALUATION)
def test_evaluation(cli, folder, name):
    words, options = EVALUATION[name]
    shared = {"methods": ["gradcam", "layercam"], "seed": 3, "preprocess": "0..1", "layers": "auto"}
    done = cli(
        *("evaluate", folder / "in", "--model", folder / "old.keras", *OPTIONS, "--method", "gradcam"),
        *("--method", "layercam", "--seed", "3", *words, "--json"),
    )
    paths = [folder / f"in/{each}.png" for each in ("blue/a", "green/a", "green/b", "red/a")]
    found = evaluate(paths, folder / "old.keras", **shared, **options)
    assert records(found) == printed(done)
    assert [record["status"] for record in records(found)].index("failed") not in (0, len(found.records))


def test_evaluation_with_annotations(cli, folder):
    """The annotated box is the left half of an image whose map is uniform: half of its sum is inside."""
    table = cli.here / "boxes.csv"
    table.write_text("red/a.png,red,0,0,4,8\n")
    words = ("--metric", "energy-pointing-game", "--annotations", table, "--labels", folder / "new.labels.txt")
    done = cli("evaluate", folder / "in/red/a.png", "--model", folder / "old.keras", *OPTIONS, *words, "--json")
    options = {"annotations": table, "labels": folder / "new.labels.txt", "preprocess": "0..1"}
    found = evaluate([folder / "in/red/a.png"], folder / "old.keras", metrics="energy-pointing-game", **options)
    assert records(found) == printed(done)
    assert found.mean_metrics[0]["energy-pointing-game"] == pytest.approx(0.5)


def test_evaluation_on_mosaics(cli, folder):
    """Four images of four classes are required; the error of the function is that of the command."""
    words = ("--metric", "family:mosaics", "--mosaic-probability", "0")
    done = cli("evaluate", folder / "in", "--model", folder / "old.keras", *OPTIONS, *words, "--json")
    with pytest.raises(gradcam_cli.GradcamError) as caught:
        evaluate([folder / "in/red/a.png"], folder / "old.keras", metrics="family:mosaics", preprocess="0..1")
    assert f"error: {caught.value.message}" in done.stderr


def test_audit(cli, folder, tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    for number in range(6):
        for name, color in COLORS.items():
            paint(tmp_path / f"many/{name}/{number}.png", tuple(value // int(rng.integers(1, 4)) for value in color))
    options = ("--truth", "parent", "--concepts", "1", "--min-images", "5", "-o", "out")
    done = cli("audit", tmp_path / "many", "--model", folder / "old.keras", *OPTIONS, *options, "--json")
    found = audit(
        tmp_path / "many", folder / "old.keras", preprocess="0..1", truth="parent", num_concepts=1, min_images=5
    )
    assert records(found) == printed(done)
    assert f"<td>{found.classes[0].label}</td>" in found._repr_html_()
    assert found.check(max_marks=len(found.marks)) == []
