"""`gradcam INPUT... --truth`: right and wrong predictions of a network whose scores are worked by hand."""

import json
import math

import numpy as np
import pytest
from color_network import SIZE, paint, write_color_network
from directory_tree import files
from PIL import Image

RED_OF_B = math.exp(100 / 255) / (math.exp(100 / 255) + math.exp(200 / 255) + 1)
"""Probability of red for an image (100, 200, 0): softmax of the means of its channels."""
BLUE_OF_D = math.exp(90 / 255) / (math.exp(0.5) + math.exp(100 / 255) + math.exp(90 / 255))
"""Probability of blue for an image that is (255, 100, 0) on the left and (0, 100, 180) on the right."""
SUMMARY = "accuracy 0.500 (2 of 4 right), 1 unknown"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_color_network(tmp_path_factory.mktemp("network") / "colors.keras")


@pytest.fixture
def colors(cli, network, tmp_path):
    """Run the command on five images: two right, two wrong, one in a folder that is no class."""
    paint(tmp_path / "in/red/a.png", (255, 0, 0))
    paint(tmp_path / "in/red/b.png", (100, 200, 0))
    paint(tmp_path / "in/blue/c.png", (0, 0, 255))
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[:, : SIZE // 2], pixels[:, SIZE // 2 :] = (255, 100, 0), (0, 100, 180)
    (tmp_path / "in/blue").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(tmp_path / "in/blue/d.png")
    paint(tmp_path / "in/misc/e.png", (0, 255, 0))

    def invoke(*words, inputs=(tmp_path / "in",)):
        return cli(*inputs, "--model", network, "--preprocess", "0..1", "--save", "npz", "-o", "out", *words)

    invoke.here, invoke.images = cli.here, tmp_path / "in"
    return invoke


def by_name(done):
    return {record["input"][-5]: record for record in map(json.loads, done.lines)}


def test_lines_name_right_wrong_and_unknown_predictions(colors):
    done = colors("--truth", "parent")
    ends = {line.partition(":")[0][-5]: line.rpartition(" | ")[2] for line in done.lines[:-1]}
    assert ends == {
        "a": "right",
        "b": f"wrong: true class 0 red ({RED_OF_B:.3f}, rank 2)",
        "c": "right",
        "d": f"wrong: true class 2 blue ({BLUE_OF_D:.3f}, rank 3)",
        "e": "unknown: class 'misc' not found",
    }
    assert (done.status, done.lines[-1]) == (0, SUMMARY)
    assert "note: true class unknown for 1 image: class 'misc' not found" in done.stderr


def test_json_has_class_probability_and_rank_of_the_true_class(colors):
    done = colors("--truth", "parent", "--json")
    truths = {name: record["truth"] for name, record in by_name(done).items()}
    assert {name: truth["right"] for name, truth in truths.items()} == {
        "a": True,
        "b": False,
        "c": True,
        "d": False,
        "e": None,
    }
    assert truths["b"] == {
        "label": "red",
        "class_index": 0,
        "class_name": "red",
        "rank": 2,
        "right": False,
        "unknown": None,
        "probability": pytest.approx(RED_OF_B, rel=1e-5),
        "predicted_index": 1,
        "predicted_name": "green",
    }
    assert (truths["e"]["label"], truths["e"]["class_index"], truths["e"]["rank"]) == ("misc", None, None)
    assert SUMMARY in done.stderr
    assert by_name(colors("--json"))["a"]["truth"] is None


def test_table_gives_the_classes_and_may_lack_images(colors):
    table = colors.here / "t.csv"
    table.write_bytes("\ufeffimage,class\r\nred/a.png,0\r\nd.png,RED\r\nblue/c,name:green\r\nb.png,pink\r\n".encode())
    truths = {name: record["truth"] for name, record in by_name(colors("--truth", "t.csv", "--json")).items()}
    assert {name: truth["right"] for name, truth in truths.items()} == {
        "a": True,
        "b": None,
        "c": False,
        "d": True,
        "e": None,
    }
    assert truths["e"]["unknown"] == "it has no row in the table, or no folder"


@pytest.mark.parametrize(("only", "names", "rest"), [("wrong", "bd", "2 right"), ("right", "ac", "2 wrong")])
def test_only_some_images_get_maps_and_the_others_are_counted(colors, only, names, rest):
    done = colors("--truth", "parent", "--only", only)
    assert sorted(name[-13] for name in files(colors.here / "out")) == list(names)
    assert len(done.lines) == 3
    assert done.lines[-1] == f"{SUMMARY}; left out by --only {only}: {rest}, 1 unknown"
    records = by_name(colors("--truth", "parent", "--only", only, "--json", "--method", "scorecam"))
    assert {name for name, record in records.items() if record["status"] == "ok"} == set(names)
    left_out = records["e"]
    assert (left_out["status"], left_out["hint"]) == ("skipped", f"left out by --only {only}")
    assert (left_out["outputs"], left_out["predictions"][0]["name"]) == ({}, "green")


def test_skipped_images_are_still_right_or_wrong(colors):
    """Their files carry it, so the accuracy does not change; another true class replaces them."""
    options = ("--truth", "parent", "--only", "wrong", "--skip-existing", "--save", "figure")
    first = colors(*options)
    again = colors(*options)
    assert first.lines[-1] == again.lines[-1]
    assert len(again.lines) == 1
    (colors.here / "t.csv").write_text("image,class\na.png,red\nb.png,blue\nc.png,blue\nd.png,blue\n")
    changed = colors("--truth", "t.csv", *options[2:], "-v")
    assert "replaced, it had another true class" in changed.stderr
    assert [line.partition(":")[0][-5] for line in changed.lines if "->" in line] == ["b"]


def test_difference_of_both_maps_by_hand(colors):
    """L_c = relu(A_c / 64) on a plane of 64 cells; d.png is red 1 on the left and blue 180/255 on the right."""
    options = ("--class", "top", "--class", "truth", "--save", "difference")
    done = colors("--truth", "parent", *options, "--json")
    records = [record for record in map(json.loads, done.lines) if record["input"].endswith("d.png")]
    assert [(record["requested_class"], record["class_name"]) for record in records] == [
        ("top1", "red"),
        ("truth", "blue"),
    ]
    with np.load(records[1]["outputs"]["npz"]) as arrays:
        difference, true_map = arrays["difference"], arrays["cam"]
    expected = np.full((SIZE, SIZE), 1 / 64)
    expected[:, SIZE // 2 :] = -180 / 255 / 64
    np.testing.assert_allclose(difference, expected, rtol=1e-5)
    np.testing.assert_allclose(true_map, np.where(expected < 0, -expected, 0), rtol=1e-5)
    with np.load(records[0]["outputs"]["npz"]) as arrays:
        assert "difference" not in arrays
    assert records[1]["outputs"]["difference"].endswith("d_gradcam_difference.png")
    assert len([name for name in files(colors.here / "out") if "difference" in name]) == 4  # unknown: none
    assert "e_gradcam_truth.npz" not in " ".join(files(colors.here / "out"))


def test_image_without_a_true_class_fails_if_only_that_is_explained(colors):
    done = colors("--truth", "parent", "--class", "truth")
    assert done.status == 1
    assert "e.png: its true class is unknown: class 'misc' not found" in done.stderr
    assert done.lines[-1] == "accuracy 0.500 (2 of 4 right), 0 unknown; not counted: 1 failed"


def test_difference_is_written_to_a_named_file_and_to_standard_output(colors, cli, network):
    options = ["--model", network, "--preprocess", "0..1", "--truth", "parent", "-c", "top", "-c", "truth"]
    path = colors.images / "red/b.png"
    assert cli(path, *options, "--save", "difference", "-o", "d.png").status == 0
    assert Image.open(cli.here / "d.png").width > 500
    done = cli(path, *options, "--save", "difference", "-o", "-")
    assert done.status == 0
    assert "PNG" in done.stdout[:8]
    assert "accuracy 0.000 (0 of 1 right)" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "wrong"], "--only wrong requires --truth"),
        (["--class", "truth"], "class truth requires --truth"),
        (["--truth", "parent", "--save", "difference"], "--save difference requires the maps"),
        (["--truth", "none.csv"], "--truth none.csv cannot be read"),
        (["--truth", "parent", "--target", "segment"], "--target segment"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(colors, words, message):
    done = colors(*words)
    assert (done.status, files(colors.here / "out") if (colors.here / "out").exists() else []) in [(2, []), (3, [])]
    assert message in done.stderr


def test_table_of_other_classes_is_refused_and_all_unknown_is_said(colors):
    (colors.here / "t.csv").write_text("image,class\na.png,cat\n")
    done = colors("--truth", "t.csv")
    assert done.status == 2
    assert "none of its classes is one of the model" in done.stderr
    done = colors("--truth", "parent", inputs=[colors.images / "misc"])
    assert done.lines[-1] == "accuracy unknown, 1 unknown"
    assert "no image has a known true class: nothing is right or wrong" in done.stderr


def test_true_classes_of_the_table_are_protected(colors):
    (colors.here / "t.csv").write_text("image,class\na.png,red\n")
    done = colors("--truth", "t.csv", "-o", "t.csv")
    assert done.status == 2
    assert (colors.here / "t.csv").read_text() == "image,class\na.png,red\n"
