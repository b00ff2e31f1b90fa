"""Runs that are interrupted: killed at any moment, on a full disk, without memory. What is there is whole, and told."""

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from halves import halves
from PIL import Image
from report_documents import document_in
from small_models import small_network

from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.models.classifier import load_model
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.report.build import build_report
from gradcam_cli.report.run_log import load_run_log

KINDS = ["--save", "overlay", "--save", "npz"]
KILLS = 20 if os.environ.get("GRADCAM_TELL_TRIED") else 3
"""Moments at which a run is killed: all of them under `make hard`."""


def command(model, *arguments):
    return [sys.executable, "-m", "gradcam_cli", *map(str, arguments), "--model", str(model), "--preprocess", "none"]


def check_whole(folder):
    """Open every result: pictures to their last pixel, arrays to their last number."""
    found = [path for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".npz")]
    for path in found:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                assert {name: arrays[name].shape for name in arrays}
        else:
            with Image.open(path) as image:
                image.load()
    return found


def contents(folder):
    """Return the digests of all results."""
    found = check_whole(folder)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture
def kill_midway():
    """Start a command, and kill it without warning within so many seconds, mostly after it has begun its work."""
    rng = random.Random()

    def start_and_kill(kind, words, seconds, begun=lambda started: started.stdout.readline(), **options):
        started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)
        if rng.random() < 0.8:
            begun(started)
        time.sleep(rng.uniform(0, seconds))
        started.kill()
        started.communicate()

    return start_and_kill


def photos_of(photo, count):
    for number in range(count):
        photo(f"photos/{number}.png", size=(640, 480), seed=number)


@pytest.mark.slow
def test_a_batch_killed_at_any_moment_and_resumed(photo, model_file, tmp_path, kill_midway):
    """What a killed run leaves is whole and more than before; the last one gives what one run gives."""
    photos_of(photo, 8 * KILLS)
    arguments = [tmp_path / "photos", *KINDS, "--batch-size", "1", "-q"]
    subprocess.run(command(model_file, *arguments, "-o", tmp_path / "reference"), check=True, stdout=subprocess.DEVNULL)
    out = tmp_path / "interrupted"
    interrupted, before = command(model_file, *arguments, "-o", out, "--skip-existing"), 0
    for _ in range(KILLS):
        kill_midway("batches killed and resumed", interrupted, 0.1)
        found = len(check_whole(out)) if out.exists() else 0
        assert found >= before
        before = found
    assert 0 < before < 16 * KILLS
    subprocess.run(interrupted, check=True, stdout=subprocess.DEVNULL)
    reference = contents(tmp_path / "reference")
    assert len(reference) == 16 * KILLS
    assert contents(out) == reference


@pytest.mark.slow
def test_runs_with_a_report_killed_and_resumed(photo, model_file, tmp_path, kill_midway):
    """A page can be made of what any killed run left; that of the last shows what the page of one run shows."""
    photos_of(photo, 8 * KILLS)
    arguments = ["../photos", "--save", "overlay", "--report", "--batch-size", "1", "-q", "-o", "."]
    for name in ("reference", "interrupted"):
        (tmp_path / name).mkdir()
    reference, out = tmp_path / "reference", tmp_path / "interrupted"
    subprocess.run(command(model_file, *arguments), cwd=reference, check=True, stdout=subprocess.DEVNULL)
    interrupted = command(model_file, *arguments, "--skip-existing")
    for _ in range(KILLS):
        kill_midway("runs with a report killed and resumed", interrupted, 0.1, cwd=out)
        if any(record["status"] == "ok" for record in load_run_log(out) or ()):
            document = document_in(build_report(out))
            assert "killed" in document["partial"]
            shown = [map_["map_image"] for entry in document["entries"] for map_ in entry["maps"]]
            assert all((out / picture).is_file() for picture in shown)
    subprocess.run(interrupted, cwd=out, check=True, stdout=subprocess.DEVNULL)
    assert contents(out) == contents(reference)
    pages = [document_in(folder / "index.html") for folder in (out, reference)]
    assert pages[0]["partial"] is None
    assert pages[0]["entries"] == pages[1]["entries"]


@pytest.mark.slow
def test_the_writing_of_a_report_killed(photo, model_file, tmp_path, kill_midway):
    """The page of before stays until there is a whole one."""
    photos_of(photo, 20)
    arguments = [tmp_path / "photos", "--save", "npz", "--report", "-q", "-o", tmp_path / "maps"]
    subprocess.run(command(model_file, *arguments), check=True, stdout=subprocess.DEVNULL)
    page, words = tmp_path / "maps/index.html", [sys.executable, "-m", "gradcam_cli", "report", str(tmp_path / "maps")]
    start = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    took, whole = time.monotonic() - start, page.read_bytes()
    for number in range(KILLS):
        if number % 2:
            page.unlink(missing_ok=True)
        kill_midway("reports killed while they were written", words, took, begun=lambda started: None)
        assert not page.exists() or page.read_bytes() == whole
        check_whole(tmp_path / "maps")
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    assert page.read_bytes() == whole


@pytest.mark.slow
def test_a_training_killed_at_any_moment_and_resumed(tmp_path, kill_midway):
    """Its model is that of a training in one piece, bit for bit."""
    data = halves(160)
    np.savez(tmp_path / "d.npz", **{name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")})
    words = [sys.executable, "-m", "gradcam_cli", "neuralode", "train", "--data", "d.npz", "--epochs", str(3 * KILLS)]
    words += ["--batch-size", "8", "--downsampling-layers", "0", "--seed", "3", "--random-shift", "1", "-q"]
    subprocess.run([*words, "-o", "reference.keras"], cwd=tmp_path, check=True)
    interrupted, checkpoint = [*words, "-o", "interrupted.keras"], tmp_path / "interrupted.checkpoint.npz"

    def saved():
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

    def an_epoch_done(started):
        before = saved()
        while saved() == before:
            assert started.poll() is None
            time.sleep(0.005)

    for _ in range(KILLS):
        resume = ["--resume"] if checkpoint.exists() else []
        kill_midway("trainings killed and resumed", [*interrupted, *resume], 0.3, an_epoch_done, cwd=tmp_path)
        check_whole(tmp_path)
        assert not (tmp_path / "interrupted.keras").exists()
    subprocess.run([*interrupted, "--resume"], cwd=tmp_path, check=True)
    models = [keras.saving.load_model(tmp_path / f"{name}.keras") for name in ("reference", "interrupted")]
    for reference, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(reference, other)
    assert not checkpoint.exists()


@pytest.mark.slow
def test_a_disk_that_is_full(photo, model_file, tmp_path):
    """Files beyond the limit: an error for each input, no part of a file, and what fits is written."""
    photo("large.png", size=(400, 400))
    photo("small.png", size=(20, 20))
    done = subprocess.run(
        command(model_file, "large.png", "small.png", "--save", "npy", "-o", "out", "--json"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1
    assert done.stderr == "error: large.png: out/large_gradcam.npy cannot be written: File too large\n"
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["failed", "ok"]
    assert os.listdir(tmp_path / "out") == ["small_gradcam.npy"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_broken_off_run_tells_how_far_it_came(photo, model_file, tmp_path, number, status):
    """The counts, the way to go on, and no part of a file."""
    paths = [photo(size=(300, 300))] * 400
    started = subprocess.Popen(
        command(model_file, *paths, "-o", "out"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started.stdout.readline()
    started.send_signal(number)
    _, said = started.communicate(timeout=60)
    assert started.returncode == status
    assert "note: broken off after " in said
    assert " ok; --skip-existing goes on from here" in said
    assert all(line.startswith(("note: ", "error: interrupted")) for line in said.splitlines() if line)
    assert not [name for name in os.listdir(tmp_path / "out") if name.endswith(".part")]


def run_refusing(beyond, error, refused=()):
    """A run whose network has memory for so many images in a pass, and none for the pixels refused."""
    run = prepare_run(load_model(small_network(), preprocess="none"), ExplainConfig(batch_size=8))
    network, passes = run.gradient_function, []

    def limited(x, codes):
        passes.append(len(x))
        if len(x) > beyond or x[0].max() in refused:
            raise error
        return network(x, codes)

    object.__setattr__(run, "network", limited)
    return run, passes


def photos(count):
    return [LoadedImage(f"{number}.png", np.full((12, 12, 3), number, np.uint8)) for number in range(count)]


EXHAUSTED = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("error", [EXHAUSTED, MemoryError()])
@pytest.mark.parametrize("beyond", [7, 3, 2, 1])
def test_without_memory_the_batch_is_halved(error, beyond, caplog):
    """All photos come, in order, with the maps of an undisturbed run; the size that failed is not tried again."""
    run, passes = run_refusing(beyond, error)
    reference, _ = run_refusing(8, error)
    found = list(stages.explain_images(run, photos(20)))
    expected = list(stages.explain_images(reference, photos(20)))
    assert [one.source for (one,) in found] == [f"{number}.png" for number in range(20)]
    for (one,), (other,) in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.cam, other.cam, rtol=1e-4, atol=1e-6)
    sizes = [size for size in (8, 4, 2, 1) if size > beyond]
    assert passes[: len(sizes)] == sizes
    assert set(passes[len(sizes) :]) == {sizes[-1] // 2}
    assert len(caplog.records) == len(sizes)


def test_a_photo_that_does_not_fit_alone_fails_alone():
    run, _ = run_refusing(1, EXHAUSTED, refused=(3,))
    found = list(stages.explain_images(run, photos(6)))
    assert [isinstance(one, Unexplained) for one in found] == [number == 3 for number in range(6)]
    assert (found[3].source, found[3].error) == ("3.png", "out of memory")


def test_no_memory_for_a_map_or_a_picture(photo, cli, model_file, monkeypatch):
    """The input fails in one line, the others are done."""
    from gradcam_cli.images import decode, encode
    from gradcam_cli.methods import maps
    from gradcam_cli.output import figures

    first, second = photo("first.png"), photo("second.png", size=(31, 30))
    for module, name, work in [(maps, "enlarge", None), (encode, "encode", None), (decode, "decode", None)]:
        work = getattr(module, name)

        def exhausted(values, *rest, work=work, name=name, **options):
            shape = rest[0] if name == "enlarge" else getattr(values, "shape", (0,))[:2]
            if tuple(shape) == (30, 31) or (name == "decode" and values == second.read_bytes()):
                raise MemoryError
            return work(values, *rest, **options)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, exhausted)
            if name == "encode":
                patch.setattr(figures, name, exhausted)
            done = cli(second, first, "--model", model_file, "--preprocess", "none", "--save", "overlay")
        assert done.status == 1, name
        assert "second.png: " in done.stderr
        assert len(done.lines) == 1
