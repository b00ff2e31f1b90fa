"""`gradcam explain`: files, grids and JSON lines."""

import json
from pathlib import Path

import numpy as np
import pytest
from directory_tree import files
from PIL import Image

KEYS = """schema_version input sha256 status error hint model weights preprocess preprocess_reason layer method
class_index class_name class_id class_members against_classes requested_class logit probability value predictions truth
map difference kind spacing windows crop_box detection_box target score max_value rgb axes window
fit interpolation counterfactual against gamma aug_smooth max_channels precision batch_size rerun_args outputs timings
versions""".split()


def test_every_kind_of_file_is_written(small, photo):
    small(photo("a.png"), *(f"--save={kind}" for kind in ("figure", "overlay", "heatmap", "npy", "npz")))
    with Image.open("a_gradcam_overlay.png") as overlay, Image.open("a_gradcam_heatmap.png") as heatmap:
        assert overlay.size == heatmap.size == (60, 40)
    arrays = np.load("a_gradcam.npz")
    np.testing.assert_array_equal(arrays["heatmap"], np.load("a_gradcam.npy"))


def test_images_are_written_as_jpeg(small, photo):
    """With --image-format or the suffix of the file; if they differ, the exit status is 2."""
    path = photo("cat.png", size=(60, 40))
    assert small(path, "--image-format", "jpg", "--save", "overlay", "--save", "npz").status == 0
    assert files(small.here) == ["cat_gradcam.npz", "cat_gradcam_overlay.jpg"]
    with Image.open(small.here / "cat_gradcam_overlay.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (60, 40))
    assert small(path, "-o", "x.jpeg").status == 0
    assert Image.open(small.here / "x.jpeg").format == "JPEG"
    assert small(path, "-o", "x.png", "--image-format", "jpg").status == 2


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_figures_and_grids_are_vector_pictures(small, photo, suffix):
    """By -o, by --image-format, on standard output; with the origin by which --skip-existing knows them."""
    path = photo("cat.png", size=(60, 40))
    start = {"pdf": b"%PDF", "svg": b"<?xml"}[suffix]
    assert small(path, "-o", f"x.{suffix}").status == 0
    assert small(path, "-o", f"grid.{suffix}", "--save", "grid").status == 0
    kinds = ("--save", "figure", "--save", "grid", "--save", "npz")
    assert small(path, "--image-format", suffix, *kinds).status == 0
    names = ["cat_gradcam.npz", f"cat_gradcam.{suffix}", f"cat_gradcam_grid.{suffix}", f"grid.{suffix}", f"x.{suffix}"]
    assert files(small.here) == names
    assert all((small.here / name).read_bytes().startswith(start) for name in names[1:])
    again = small(path, "--image-format", suffix, *kinds, "--skip-existing", "--json")
    assert json.loads(again.lines[0])["status"] == "skipped"
    changed = small(path, "--image-format", suffix, *kinds, "--skip-existing", "--json", "--contour", "0.5")
    assert json.loads(changed.lines[0])["status"] == "ok"
    assert (small.here / f"x.{suffix}").read_bytes() != (small.here / f"cat_gradcam.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--image-format", "svg", "--save", "heatmap"), "--image-format svg: heatmap has pixels only"),
        (("--image-format", "pdf", "--save", "figure", "--save", "overlay"), "overlay has pixels only"),
        (("-o", "x.svg", "--save", "npz"), "expected a file for npz, got suffix .svg"),
        (("-o", "x.pdf", "--save", "overlay"), "only figure, grid, montage and difference can be PDF or SVG files"),
        (("-o", "x.pdf", "--image-format", "svg"), "--image-format svg expects another suffix"),
        (("--contour", "1"), "1"),
        (("--clip", "100"), "100"),
        (("--blend", "screen"), "screen"),
    ],
)
def test_pictures_that_cannot_be_drawn_are_usage_errors(small, photo, options, words):
    done = small(photo("cat.png"), *options)
    assert done.status == 2
    assert words in done.stderr
    assert files(small.here) == []


def test_picture_options_change_pictures_only(small, photo):
    """Overlays differ by each option; the arrays are equal, byte by byte."""
    path, pictures, arrays = photo("cat.png", size=(60, 40)), set(), set()
    options = [(), ("--blend", "constant"), ("--background", "gray"), ("--contour", "0.5"), ("--clip", "20")]
    for option in [*options, ("--opacity", "0.4"), ("--cmap", "jet")]:
        assert small(path, "--save", "overlay", "--save", "npy", *option).status == 0
        pictures.add((small.here / "cat_gradcam_overlay.png").read_bytes())
        arrays.add((small.here / "cat_gradcam.npy").read_bytes())
    assert (len(pictures), len(arrays)) == (7, 1)


def test_grid_of_one_image_has_all_its_maps(small, photo):
    """Two classes are rows, image and two methods are columns; each JSON line has the path of the file."""
    done = small(
        *[photo("cat.png", size=(60, 40)), "--class", "top2", "--method", "gradcam", "--method", "layercam"],
        *["--save", "grid", "--json", "--dpi", 100],
    )
    entries = [json.loads(line) for line in done.lines]
    assert [entry["outputs"] for entry in entries] == [{"grid": "cat_gradcam_grid.png"}] * 4
    assert files(small.here) == ["cat_gradcam_grid.png"]
    with Image.open(small.here / "cat_gradcam_grid.png") as grid:
        width, height = grid.size
    # headings of 1.6 inches, cells of 2.5 by 1.67 inches with gaps of 0.1, and 0.9 for the color bar
    assert width == int(100 * (1.6 + 3 * 2.6 + 0.9))
    assert 2 * 2.5 * 2 / 3 < height / 100 < 2 * 2.5 * 2 / 3 + 1.3
    assert small(photo("cat.png"), "--save", "grid", "-o", "-", "--class", "top2").status == 0


def test_grid_of_several_images_has_a_row_for_each(small, photo, tmp_path):
    """Each method is a column; failed images are left out; more than 100 images are refused."""
    paths = [photo(f"{name}.png", size=(60, 60), seed=seed) for seed, name in enumerate("abc")]
    (tmp_path / "bad.png").write_bytes(b"no image")
    options = [
        "--method",
        "gradcam",
        "--method",
        "layercam",
        "--save",
        "grid",
        "--dpi",
        100,
        "-o",
        "all.jpg",
        "--json",
    ]
    done = small(*paths, tmp_path / "bad.png", *options)
    assert done.status == 1
    entries = [json.loads(line) for line in done.lines]
    assert [entry["outputs"] for entry in entries] == [{"grid": "all.jpg"}] * 6 + [{}]
    with Image.open(small.here / "all.jpg") as grid:
        assert grid.width == int(100 * (1.6 + 3 * 2.6 + 0.9))
        assert 3 * 2.5 < grid.height / 100 < 3 * 2.5 + 1.6
    done = small(*[photo("a.png")] * 101, "--save", "grid", "-o", "all.jpg")
    assert done.status == 2
    assert "expected at most 100 inputs" in done.stderr


def test_json_lines_have_all_keys(small, photo):
    """Results and failures have the same keys."""
    done = small(photo("a.png"), "missing.png", "--json", "--save", "npz")
    good, bad = map(json.loads, done.lines)
    assert list(good) == list(bad) == KEYS
    assert (good["status"], bad["status"]) == ("ok", "failed")
    assert bad["error"] == "cannot be read: No such file or directory"
    assert len(good["sha256"]) == len(good["weights"]["sha256"]) == 64
    assert good["outputs"] == {"npz": "a_gradcam.npz"}
    assert good["model"] == "small"
    assert done.status == 1


def test_each_class_and_layer_has_its_line_and_file(small, photo):
    """Three classes at two layers are six lines, each with its own file."""
    done = small(photo("a.png"), "--json", "-c", "0", "-c", "top2", "-l", "conv1", "-l", "conv2", "--save", "npy")
    entries = [json.loads(line) for line in done.lines]
    assert len({tuple(entry["outputs"].values()) for entry in entries}) == len(files(small.here)) == 6
    assert {entry["layer"] for entry in entries} == {"conv1", "conv2"}
    assert "a_gradcam_conv1_top2.npy" in files(small.here)


def test_skip_existing_writes_only_missing_files(small, photo):
    """Existing files are unchanged, and their JSON lines have the status `skipped`."""
    a, b = photo("a.png"), photo("b.png", seed=1)
    small(a)
    before = Path("a_gradcam.png").read_bytes()
    done = small(a, b, "--skip-existing", "--json")
    assert [json.loads(line)["status"] for line in done.lines] == ["skipped", "ok"]
    assert json.loads(done.lines[0])["outputs"] == {"figure": "a_gradcam.png"}
    assert Path("a_gradcam.png").read_bytes() == before
    assert small(a, "--skip-existing").status == 0
    small(a, "--class", "top2")
    entries = [json.loads(line) for line in small(a, "--class", "top2", "--skip-existing", "--json").lines]
    assert [entry["outputs"] for entry in entries] == [{"figure": f"a_gradcam_top{rank}.png"} for rank in (1, 2)]
    assert {entry["status"] for entry in entries} == {"skipped"}


def test_dry_run_writes_nothing(small, photo, tmp_path):
    photo("in/a.png")
    done = small(tmp_path / "in", "--dry-run")
    assert done.lines == [f"{tmp_path}/in/a.png -> gradcam_out/a_gradcam.png"]
    entries = [json.loads(line) for line in small(tmp_path / "in", "--dry-run", "--json", "--class", "top2").lines]
    assert [list(entry) for entry in entries] == [KEYS, KEYS]
    assert {entry["status"] for entry in entries} == {"dry_run"}
    assert entries[1]["outputs"] == {"figure": "gradcam_out/a_gradcam_top2.png"}
    assert files(small.here) == []


def test_inputs_are_never_overwritten(small, photo):
    path = photo("a.png")
    before = path.read_bytes()
    done = small(path, "-o", path)
    assert done.status == 2
    assert "it would be overwritten" in done.stderr
    assert path.read_bytes() == before


def test_unwritable_output_fails_one_input(small, photo):
    """The other input is explained; the JSON line has the status `failed`."""
    a, b = photo("a.png"), photo("b.png")
    Path("a_gradcam.png").mkdir()
    done = small(a, b, "--json")
    assert [json.loads(line)["status"] for line in done.lines] == ["failed", "ok"]
    assert "a_gradcam.png cannot be written" in done.stderr
    assert done.status == 1
