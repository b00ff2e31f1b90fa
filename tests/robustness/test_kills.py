"""Runs killed by SIGKILL at any moment: every file is complete, and a resumed run gives the results of one run."""

import hashlib
import random
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from halves import halves
from PIL import Image
from report_documents import document_in

from gradcam_cli.reporting.build import build_report
from gradcam_cli.reporting.run_log import load_run_log

pytestmark = pytest.mark.slow
NUM_KILLS = pytest.mark.parametrize("num_kills", [1, pytest.param(20, marks=pytest.mark.extended)])
"""One kill in `make test`, a series in `make test-all`."""
QUIET = {"check": True, "stdout": subprocess.DEVNULL}


def command(model, *arguments):
    return [sys.executable, "-m", "gradcam_cli", *map(str, arguments), "--model", str(model), "--preprocess", "none"]


def complete_files(directory):
    """Open every result, images to their last pixel and arrays to their last number, and return the paths."""
    paths = [path for path in directory.rglob("*") if path.suffix in (".png", ".jpg", ".npz")]
    for path in paths:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                assert {name: arrays[name].shape for name in arrays}
        else:
            with Image.open(path) as image:
                image.load()
    return paths


def digests(directory):
    """Return the digest of each result."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in complete_files(directory)
    }


def first_result(process):
    process.stdout.readline()


@pytest.fixture
def kill_midway():
    """Start a command, wait for its first result (in a series not always), and send SIGKILL within some seconds."""
    rng = random.Random(0)

    def start_and_kill(words, seconds, num_kills, wait=first_result, **options):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)
        if num_kills == 1 or rng.random() < 0.8:
            wait(process)
        time.sleep(rng.uniform(0, seconds))
        process.kill()
        process.communicate()

    return start_and_kill


def write_images(photo, count):
    for number in range(count):
        photo(f"images/{number}.png", size=(640, 480), seed=number)


@pytest.mark.extended
def test_resumed_run_gives_the_files_of_one_run(photo, model_file, tmp_path, kill_midway):
    """After each of 20 kills the files are complete and none is lost; the last run completes them."""
    num_kills, num_files = 20, 320
    write_images(photo, num_files // 2)
    words = [tmp_path / "images", "--save", "overlay", "--save", "npz", "--batch-size", "1", "-q"]
    subprocess.run(command(model_file, *words, "-o", tmp_path / "reference"), **QUIET)
    out = tmp_path / "interrupted"
    interrupted, before = command(model_file, *words, "-o", out, "--skip-existing"), 0
    for _ in range(num_kills):
        kill_midway(interrupted, 0.1, num_kills)
        count = len(complete_files(out)) if out.exists() else 0
        assert count >= before
        before = count
    assert 0 < before < num_files
    subprocess.run(interrupted, **QUIET)
    reference = digests(tmp_path / "reference")
    assert len(reference) == num_files
    assert digests(out) == reference


@pytest.mark.extended
@NUM_KILLS
def test_resumed_run_gives_the_report_of_one_run(photo, model_file, tmp_path, kill_midway, num_kills):
    """After each kill a partial report can be built; the resumed run has the files and the report of one run."""
    write_images(photo, max(24, 8 * num_kills))
    words = ["../images", "--save", "overlay", "--save", "npz", "--report", "--batch-size", "1", "-q", "-o", "."]
    reference, out = tmp_path / "reference", tmp_path / "interrupted"
    reference.mkdir()
    out.mkdir()
    subprocess.run(command(model_file, *words), cwd=reference, **QUIET)
    interrupted = command(model_file, *words, "--skip-existing")
    for _ in range(num_kills):
        kill_midway(interrupted, 0.1, num_kills, cwd=out)
        if any(record["status"] == "ok" for record in load_run_log(out) or ()):
            document = document_in(build_report(out).path)
            assert "killed" in document["partial"]
            images = [map_["map_image"] for entry in document["entries"] for map_ in entry["maps"]]
            assert all((out / image).is_file() for image in images)
    subprocess.run(interrupted, cwd=out, **QUIET)
    assert digests(out) == digests(reference)
    documents = [document_in(directory / "index.html") for directory in (out, reference)]
    assert documents[0]["partial"] is None
    assert documents[0]["entries"] == documents[1]["entries"]


@NUM_KILLS
def test_killed_report_command_leaves_the_old_page(photo, model_file, tmp_path, kill_midway, num_kills):
    """The page is the old one, the complete new one, or absent if there was none."""
    write_images(photo, 20)
    words = [tmp_path / "images", "--save", "npz", "--report", "-q", "-o", tmp_path / "maps"]
    subprocess.run(command(model_file, *words), **QUIET)
    page, rebuild = tmp_path / "maps/index.html", [sys.executable, "-m", "gradcam_cli", "report", tmp_path / "maps"]
    start = time.monotonic()
    subprocess.run(rebuild, **QUIET)
    seconds, complete = time.monotonic() - start, page.read_bytes()
    for number in range(num_kills):
        if number % 2:
            page.unlink(missing_ok=True)
        kill_midway(rebuild, seconds, num_kills, wait=lambda process: None)
        assert not page.exists() or page.read_bytes() == complete
        complete_files(tmp_path / "maps")
    subprocess.run(rebuild, **QUIET)
    assert page.read_bytes() == complete


@pytest.mark.extended
def test_resumed_training_gives_the_weights_of_one_training(tmp_path, kill_midway):
    """The weights are equal bit for bit after 20 kills; test_trainer.py tests one kill."""
    num_kills = 20
    data = halves(160)
    np.savez(tmp_path / "d.npz", **{name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")})
    words = [
        sys.executable,
        "-m",
        "gradcam_cli",
        "neuralode",
        "train",
        "--data",
        "d.npz",
        "--epochs",
        str(3 * num_kills),
    ]
    words += ["--batch-size", "8", "--downsampling-layers", "0", "--seed", "3", "--random-shift", "1", "-q"]
    subprocess.run([*words, "-o", "reference.keras"], cwd=tmp_path, check=True)
    interrupted, checkpoint = [*words, "-o", "interrupted.keras"], tmp_path / "interrupted.checkpoint.npz"

    def save_time():
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

    def next_checkpoint(process):
        before = save_time()
        while save_time() == before:
            assert process.poll() is None
            time.sleep(0.005)

    for _ in range(num_kills):
        resume = ["--resume"] if checkpoint.exists() else []
        kill_midway([*interrupted, *resume], 0.3, num_kills, next_checkpoint, cwd=tmp_path)
        complete_files(tmp_path)
        assert not (tmp_path / "interrupted.keras").exists()
    subprocess.run([*interrupted, "--resume"], cwd=tmp_path, check=True)
    models = [keras.saving.load_model(tmp_path / f"{name}.keras") for name in ("reference", "interrupted")]
    for reference, resumed in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(reference, resumed)
