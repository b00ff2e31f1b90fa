"""`gradcam audit` and `audit` on a network whose scores are the means of the colors, with a mark of known effect."""

import json

import numpy as np
import pytest
from color_network import NAMES, SIZE, write_color_network
from PIL import Image

import gradcam_cli
from gradcam_cli.errors import UsageError

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytestmark = pytest.mark.slow

IMAGES, MARKED = 60, 40
GREEN = 51
PLACE = (slice(4, 8), slice(1, 5))  # rows, columns
PATTERN = np.array([[255, 0, 255, 0], [0, 255, 0, 0], [255, 0, 255, 0], [0, 0, 0, 255]])
RISE = 6 * 255 / SIZE**2 / 255
"""Six red pixels over images without red raise the mean of red, which is the score, by 6/64."""


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """Noise; green images have one green and no red, blue ones no red; forty red images have a pattern in red."""
    folder, rng = tmp_path_factory.mktemp("audit"), np.random.default_rng(0)
    write_color_network(folder / "colors.keras")
    for name in NAMES:
        (folder / "in" / name).mkdir(parents=True)
        for number in range(IMAGES):
            pixels = rng.integers(0, 200, (SIZE, SIZE, 3), dtype=np.uint8)
            if name != "red":
                pixels[..., 0] = 0
            if name == "green":
                pixels[..., 1] = GREEN
            if name == "red" and number < MARKED:
                pixels[*PLACE] = 0
                pixels[*PLACE, 0] = PATTERN
            Image.fromarray(pixels).save(folder / "in" / name / f"{number:02}.png")
    return folder


@pytest.fixture
def colors(cli, data_set):
    def invoke(*words, truth=("--truth", "parent")):
        model = ("--model", data_set / "colors.keras", "--preprocess", "0..1")
        return cli("audit", data_set / "in", *model, "--concepts", "1", "-o", "out", *truth, *words)

    invoke.here = cli.here
    return invoke


def test_the_planted_mark_is_found_with_its_place_and_its_effect(colors):
    """The box is that of the pattern, its members are the marked images, and pasting raises the score by 6/64.

    The importance of green's one concept, its channel, is the drop of the score from 51/255 to zero.
    """
    done = colors("--json")
    *classes, end = map(json.loads, done.lines)
    assert done.status == 0
    (mark,) = (mark for each in classes for mark in each["marks"])
    assert classes[0]["marks"] == [mark]
    assert mark["concept"] == 1
    assert mark["box"] == [1, 4, 5, 8]
    assert sorted(name[-6:-4] for name in mark["inputs"]) == [f"{number:02}" for number in range(MARKED)]
    assert (mark["images"], mark["others"], mark["fraction"]) == (MARKED, 0, MARKED / IMAGES)
    assert mark["effect"] == pytest.approx({"mean": RISE, "low": RISE, "high": RISE}, abs=1e-6)
    trials = 3 * IMAGES * 36  # classes, images, windows of 3 pixels
    assert mark["p_value"] == pytest.approx(trials * (5 * 60 / (5 * 60 + 120)) ** MARKED)
    drop = dict.fromkeys(("mean", "low", "high"), GREEN / 255)
    assert (classes[1]["class_name"], classes[1]["concepts"][0]["importance"]) == (
        "green",
        pytest.approx(drop, abs=1e-3),
    )
    assert (end["status"], end["marks"], end["images"], end["failed"]) == ("audit", 1, 3 * IMAGES, 0)


def test_max_marks_sets_the_exit_status(colors):
    failed = colors("--max-marks", "0")
    assert failed.status == 4
    assert failed.stderr == "FAILED: number of marks: expected at most 0, got 1 (--max-marks)\n"
    assert failed.lines[-1].startswith("mark in class 0 red: columns 1 to 5, rows 4 to 8; in 40 of 60 images (00.png, ")


def test_images_of_no_class_fail_and_the_others_are_audited(colors, data_set):
    """A folder that is no class of the model gives the status 1."""
    try:
        (data_set / "in/misc").mkdir()
        Image.new("RGB", (SIZE, SIZE)).save(data_set / "in/misc/x.png")
        done = colors("--json")
    finally:
        (data_set / "in/misc/x.png").unlink()
        (data_set / "in/misc").rmdir()
    records = list(map(json.loads, done.lines))
    assert done.status == 1
    assert [record["status"] for record in records] == ["class", "class", "class", "failed", "audit"]
    assert "its true class is unknown" in records[3]["error"]


def test_the_page_shows_marks_and_concepts_without_scripts(colors):
    """Every picture of the page exists, and its policy allows no script."""
    done = colors("--max-marks", "1")
    assert done.status == 0
    html = (colors.here / "out/index.html").read_text()
    sources = [part.partition('"')[0] for part in html.split('src="')[1:]]
    assert len(sources) == 4  # three concepts and a mark
    assert all((colors.here / "out" / source).is_file() for source in sources)
    assert "<script" not in html
    assert "script-src" not in html
    assert "40 of 60 images of the class, 0 of other classes" in html
    assert done.summaries[0].startswith("180 images, 1 mark in out/")


def test_max_images_draws_at_random_and_says_so(colors):
    done = colors("--max-images", "90", "--json")
    assert json.loads(done.lines[-1])["left_out"] == 90
    assert "90 of 180 images are drawn at random" in done.stderr


def test_the_function_returns_the_records_of_the_command(data_set):
    """Predicted classes, without --truth: green and blue images have the blue noise as their largest mean."""
    options = {"preprocess": "0..1", "num_concepts": 1}
    result = gradcam_cli.audit(data_set / "in", data_set / "colors.keras", truth="parent", **options)
    ((each, mark),) = result.marks
    assert (each.label, mark.box, len(mark.sources)) == ("0 red", (1, 4, 5, 8), MARKED)
    predicted = gradcam_cli.audit(data_set / "in", data_set / "colors.keras", **options)
    assert sum(one.images for one in predicted.classes) == 3 * IMAGES
    with pytest.raises(UsageError, match="num_concepts: expected a positive integer, got 0"):
        gradcam_cli.audit(data_set / "in", data_set / "colors.keras", num_concepts=0)


def test_without_enough_images_of_any_class_nothing_is_audited(colors):
    """The status is 3, and the hint names the option; images of one class only give a note."""
    done = colors("--min-images", "61")
    assert done.status == 3
    assert "no class can be audited: expected 61 images of a class, got at most 60" in done.stderr
    assert "smaller --min-images" in done.stderr


def test_images_of_one_class_have_no_marks(cli, data_set):
    model = ("--model", data_set / "colors.keras", "--preprocess", "0..1", "--concepts", "1", "--truth", "parent")
    done = cli("audit", data_set / "in/red", *model, "--json")
    assert done.status == 0
    assert json.loads(done.lines[-1])["marks"] == 0
    assert "all images are of one class" in done.stderr
