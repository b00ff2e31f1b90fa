"""`gradcam explain`: threads, batches and reproducible files."""

import threading
from pathlib import Path

import numpy as np
import pytest
from directory_tree import files

from gradcam_cli.engines import explain_job
from gradcam_cli.pipeline import stages


@pytest.mark.parametrize("num_threads", [1, 3])
def test_only_the_calling_thread_runs_the_network(small, photo, monkeypatch, num_threads):
    """Images are prepared and maps are drawn by at most --threads other threads."""
    threads = {"to_model_input": set(), "run": set(), "make_explanations": set()}

    def watched(stage, original):
        def call(*arguments):
            threads[stage].add(threading.current_thread())
            return original(*arguments)

        return call

    for stage in ("to_model_input", "make_explanations"):
        monkeypatch.setattr(stages, stage, watched(stage, getattr(stages, stage)))
    monkeypatch.setattr(stages, "_run_batch", watched("run", stages._run_batch))
    done = small(
        *[photo(f"{number}.png", seed=number) for number in range(9)], "--threads", num_threads, "--batch-size", 2
    )
    assert done.status == 0
    assert [line.split("/")[-1].split(":")[0] for line in done.lines] == [f"{number}.png" for number in range(9)]
    assert threads["run"] == {threading.current_thread()}
    assert not threads["run"] & (threads["to_model_input"] | threads["make_explanations"])
    assert len(threads["to_model_input"] | threads["make_explanations"]) <= num_threads


def test_few_images_are_read_ahead(small, photo, monkeypatch):
    """The number of images in memory is limited by threads and batch size, not by the number of inputs."""
    read, finished = [], []
    load_image, make_explanations = explain_job.load_image, stages.make_explanations
    monkeypatch.setattr(explain_job, "load_image", lambda *a: read.append(1) or load_image(*a))
    monkeypatch.setattr(stages, "make_explanations", lambda *a: finished.append(len(read)) or make_explanations(*a))
    assert small(*[photo()] * 60, "--threads", 2, "--batch-size", 4).status == 0
    max_waiting = max(count - index for index, count in enumerate(finished))
    assert max_waiting <= 3 * (4 + 2)


def test_files_do_not_depend_on_the_number_of_threads(small, photo):
    """One thread and four threads give equal bytes."""
    paths = [photo(f"{number}.png", seed=number) for number in range(5)]
    for num_threads in (1, 4):
        small(*paths, "-o", f"with{num_threads}", "--threads", num_threads, "--save", "figure", "--save", "overlay")
    for path in (small.here / "with1").iterdir():
        assert path.read_bytes() == (small.here / "with4" / path.name).read_bytes()


def test_maps_do_not_depend_on_the_batch_size(small, photo):
    """Batches of 1, 2, 3 and 8 images, some of them padded, give equal maps up to rounding."""
    paths = [photo(f"p{i}.png", seed=i) for i in range(5)]
    for size in (1, 2, 3, 8):
        small(*paths, "--save", "npy", "-o", f"size{size}", "--batch-size", size)
    for i in range(5):
        for size in (2, 3, 8):
            np.testing.assert_allclose(
                np.load(f"size{size}/p{i}_gradcam.npy"), np.load(f"size1/p{i}_gradcam.npy"), atol=1e-5
            )


def test_equal_runs_give_equal_bytes(small, photo):
    paths = [photo("a.png"), photo("b.png", seed=1)]
    for folder in ("one", "two"):
        small(*paths, "-o", folder, *(f"--save={kind}" for kind in ("figure", "overlay", "heatmap", "npy", "npz")))
    assert files("one") == files("two")
    for name in files("one"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name
