"""Runs that are disturbed: killed at any moment, on a full disk, without memory. What is there is whole, and told."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import small_network
from PIL import Image

from gradcam_cli import pipeline
from gradcam_cli.models import load_model
from gradcam_cli.photos import Photo
from gradcam_cli.results import Unexplained
from gradcam_cli.runs import Request, prepare_run

KINDS = ["--save", "overlay", "--save", "npz"]


def command(model, *arguments):
    return [sys.executable, "-m", "gradcam_cli", *map(str, arguments), "--model", str(model), "--preprocess", "none"]


def check_whole(folder):
    """Open every result: pictures to their last pixel, arrays to their last number."""
    found = [path for path in folder.rglob("*") if path.suffix in (".png", ".npz")]
    for path in found:
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        else:
            with np.load(path) as arrays:
                assert {name: arrays[name].shape for name in arrays}
    return found


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed(photo, model_file, tmp_path, tried):
    """Eight runs are killed without warning; what they leave is whole, and the last gives what one run gives."""
    for number in range(60):
        photo(f"photos/{number}.png", size=(640, 480), seed=number)
    arguments = [tmp_path / "photos", *KINDS, "--batch-size", "1", "-q"]
    subprocess.run(command(model_file, *arguments, "-o", tmp_path / "calm"), check=True, stdout=subprocess.DEVNULL)
    out = tmp_path / "disturbed"
    disturbed = command(model_file, *arguments, "-o", out, "--skip-existing")
    rng, before = random.Random(), 0
    for _ in range(8):
        started = subprocess.Popen(disturbed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if rng.random() < 0.8:
            started.stdout.readline()  # in the middle of its work
        time.sleep(rng.uniform(0, 0.15))
        started.kill()
        started.communicate()
        tried("runs killed and resumed")
        found = len(check_whole(out)) if out.exists() else 0
        assert found >= before
        before = found
    assert 0 < before < 120
    subprocess.run(disturbed, check=True, stdout=subprocess.DEVNULL)
    calm = {path.name: path.read_bytes() for path in check_whole(tmp_path / "calm")}
    assert len(calm) == 120
    assert {path.name: path.read_bytes() for path in check_whole(out)} == calm


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
    run = prepare_run(load_model(small_network(), preprocessing="none"), Request(batch_size=8))
    network, passes = run.network, []

    def limited(x, codes):
        passes.append(len(x))
        if len(x) > beyond or x[0].max() in refused:
            raise error
        return network(x, codes)

    object.__setattr__(run, "network", limited)
    return run, passes


def photos(count):
    return [Photo(f"{number}.png", np.full((12, 12, 3), number, np.uint8)) for number in range(count)]


EXHAUSTED = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("error", [EXHAUSTED, MemoryError()])
@pytest.mark.parametrize("beyond", [7, 3, 2, 1])
def test_without_memory_the_batch_is_halved(error, beyond, caplog):
    """All photos come, in order, with the maps of an undisturbed run; the size that failed is not tried again."""
    run, passes = run_refusing(beyond, error)
    calm, _ = run_refusing(8, error)
    found = list(pipeline.explain_photos(run, photos(20)))
    expected = list(pipeline.explain_photos(calm, photos(20)))
    assert [one.source for (one,) in found] == [f"{number}.png" for number in range(20)]
    for (one,), (other,) in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.raw, other.raw, rtol=1e-4, atol=1e-6)
    sizes = [size for size in (8, 4, 2, 1) if size > beyond]
    assert passes[: len(sizes)] == sizes
    assert set(passes[len(sizes) :]) == {sizes[-1] // 2}
    assert len(caplog.records) == len(sizes)


def test_a_photo_that_does_not_fit_alone_fails_alone():
    run, _ = run_refusing(1, EXHAUSTED, refused=(3,))
    found = list(pipeline.explain_photos(run, photos(6)))
    assert [isinstance(one, Unexplained) for one in found] == [number == 3 for number in range(6)]
    assert (found[3].source, found[3].error) == ("3.png", "out of memory")


def test_no_memory_for_a_map_or_a_picture(photo, run, model_file, monkeypatch):
    """The input fails in one line, the others are done."""
    from gradcam_cli import images, maps, render

    first, second = photo("first.png"), photo("second.png", size=(31, 30))
    for module, name, work in [(maps, "enlarge", None), (images, "encode", None), (images, "decode", None)]:
        work = getattr(module, name)

        def exhausted(values, *rest, work=work, name=name, **options):
            shape = rest[0] if name == "enlarge" else getattr(values, "shape", (0,))[:2]
            if tuple(shape) == (30, 31) or (name == "decode" and values == second.read_bytes()):
                raise MemoryError
            return work(values, *rest, **options)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, exhausted)
            if name == "encode":
                patch.setattr(render, name, exhausted)
            done = run(second, first, "--model", model_file, "--preprocess", "none", "--save", "overlay")
        assert done.status == 1, name
        assert "second.png: " in done.stderr
        assert len(done.lines) == 1
