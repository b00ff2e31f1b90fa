"""`--skip-existing` keeps a file only if it was made from the same image, model and settings."""

import json
import struct
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from small_models import small_network

from gradcam_cli.images.encode import read_comment
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.origin import HEAD_BYTES, differences, read_origin


@pytest.fixture
def run(cli, photo, tmp_path, monkeypatch):
    """Explain an image with a small network; return the status of its JSON line, standard error, and the passes."""
    keras.utils.set_random_seed(0)
    small_network().save(tmp_path / "net.keras")
    image, passes = photo("a.png"), []
    original = stages.run_batches

    def run_batches(*args, **kwargs):
        for result in original(*args, **kwargs):
            passes.append(result)
            yield result

    monkeypatch.setattr(stages, "run_batches", run_batches)

    def call(*options):
        passes.clear()
        model = ("--model", tmp_path / "net.keras", "--preprocess", "none")
        done = cli(image, *model, "--json", *options)
        assert done.status == 0, done.stderr
        return {json.loads(line)["status"] for line in done.lines}, done.stderr, len(passes)

    call.image = image
    call.model = tmp_path / "net.keras"
    return call


REPLACED = "1 existing file was replaced"
SAVED = ("figure", "overlay", "heatmap", "grid", "npz")


@pytest.mark.parametrize("save", SAVED)
@pytest.mark.parametrize("image_format", ["png", "jpg"])
def test_an_equal_run_computes_nothing(run, save, image_format):
    options = ("--save", save, "--image-format", image_format)
    assert run(*options) == ({"ok"}, "", 1)
    path = next(Path().iterdir())
    before = path.read_bytes()
    assert run(*options, "--skip-existing") == ({"skipped"}, "", 0)
    assert path.read_bytes() == before


def other_image(run):
    with Image.open(run.image) as image:
        pixels = np.array(image)
    Image.fromarray(255 - pixels).save(run.image)


def other_weights(run):
    keras.utils.set_random_seed(1)
    small_network().save(run.model)


CHANGES = {
    "image": (other_image, ()),
    "weights": (other_weights, ()),
    "layer": (None, ("--layer", "conv1")),
    "class": (None, ("--class", "0")),
    "score": (None, ("--score", "probability")),
    "fit": (None, ("--fit", "crop")),
    "preprocessing": (None, ("--preprocess", "-1..1")),
    "counterfactual": (None, ("--counterfactual",)),
    "colors": (None, ("--cmap", "gray")),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("save", ["overlay", "npz"])
def test_files_of_another_image_model_or_setting_are_replaced(run, change, save):
    function, options = CHANGES[change]
    run("--save", save)
    path = next(Path().iterdir())
    before = path.read_bytes()
    if function:
        function(run)
    if (change, save) == ("colors", "npz"):  # arrays have no colors
        assert run("--save", save, "--skip-existing", *options)[0] == {"skipped"}
        return
    statuses, stderr, passes = run("--save", save, "--skip-existing", *options)
    assert (statuses, passes) == ({"ok"}, 1)
    assert REPLACED in stderr
    assert path.read_bytes() != before
    assert run("--save", save, "--skip-existing", *options) == ({"skipped"}, "", 0)


def test_the_method_is_part_of_the_name_unless_it_is_gradcam(run):
    """Two runs with different methods do not share a file."""
    for method in ("gradcam", "layercam", "eigencam"):
        run("--method", method, "--skip-existing")
    assert sorted(map(str, Path().iterdir())) == [
        "a_gradcam.png",
        "a_gradcam_eigencam.png",
        "a_gradcam_layercam.png",
    ]


def text_chunk(keyword, text):
    data = keyword + b"\0" + text
    return struct.pack(">I", len(data)) + b"tEXt" + data + struct.pack(">I", zlib.crc32(b"tEXt" + data))


PNG_HEAD = 33
"""Bytes of the signature and the header of a PNG file."""


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "no comment", "deep", "long", "list", "number"])
def test_damaged_and_foreign_files_are_replaced(run, kind):
    run("--save", "overlay")
    path = next(Path().iterdir())
    good = path.read_bytes()
    with Image.open(path) as image:
        image.load()
        image.info.clear()
        image.save(path, "PNG")
    plain = path.read_bytes()
    texts = {
        "deep": b'{"origin": ' * 20_000,
        "long": b'{"origin": {"sha256": "' + b"x" * 3_000_000 + b'"}}',
        "list": b'{"origin": []}',
        "number": b'{"origin": {"sha256": 1, "maps": {}}}',
    }
    content = {"empty": b"", "text": b"hello", "cut": good[:60], "no comment": plain}
    chunk = text_chunk(b"gradcam", texts.get(kind, b""))
    path.write_bytes(content.get(kind, plain[:PNG_HEAD] + chunk + plain[PNG_HEAD:]))
    statuses, stderr, _ = run("--save", "overlay", "--skip-existing")
    assert statuses == {"ok"}
    assert REPLACED in stderr
    assert path.read_bytes() == good


def test_npy_files_have_no_origin_and_are_replaced(run):
    run("--save", "npy")
    statuses, stderr, _ = run("--save", "npy", "--skip-existing")
    assert statuses == {"ok"}
    assert REPLACED in stderr


def test_a_missing_kind_does_not_make_the_others_stale(run):
    """Of two kinds one exists: both are written, and none counts as replaced."""
    run("--save", "overlay")
    statuses, stderr, _ = run("--save", "overlay", "--save", "npz", "--skip-existing")
    assert (statuses, REPLACED in stderr) == ({"ok"}, False)


def test_random_weights_are_never_skipped(cli, photo):
    image = photo("a.png")
    for _ in range(2):
        done = cli(image, "--model", "mini", "--weights", "none", "--json", "--skip-existing")
        assert json.loads(done.stdout)["status"] == "ok"


def test_a_picture_tells_what_it_shows(run):
    """The comment has layer, class, settings and hashes, and no path."""
    run("--save", "overlay", "--layer", "conv1", "--class", "2", "--method", "hirescam")
    path = Path("a_gradcam_hirescam_overlay.png")
    comment = json.loads(read_comment(path.read_bytes()[:HEAD_BYTES]))
    (shown,) = comment["maps"]
    assert (shown["layer"], shown["method"], shown["class_index"], shown["score"]) == ("conv1", "hirescam", 2, "logit")
    assert comment["origin"]["maps"] == [["conv1", "hirescam", "2"]]
    assert str(run.image.parent) not in json.dumps(comment)
    with Image.open(path) as image:
        assert json.loads(image.text["gradcam"]) == comment


def test_differences_are_named():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": None}) == ["b"]
    assert differences(None, {"a": 1}) == ["origin"]
    assert read_origin(Path("missing.png")) is None
