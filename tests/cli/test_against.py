"""`--against`, `--gamma`, groups of classes and `--expect`, with a network whose scores are worked by hand."""

import json
import math

import numpy as np
import pytest
from color_network import SIZE, write_color_network
from directory_tree import files
from PIL import Image
from report_documents import document_in

from gradcam_cli import explain, load_model
from gradcam_cli.errors import InputError, UsageError

HALF = SIZE // 2


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_color_network(tmp_path_factory.mktemp("network") / "colors.keras")


@pytest.fixture
def colors(cli, network, tmp_path):
    """Run the command on an image that is (255, 100, 0) on the left and (0, 100, 180) on the right."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[:, :HALF], pixels[:, HALF:] = (255, 100, 0), (0, 100, 180)
    path = tmp_path / "in/d.png"
    path.parent.mkdir()
    Image.fromarray(pixels).save(path)

    def invoke(*words):
        return cli(path, "--model", network, "--preprocess", "0..1", *words)

    invoke.here, invoke.image, invoke.network = cli.here, path, network
    return invoke


def halves(red, green, blue):
    """Return sum_k alpha_k A_k on the left and on the right for alpha = (red, green, blue) / 64."""
    return (red * 255 + green * 100) / 255 / 64, (green * 100 + blue * 180) / 255 / 64


def values(array):
    return array[0, 0], array[0, -1]


def test_a_contrast_is_in_the_map_the_record_and_the_file_name(colors):
    """Red against green and blue: alpha = (1, -0.3, -0.3) / 64."""
    done = colors("--against", "green", "--against", "2", "--json", "--save", "npz", "-o", "out")
    (record,) = map(json.loads, done.lines)
    assert (record["against"], record["gamma"], record["class_name"]) == (["green", "2"], 0.6, "red")
    assert [(each["index"], each["name"]) for each in record["against_classes"]] == [(1, "green"), (2, "blue")]
    assert files(colors.here / "out") == ["d_gradcam_against-green-2.npz"]
    with np.load(record["outputs"]["npz"]) as arrays:
        np.testing.assert_allclose(values(arrays["cam"]), np.maximum(halves(1, -0.3, -0.3), 0), rtol=1e-5)
        saved = json.loads(str(arrays["metadata"]))
    assert (saved["against"], saved["against_classes"]) == (record["against"], record["against_classes"])


def test_nearest_classes_are_those_with_the_nearest_scores(colors):
    """The scores are 0.5, 0.392 and 0.353: green is nearest to red."""
    done = colors("--against", "nearest1", "--gamma", "0.5", "--json", "--save", "npz", "-o", "out")
    (record,) = map(json.loads, done.lines)
    assert [each["name"] for each in record["against_classes"]] == ["green"]
    assert files(colors.here / "out") == ["d_gradcam_against-nearest1_gamma-0.5.npz"]
    assert "against 1 green" in colors("--against", "nearest1").lines[0]
    with np.load(record["outputs"]["npz"]) as arrays:
        np.testing.assert_allclose(values(arrays["cam"]), np.maximum(halves(1, -0.5, 0), 0), rtol=1e-5)
    every = json.loads(colors("--against", "nearest", "--json").lines[0])
    assert [each["name"] for each in every["against_classes"]] == ["green", "blue"]  # there are only two others


def test_the_command_of_a_record_repeats_the_contrast(colors):
    done = colors("--against", "gr*", "--gamma", "0.7", "--class", "blue", "--json")
    (record,) = map(json.loads, done.lines)
    assert record["rerun_args"][:4] == ["--against", "gr*", "--gamma", "0.7"]
    again = json.loads(colors(*record["rerun_args"], "--class", "2", "--json").lines[0])
    assert again["map"] == record["map"]


def test_compare_requires_the_same_contrast(colors, cli):
    for name, words in {"a": (), "b": ("--against", "green"), "c": ("--against", "green", "--gamma", "0.5")}.items():
        assert colors("--save", "npz", "-o", f"{name}/d.npz", *words).status == 0
    for other, key in (("a", "against"), ("c", "gamma")):
        done = cli("compare", "b", other)
        assert (done.status, f"expected the same {key} in both runs" in done.stderr) == (2, True)
    assert cli("compare", "b", "b").status == 0


def test_a_map_of_an_earlier_version_has_no_contrast(colors, cli):
    colors("--save", "npz", "-o", "new/d.npz")
    with np.load("new/d.npz") as arrays:
        saved = dict(arrays)
    metadata = json.loads(str(saved["metadata"]))
    saved["metadata"] = np.array(json.dumps({k: v for k, v in metadata.items() if k not in ("against", "gamma")}))
    (colors.here / "old").mkdir()
    np.savez("old/d.npz", **saved)
    assert cli("compare", "old", "new").status == 0


def test_a_group_lists_its_members(colors):
    """`*e*` is red, green and blue; `*re*` is red and green."""
    done = colors("--class", "*re*", "--json", "--save", "npz", "-o", "out")
    (record,) = map(json.loads, done.lines)
    p = np.exp([0.5, 100 / 255, 90 / 255])
    p /= p.sum()
    assert (record["class_index"], record["class_name"], record["requested_class"]) == (None, "*re*", "*re*")
    assert [each["name"] for each in record["class_members"]] == ["red", "green"]
    assert record["probability"] == pytest.approx(p[0] + p[1], rel=1e-5)
    share = p[:2] / p[:2].sum()
    with np.load(record["outputs"]["npz"]) as arrays:
        np.testing.assert_allclose(values(arrays["cam"]), np.maximum(halves(*share, 0), 0), rtol=1e-5)
    assert "*re* (2 classes)" in colors("--class", "*re*").lines[0]
    assert colors("--class", "*re*", "--method", "scorecam", "--method", "occlusion").status == 0


def test_one_map_for_each_class_against_a_group(colors):
    done = colors("--class", "blue", "--against", "*re*", "--json")
    (record,) = map(json.loads, done.lines)
    (group,) = record["against_classes"]
    assert (group["index"], group["name"]) == (None, "*re*")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--against", "green", "--method", "scorecam"), "--against does not support the method scorecam"),
        (("--against", "green", "--method", "eigencam"), "--against does not support the method eigencam"),
        (("--against", "green", "--target", "segment"), "--against: expected --target class"),
        (("--against", "gren"), "--against: class 'gren' not found"),
        (("--against", "green", "--class", "1"), "--against green: the explained class 1 is among the contrasted ones"),
        (("--against", "green", "--class", "*re*"), "the explained class *re* is among the contrasted ones"),
        (("--against", "nearest3"), "--against nearest3: expected 1 to 2 other classes, got 3"),
        (("--against", "nearest0"), "--against nearest0: expected 1 to 2 other classes, got 0"),
        (("--against", "top2"), "--against top2: expected a class, nearest or nearestN"),
        (("--gamma", "0.5"), "--gamma 0.5 requires --against"),
        (("--class", "*violet*"), "class '*violet*': no class matches"),
        (("--class", "*"), "class '*': all classes match"),
        (("--class", "red*", "--class", "gre?n*", "--target", "class@x"), "output 'x' not found"),
        (("--expect", "violet"), "--expect: class 'violet' not found"),
        (("--expect", "green", "--truth", "parent"), "--expect and --truth exclude each other"),
        (("--expect", "green", "--class", "red"), "--expect and --class exclude each other"),
    ],
)
def test_what_has_no_contrast_or_group_is_refused(colors, words, message):
    done = colors(*words)
    assert done.status == 2
    assert message in done.stderr
    assert files(colors.here) in ([], ["in/d.png"])


def test_a_pattern_without_a_match_names_near_classes(colors):
    assert "near matches: 1 green" in colors("--class", "gre*x").stderr


def test_an_image_whose_class_is_the_contrasted_one_fails(colors):
    done = colors("--against", "red")
    assert done.status == 3
    assert "--against red: the explained class of this image is 0 red" in done.stderr


def test_a_single_output_has_no_contrast(cli, photo, tmp_path):
    from small_models import small_network

    small_network(1, "sigmoid").save(tmp_path / "binary.keras")
    done = cli(photo(), "--model", tmp_path / "binary.keras", "--preprocess", "none", "--against", "nearest")
    assert done.status == 2
    assert "expected a model with an output for each class" in done.stderr


def test_the_python_function_takes_classes_and_a_weight(network, colors):
    classifier = load_model(network, preprocess="0..1")
    result = explain(colors.image, classifier, target_class="red", against=["green", 2], gamma=0.5)
    np.testing.assert_allclose(values(result.cam_pre_relu), halves(1, -0.25, -0.25), rtol=1e-5)
    assert [each.name for each in result.prediction.against] == ["green", "blue"]
    assert "against 0.5 times the mean of 1 green, 2 blue" in result.title
    assert explain(colors.image, classifier, against="nearest1").prediction.against[0].name == "green"
    with pytest.raises(InputError, match="the explained class of this image is 0 red"):
        explain(colors.image, classifier, against=0)
    with pytest.raises(UsageError, match="gamma: expected a positive number, got 0"):
        explain(colors.image, classifier, against=1, gamma=0)
    with pytest.raises(UsageError, match="against: expected a list of texts"):
        explain(colors.image, classifier, against=[None])


def test_augmented_copies_have_the_contrast_of_the_image(network, colors):
    """Maps of copies with other scores are contrasted with the classes that are nearest in the image."""
    classifier = load_model(network, preprocess="0..1")
    named = explain(colors.image, classifier, against="green", aug_smooth=True)
    nearest = explain(colors.image, classifier, against="nearest1", aug_smooth=True)
    np.testing.assert_array_equal(named.cam, nearest.cam)


def test_expect_writes_one_picture_and_one_line(colors):
    """Red is predicted and blue expected: L = relu(A_c / 64) of both, and their difference."""
    done = colors("--expect", "blue", "--json", "-o", "out")
    (record,) = map(json.loads, done.lines)
    assert files(colors.here / "out") == ["d_gradcam_expect-blue_difference.png"]
    assert (record["class_name"], record["difference"]["predicted"]["name"]) == ("blue", "red")
    assert (record["truth"]["right"], record["truth"]["rank"]) == (False, 3)
    places = {key: record["difference"][key]["raw_max"] for key in ("predicted_map", "for_predicted", "for_true")}
    expected = {"predicted_map": 1 / 64, "for_predicted": 1 / 64, "for_true": 180 / 255 / 64}
    assert places == pytest.approx(expected, rel=1e-5)
    assert record["difference"]["for_predicted"]["box"] == [0, 0, HALF, SIZE]
    assert record["difference"]["for_true"]["box"] == [HALF, 0, SIZE, SIZE]
    p = math.exp(90 / 255) / (math.exp(0.5) + math.exp(100 / 255) + math.exp(90 / 255))
    text = colors("--expect", "blue", "-o", "text")
    assert f" | expected 2 blue ({p:.3f}, rank 3)" in text.lines[0]
    assert text.lines[-1] == "0 of 1 as expected"


def test_expect_says_when_the_prediction_is_as_expected(colors):
    done = colors("--expect", "red")
    assert done.lines[0].endswith(" | as expected")
    assert done.lines[-1] == "1 of 1 as expected"


def test_the_report_names_the_contrasted_classes(colors):
    """So does the command that it lists."""
    colors("--class", "*re*", "--against", "blue", "--gamma", "0.5", "--report", "-o", "out")
    (entry,) = document_in(colors.here / "out/index.html")["entries"]
    (shown,) = entry["maps"]
    assert shown["numbers"][:2] == [["classes of the group", "red, green"], ["contrasted with", "0.5 times blue"]]
    assert {*shown["command"].split()} >= {"--against", "blue", "--gamma", "0.5", "--class", "'*re*'"}
