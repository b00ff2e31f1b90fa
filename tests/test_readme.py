"""Every line of the README that a reader may type is typed here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import small_network

from gradcam_cli.commands.explain import explain
from gradcam_cli.records import _KEYS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def newcomer(tmp_path, vgg19_weights, monkeypatch):
    """A folder with a photo, a directory of photos, a model and its labels; the weights are found."""
    for name, photo in (("cat.jpg", "rocket.jpg"), ("photo.png", "chelsea.png"), ("photos/a.jpg", "grace_hopper.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "sample_images" / photo, tmp_path / name)
    for name in ("net", "old", "new"):
        small_network().save(tmp_path / f"{name}.keras")
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n")
    annotation = {"image_id": 1, "category_id": 652, "bbox": [0, 0, 512, 600]}
    boxes = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 652, "name": "military uniform"}],
        "annotations": [annotation],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    monkeypatch.setenv("GRADCAM_WEIGHTS", str(vgg19_weights))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def learned_digits(tmp_path_factory):
    """What the README's first line on Neural ODEs leaves, after an epoch."""
    folder = tmp_path_factory.mktemp("learned")
    line = next(line for block in blocks("sh") for line in block.splitlines() if "neuralode train" in line)
    words = line.split("#")[0].split()
    subprocess.run([sys.executable, "-m", "gradcam_cli", *words[1:], "--epochs", "1"], cwd=folder, check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [line for block in blocks("sh") for line in re.split(r"\n(?=\w)(?!import|for)", block.strip())]
)
def test_shell_lines(newcomer, line, request):
    if "digits.keras" in line and "train" not in line:
        shutil.copytree(request.getfixturevalue("learned_digits"), newcomer, dirs_exist_ok=True)
    if line.startswith(("gradcam compare", "gradcam report")):  # which need the lines before them
        block = next(block for block in blocks("sh") if line in block)
        subprocess.run(block[: block.index(line)], shell=True, capture_output=True, check=True)
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout or "map.png" in line


@pytest.mark.slow
def test_python_lines(newcomer):
    (block,) = blocks("python")
    assert len(block.strip().splitlines()) == 6
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(427, 640)" in done.stdout
    assert (newcomer / "cat_map.png").exists()


def test_exit_statuses_and_json_keys_are_all_there():
    for status in ("0", "1", "2", "3", "4", "130, 143"):
        assert f"| {status} |" in README
    for key in _KEYS:
        assert f"`{key}`" in README, key


def test_every_option_is_in_the_help():
    """The help of the main command names each option with a text."""
    for parameter in explain.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
