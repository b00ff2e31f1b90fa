"""Uploaded files: bounded while they arrive, and decoded under the limits of photos."""

import io
import re
from urllib.parse import quote

import numpy as np
import pytest
from malformed_images import CASES, lay_out
from PIL import Image
from serving_client import blocks, png, served

from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.serving import app, image_store
from gradcam_cli.serving.image_store import MAX_UPLOAD_BYTES, ImageStore, UnknownImage, clean_name
from gradcam_cli.serving.session import Session


def upload(client, data, name="photo.png", **headers):
    return client.post("api/images", content=data, headers={"x-file-name": quote(name), **headers})


def test_an_uploaded_image_is_explained_under_its_name(mini):
    answer = upload(mini.client, png(blocks(3)), "my cat.png").json()
    assert (answer["name"], answer["width"], answer["height"]) == ("my cat.png", 120, 90)
    command = mini.json("api/map", model="m0", image=answer["id"])["command"]
    assert command.startswith("gradcam 'my cat.png' --model mini")


def test_the_same_file_has_the_same_id(mini):
    first, second = (upload(mini.client, png(blocks(4))).json()["id"] for _ in range(2))
    other = upload(mini.client, png(blocks(5))).json()["id"]
    assert first == second != other


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\cat.png", "cat.png"),
        ("", "image"),
        ("a/", "image"),
        ("\0x.png", "x.png"),
        ("n" * 500 + ".png", "n" * 196 + ".png"),
        ("x." + "p" * 500, "x." + "p" * 19),
        ("%2e%2e%2fcat.png", "cat.png"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", "caf\N{LATIN SMALL LETTER E WITH ACUTE}.png"),
    ],
)
def test_the_name_of_an_upload_is_the_last_part_of_its_path(name, cleaned):
    assert clean_name(quote(name) if "%" not in name else name) == cleaned


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.png", "\x1b[31m.png", "a\nb.png", "\u202egnp.exe"])
def test_control_characters_of_a_name_are_escaped(mini, name):
    answer = upload(mini.client, png(blocks(6)), name).json()
    shown = answer["name"] + mini.json("api/map", model="m0", image=answer["id"])["command"]
    assert not [c for c in shown if ord(c) < 32 or c in "\x1b\u202e"]


def test_a_name_that_looks_like_an_option_is_a_path(mini):
    answer = upload(mini.client, png(blocks(7)), "--model").json()
    assert mini.json("api/map", model="m0", image=answer["id"])["command"].startswith("gradcam ./--model ")


def test_a_file_above_the_limit_is_refused_by_its_length(mini, monkeypatch):
    monkeypatch.setattr(app, "MAX_UPLOAD_BYTES", 1000)
    assert upload(mini.client, b"x" * 1001).status_code == 413


def test_a_file_above_the_limit_is_refused_while_it_arrives(mini, monkeypatch):
    """Without a length, or with a wrong one, no more than the limit is read."""
    monkeypatch.setattr(app, "MAX_UPLOAD_BYTES", 1000)
    sent = []

    def parts():
        for _ in range(1000):
            sent.append(1)
            yield b"x" * 100

    assert upload(mini.client, parts()).status_code == 413


@pytest.mark.parametrize("length", ["-1", "x", "1e3", ""])
def test_a_wrong_length_is_refused(mini, length):
    assert upload(mini.client, b"x", **{"content-length": length}).status_code in (400, 422)


@pytest.mark.filterwarnings("ignore:::PIL")
def test_malformed_files_are_refused_as_on_the_command_line(mini, tmp_path):
    """Bombs, truncated files, files that are no images: 422 with the same words, or the image."""
    lay_out(tmp_path / "all")
    for case in CASES:
        path = tmp_path / "all" / case.name
        if not path.is_file() or path.stat().st_size > MAX_UPLOAD_BYTES or case.name.endswith(".npy"):
            continue
        answer = upload(mini.client, path.read_bytes(), "file")
        assert answer.status_code == (422 if case.refused else 200), (case.name, answer.text)
        if case.refused:
            error = answer.json()["error"]
            assert re.search(case.refused, error), (case.name, error)
            assert str(tmp_path) not in answer.text
            assert "Traceback" not in answer.text


def test_an_image_with_more_pixels_than_allowed_is_refused():
    client = served(Session([ModelConfig("mini")], ExplainConfig(), max_pixels=10_000)).client
    assert upload(client, png(blocks(9, 100, 100))).status_code == 200
    answer = upload(client, png(blocks(9, 100, 101)))
    assert answer.status_code == 422
    assert "10,100" in answer.json()["error"] or "pixels" in answer.json()["error"]


def test_the_oldest_uploads_are_dropped(monkeypatch):
    monkeypatch.setattr(image_store, "MAX_UPLOADS_BYTES", 3000)
    store = ImageStore()
    rng = np.random.default_rng(0)
    ids = [store.add(png(rng.integers(0, 256, (20, 20, 3), np.uint8)), f"{i}.png")[0].id for i in range(4)]
    with pytest.raises(UnknownImage):
        store.find(ids[0])
    assert store.find(ids[-1]).name == "3.png"


def test_a_picture_is_encoded_anew():
    """What follows the image in a file, and its metadata, do not reach the page."""
    client = served(Session([ModelConfig("mini")], ExplainConfig())).client
    image = upload(client, png(blocks(10)) + b"<script>hidden</script>").json()["id"]
    for kind in ("picture", "thumbnail"):
        answer = client.get(f"api/images/{image}/{kind}")
        assert answer.headers["content-type"] in ("image/png", "image/jpeg")
        assert b"hidden" not in answer.content
        Image.open(io.BytesIO(answer.content)).load()


@pytest.mark.parametrize("seed", range(3))
def test_random_damage_is_an_error_or_an_image(mini, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(png(blocks(11)))
    for _ in range(20):
        data[rng.integers(8, len(data))] = rng.integers(256)
    assert upload(mini.client, bytes(data)).status_code in (200, 422)
