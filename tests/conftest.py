"""Fixtures: images, a small model file, the command in this process and in its own, the real weights and images."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from doc_blocks import ANNOUNCEMENT, SUMMARY, TRAINING, messages
from PIL import Image
from small_models import small_network
from tensorflow.python.framework import ops

from gradcam_cli import load_model
from gradcam_cli.cli import gradcam
from gradcam_cli.pipeline import run

DATA = os.environ.get("GRADCAM_TEST_DATA")
CACHE = Path(__file__).parent.parent / ".cache"
SAMPLES = Path(__file__).parent.parent / "sample_images"

LONG = (
    *("test_vgg19", "test_vgg19_evaluation", "test_readme", "test_docs", "test_train", "test_ode_gradients"),
    *("test_ray", "test_kills", "test_explain"),
)
"""Modules that take long. They run first, so that two processes end together."""

GROUPS = {
    **dict.fromkeys(("test_vgg19", "test_vgg19_evaluation"), "vgg19"),
    **dict.fromkeys(("test_readme", "test_docs"), "documentation"),
}
"""Modules that share a session fixture; one process runs them."""


def pytest_addoption(parser):
    parser.addoption("--extended", action="store_true", help="run the tests marked `extended` too")


def pytest_collection_modifyitems(config, items):
    """Deselect extended tests and run long modules first."""
    extended = [] if config.getoption("--extended") else [item for item in items if item.get_closest_marker("extended")]
    if extended:
        config.hook.pytest_deselected(items=extended)
        items[:] = [item for item in items if not item.get_closest_marker("extended")]

    def rank(item):
        return LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG)

    items.sort(key=lambda item: (rank(item), item.get_closest_marker("slow") is not None))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep each module, or the modules of one group, in one process.

    The marker `xdist_group` has no effect with pytest 9.2 and xdist 3.8.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ModuleScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.partition("::")[0]
            return GROUPS.get(Path(module).stem, module)

    return ModuleScheduling(config, log)


@pytest.fixture(autouse=True)
def _isolated_environment(monkeypatch, tmp_path_factory):
    """Hide the developer's weights and home directory, and the job that runs the tests, from the tests."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GRADCAM_WEIGHTS", raising=False)
    monkeypatch.delenv("GRADCAM_WEIGHTS_MIRROR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path_factory.getbasetemp() / "keras"))


@pytest.fixture(autouse=True, scope="module")
def _memory_is_freed():
    """Free the models and graphs of a module's tests, which together take more memory than a machine may have.

    TensorFlow registers the gradient of each traced `tf.custom_gradient`, such as that of a solver or of `silu`, in a
    global table, and with it the graph, for good.
    """
    registered = ops.gradient_registry._registry
    known = set(registered)
    yield
    for name in set(registered) - known:
        if name.startswith("CustomGradient-"):
            del registered[name]
    gc.collect()


@pytest.fixture(scope="session")
def data():
    """The directory of real weights and images."""
    if not DATA:
        pytest.skip("GRADCAM_TEST_DATA does not name the directory of real weights and images")
    return Path(DATA).resolve()


@pytest.fixture(scope="session")
def vgg19_weights(data):
    """The full VGG19 weight file, unpacked once."""
    target = CACHE / "vgg19.h5"
    if not target.exists():
        CACHE.mkdir(exist_ok=True)
        own = CACHE / f"vgg19-{os.getpid()}.h5"  # tests run in several processes
        subprocess.run([sys.executable, data.parent / "tools/make_vgg19_h5.py", own], check=True)
        own.replace(target)
    return target


@pytest.fixture(scope="session")
def vgg19(vgg19_weights):
    """The full VGG19, loaded once."""
    return load_model("vgg19", weights=str(vgg19_weights))


@pytest.fixture
def vgg19_loaded_once(vgg19, vgg19_weights, monkeypatch):
    """Let commands in this process share the one loaded VGG19, with its compiled functions."""

    def load(model, *, weights=None, **options):
        if (model, str(weights)) == ("vgg19", str(vgg19_weights)) and not any(options.values()):
            return vgg19
        return load_model(model, weights=weights, **options)

    monkeypatch.setattr(run, "load_model", load)


@pytest.fixture
def photo(tmp_path):
    """Write an image of random blocks and return its path."""

    def write(name="photo.png", size=(60, 40), seed=0, **save):
        rng = np.random.default_rng(seed)
        blocks = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC).save(path, **save)
        return path

    return write


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """A saved small network."""
    path = tmp_path_factory.mktemp("model") / "small.keras"
    small_network().save(path)
    return path


class CliResult:
    """Result of a command: status and streams; announcements and last lines of runs are not part of stderr."""

    def __init__(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, messages(stderr)
        self.announcements = [line.rstrip("\n") for line in ANNOUNCEMENT.findall(stderr)]
        self.summaries = [line.rstrip("\n") for line in SUMMARY.findall(stderr)]

    @property
    def lines(self):
        return self.stdout.splitlines()


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Run the command in this process, in an empty directory."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def invoke(*arguments, stdin=None):
        result = CliRunner().invoke(gradcam, [str(argument) for argument in arguments], input=stdin)
        assert "Traceback" not in result.stderr
        return CliResult(result.exit_code, result.stdout, result.stderr)

    invoke.here = here
    return invoke


@pytest.fixture
def cli_process(tmp_path):
    """Run the command in its own process, in an empty directory."""

    def start(*arguments, check=False, stdin=None, environment=None, cwd=tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "gradcam_cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            timeout=300,
            check=check,
        )
        return CliResult(done.returncode, done.stdout, done.stderr.decode())

    return start


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A directory with an image, a directory of images, an array of images, a model, its labels, and annotations."""
    photos = {"cat.jpg": "rocket.jpg", "photo.png": "chelsea.png", "photos/a.jpg": "grace_hopper.jpg"}
    photos |= {"animals/Egyptian_cat/chelsea.png": "chelsea.png", "animals/lynx/cat.png": "chelsea.png"}
    for name, photo in photos.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLES / photo, tmp_path / name)
    for name in ("net", "old", "new"):
        small_network().save(tmp_path / f"{name}.keras")
    (tmp_path / "truth.csv").write_text("image,class\nEgyptian_cat/chelsea.png,Egyptian cat\nlynx/cat.png,n02127052\n")
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n")
    np.save(tmp_path / "photos.npy", np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8))
    annotation = {"image_id": 1, "category_id": 652, "bbox": [0, 0, 512, 600]}
    boxes = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 652, "name": "military uniform"}],
        "annotations": [annotation],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained_digits(tmp_path_factory):
    """The output of the README's first command on Neural ODEs, after one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    words = f"{TRAINING} --epochs 1".split()
    subprocess.run([sys.executable, "-m", "gradcam_cli", *words[1:]], cwd=folder, check=True)
    return folder
