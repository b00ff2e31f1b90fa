"""Slips on the command line: misspelt names and files, and several values in one."""

import pytest
from PIL import Image

from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.labels import Labels
from gradcam_cli.near_matches import near_file, near_matches, repeat_option


@pytest.fixture
def files(cli):
    """A directory with an image, a list, labels and a folder."""
    (cli.here / "photos").mkdir()
    for name in ("cat.jpg", "photos/dog.png"):
        Image.new("RGB", (8, 8)).save(cli.here / name)
    for name in ("names.txt", "boxes.json", "net.keras"):
        (cli.here / name).touch()
    return cli


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["cat.jpgg", "--model", "mini"], "did you mean cat.jpg?"),
        (["photo/dog.png", "--model", "mini"], "did you mean photos/dog.png?"),
        (["cat.jpg", "--model", "nett.keras"], "did you mean net.keras?"),
        (["cat.jpg", "--model", "mini", "--labels", "name.txt"], "did you mean names.txt?"),
        (["--files-from", "nams.txt"], "did you mean names.txt?"),
        (["evaluate", "cat.jpg", "--annotations", "box.json"], "did you mean boxes.json?"),
        (["compare", "photo", "mini"], "did you mean photos?"),
        (["compare", "photos", "minni"], "did you mean mini?"),
        (["report", "photo"], "did you mean photos?"),
        (["cat.jpg", "--method", "gradcan"], "did you mean gradcam?"),
        (["cat.jpg", "--fit", "squish"], "did you mean squash?"),
        (["cat.jpg", "--save", "overlai"], "did you mean overlay?"),
        (["neuralode", "gradcheck", "spirl"], "did you mean spiral?"),
        (["cat.jpg", "--model", "lite00"], "near matches: lite0; "),
        (["cat.jpg", "--model", "mini", "--cmap", "viridi"], "did you mean viridis?"),
        (["cat.jpg", "--model", "mini", "--preprocess", "vgg91"], "did you mean vgg19?"),
        (["cat.jpg", "--model", "mini", "--class", "trick"], "near matches: 9 truck"),
        (["cat.jpg", "--model", "mini", "--layer", "block5_conv5"], "near matches: block5_conv4"),
        (["evaluate", "cat.jpg", "--metric", "deletions"], "did you mean deletion?"),
        (["evaluate", "cat.jpg", "--fail-above", "average-dro=1"], "did you mean average-drop?"),
        (["config", "evaluat"], "did you mean evaluate?"),
        (["cat.jpg", "--mehtod", "gradcam"], "Did you mean one of: '--method'"),
        (["neuralode", "trai"], "Did you mean 'train'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_near_matches_are_named(files, words, hint):
    """The error and its hint name the most similar name, of what exists; nothing is printed on stdout."""
    done = files(*words)
    assert done.status in (2, 3)
    assert hint in done.stderr
    assert done.stdout == ""


def test_a_name_that_resembles_nothing_has_the_general_hint(files):
    for words in (["zzz.tif"], ["cat.jpg", "--method", "zzz"], ["compare", "zzz", "mini"]):
        assert "did you mean" not in files(*words, "--offline" if len(words) == 1 else "-q").stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--method", "gradcam,layercam"], "--method gradcam --method layercam"),
        (["--class", "cat, dog"], "--class cat --class dog"),
        (["--layer", "block5_conv4,block4_conv4"], "--layer block5_conv4 --layer block4_conv4"),
        (["--save", "overlay,npz"], "--save overlay --save npz"),
    ],
)
def test_commas_are_explained(files, words, hint):
    done = files("cat.jpg", "--model", "mini", *words)
    assert done.status == 2
    assert f"hint: repeat the option: {hint}\n" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["cat.jpg", "-o", "out.webp"],
        ["neuralode", "explain", "cat.jpg", "--model", "net.keras", "-o", "out.webp"],
        ["compare", "photos", "mini", "--grid", "out.webp"],
    ],
    ids=" ".join,
)
def test_unsupported_image_formats_of_outputs_are_refused(files, words):
    """Before any work; no directory is created."""
    done = files(*words)
    assert (done.status, done.stdout) == (2, "")
    assert "out.webp" in done.stderr
    assert ".png" in done.stderr
    assert not (files.here / "out.webp").exists()


def test_commas_of_an_option_that_is_not_repeatable_are_no_list(files):
    assert "repeat the option" not in files("cat.jpg", "--fit", "crop,pad").stderr


def test_class_names_may_contain_commas():
    """Such a class is found, and a near match of it is named."""
    labels = Labels(("tabby, cat", "dog"))
    assert resolve_classes(["tabby, cat"], labels, 2)[0].index_or_rank == 0
    with pytest.raises(UsageError) as caught:
        resolve_classes(["taby, cat"], labels, 2)
    assert caught.value.hint == "near matches: 0 tabby, cat"


def test_near_matches_ignore_case():
    assert near_matches("VGG91", ["resnet50", "vgg19", "vgg16"], 1) == ["vgg19"]
    assert repeat_option("-l", "a,") is None
    assert repeat_option("-l", "a b,c") == "repeat the option: -l 'a b' -l c"


def test_near_file_of_a_missing_folder_exists(tmp_path):
    """A folder is named only if the file is in it, and URLs are not looked up."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").touch()
    assert near_file(tmp_path / "photo" / "a.png") == f"did you mean {tmp_path}/photos/a.png?"
    assert near_file(tmp_path / "photo" / "b.png") is None
    assert near_file("s3://photos/a.png") is None


@pytest.mark.timeout(20)
def test_near_file_ends_at_a_root_that_does_not_exist(monkeypatch):
    """Such as that of a drive without a disk, whose parent is itself."""
    monkeypatch.setattr("os.path.isdir", lambda path: False)
    assert near_file("/photos/2026/a.png") is None
