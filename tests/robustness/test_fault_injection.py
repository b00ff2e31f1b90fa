"""A full disk and too little memory: each failure is an error for its input, and the run continues."""

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from small_models import small_network

from gradcam_cli.images.load import Failure, LoadedImage
from gradcam_cli.models.classifier import load_model
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run


@pytest.mark.slow
def test_full_disk_is_an_error_for_one_input(photo, model_file, tmp_path):
    """A file beyond the size limit is an error for its input and leaves no partial file; smaller files are written."""
    photo("large.png", size=(400, 400))
    photo("small.png", size=(20, 20))
    words = [sys.executable, "-m", "gradcam_cli", "large.png", "small.png"]
    done = subprocess.run(
        [*words, "--model", model_file, "--preprocess", "none", "--save", "npy", "-o", "out", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[1].startswith("error: large.png: ")
    assert "File too large" in done.stderr
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["failed", "ok"]
    assert os.listdir(tmp_path / "out") == ["small_gradcam.npy"]


def run_with_little_memory(max_batch, error, failing=()):
    """Return a run whose network raises for batches max_batch a size and for some pixel values, and its batch sizes."""
    run = prepare_run(load_model(small_network(), preprocess="none"), ExplainConfig(batch_size=8))
    network, batch_sizes = run.gradient_function, []

    def limited(x, codes):
        batch_sizes.append(len(x))
        if len(x) > max_batch or x[0].max() in failing:
            raise error
        return network(x, codes)

    object.__setattr__(run, "gradient_function", limited)
    return run, batch_sizes


def images(count):
    return [LoadedImage(f"{number}.png", np.full((12, 12, 3), number, np.uint8)) for number in range(count)]


EXHAUSTED = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("error", [EXHAUSTED, MemoryError()])
@pytest.mark.parametrize("max_batch", [7, 3, 2, 1])
def test_batch_is_halved_until_it_fits(error, max_batch, caplog):
    """All maps are those of a run with enough memory, in order; no larger batch is tried after a smaller one."""
    run, batch_sizes = run_with_little_memory(max_batch, error)
    reference, _ = run_with_little_memory(8, error)
    results = list(stages.explain_images(run, images(20)))
    expected = list(stages.explain_images(reference, images(20)))
    assert [result.source for (result,) in results] == [f"{number}.png" for number in range(20)]
    for (result,), (reference_result,) in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.cam, reference_result.cam, rtol=1e-4, atol=1e-6)
    sizes = [size for size in (8, 4, 2, 1) if size > max_batch]
    assert batch_sizes[: len(sizes)] == sizes
    assert set(batch_sizes[len(sizes) :]) == {sizes[-1] // 2}
    assert len([record for record in caplog.records if record.name == "gradcam_cli"]) == len(sizes)


def test_image_too_large_for_a_batch_of_one_fails_alone():
    run, _ = run_with_little_memory(1, EXHAUSTED, failing=(3,))
    results = list(stages.explain_images(run, images(6)))
    assert [isinstance(result, Failure) for result in results] == [number == 3 for number in range(6)]
    assert (results[3].source, results[3].error) == ("3.png", "out of memory")


def test_memory_error_in_drawing_fails_one_input(photo, cli, model_file, monkeypatch):
    """The input fails with an error of one line; the other input is explained."""
    from gradcam_cli.images import decode, encode
    from gradcam_cli.methods import maps
    from gradcam_cli.output import figure_files
    from gradcam_cli.pipeline import artifacts

    first, second = photo("first.png"), photo("second.png", size=(31, 30))
    for module, name, work in [(maps, "upsample", None), (encode, "encode", None), (decode, "decode_all", None)]:
        work = getattr(module, name)

        def exhausted(values, *rest, work=work, name=name, **options):
            shape = rest[0] if name == "upsample" else getattr(values, "shape", (0,))[:2]
            if tuple(shape) == (30, 31) or (name == "decode_all" and values == second.read_bytes()):
                raise MemoryError
            return work(values, *rest, **options)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, exhausted)
            if name == "encode":
                patch.setattr(figure_files, name, exhausted)
                patch.setattr(artifacts, name, exhausted)
            done = cli(second, first, "--model", model_file, "--preprocess", "none", "--save", "overlay")
        assert done.status == 1, name
        assert "second.png: " in done.stderr
        assert len(done.lines) == 1
