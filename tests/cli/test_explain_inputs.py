"""`gradcam explain`: files, directories, lists and standard input."""

import io
import json
import os

from directory_tree import files
from PIL import Image

from gradcam_cli.cli import gradcam


def test_directory_gives_a_mirrored_tree_in_natural_order(small, photo, tmp_path):
    """A damaged image is an error with status 1; the other images are explained."""
    for name in ("in/img10.png", "in/img2.png", "in/sub/x.jpg"):
        photo(name)
    (tmp_path / "in/broken.png").write_bytes(b"broken")
    done = small(tmp_path / "in")
    assert done.status == 1
    assert [line.split(":")[0].rpartition("/")[2] for line in done.lines] == ["img2.png", "img10.png", "x.jpg"]
    assert files(small.here / "gradcam_out") == ["img10_gradcam.png", "img2_gradcam.png", "sub/x_gradcam.png"]
    assert done.stderr.count("error:") == 1
    assert "broken.png: not an image" in done.stderr


def test_image_from_standard_input_to_standard_output(small, photo):
    """The image is read from stdin; stdout contains the PNG and nothing else."""
    content = photo().read_bytes()
    from click.testing import CliRunner

    done = CliRunner().invoke(gradcam, ["-", "-o", "-", "--save", "overlay", *_model_of(small)], input=content)
    assert done.exit_code == 0
    with Image.open(io.BytesIO(done.stdout_bytes)) as image:
        assert image.size == (60, 40)
    assert files(small.here) == []


def _model_of(small):
    return ["--model", str(small.model), "--preprocess", "-1..1"]


def test_paths_are_read_from_standard_input(small, photo):
    a, b = photo("a b.png"), photo("c\nd.png")
    done = small("--files-from", "-", stdin=f"{a}\n")
    assert done.lines[0].endswith("a b_gradcam.png")
    done = small("--files-from", "-", "-0", stdin=f"{a}\0{b}\0")
    assert len(done.lines) == 2
    assert "c\\nd_gradcam.png" in done.stdout
    assert "c\nd_gradcam.png" in files(small.here)


def test_control_characters_in_names_are_escaped(small, photo):
    done = small(photo("a\n\x1b[31mred\u202e.png"))
    assert len(done.lines) == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_name_that_is_not_unicode_is_explained(small, photo):
    path = os.fsdecode(os.fsencode(photo("plain.png").parent) + b"/caf\xe9.png")
    photo(os.path.basename(path))
    done = small(path, "--json")
    assert done.status == 0
    assert json.loads(done.stdout)["input"] == path
