"""The Ray engine: the local engine's bytes, and nothing lost or told twice when workers, nodes or the driver die."""

import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from functools import partial

import psutil
import pytest

ray = pytest.importorskip("ray", reason="the extra gradcam-cli[ray] is not installed")

from gradcam_cli.engines import ray_engine  # noqa: E402
from gradcam_cli.engines.ray_cluster import RayConfig, _allocate_actors  # noqa: E402
from gradcam_cli.errors import UsageError  # noqa: E402

PHOTOS, BATCH = 40, 4


@pytest.fixture(scope="module")
def nodes():
    """A cluster of two nodes of two CPUs on this machine."""
    from ray.cluster_utils import Cluster as Nodes

    ram = {"object_store_memory": 100 * 2**20}
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, **ram})
    nodes.add_node(num_cpus=2, **ram)
    yield nodes
    nodes.shutdown()


@pytest.fixture
def photos(photo, tmp_path):
    for number in range(PHOTOS):
        photo(f"in/{number}.png", seed=number, size=(30, 24))
    (tmp_path / "in" / "7.png").write_bytes(b"no image")
    return tmp_path / "in"


@pytest.fixture
def explain(cli, photos, model_file):
    """Explain the photos into a directory, and return the outcome and the lines."""
    options = ("--model", model_file, "--preprocess", "-1..1", "--save", "npz", "--json", "--batch-size", BATCH)

    def call(into, *more):
        done = cli(photos, *options, "-o", into, *more)
        return done, [json.loads(line) for line in done.lines]

    call.options, call.here, call.photos = options, cli.here, photos
    return call


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.npz")}


def complete(here, lines, status):
    """Whether each photo has its one line, in order, and the file that the local engine would have written."""
    assert status == 1
    assert [os.path.basename(line["input"]) for line in lines] == [f"{number}.png" for number in range(PHOTOS)]
    assert [number for number, line in enumerate(lines) if line["status"] != "ok"] == [7]
    assert files(here / "maps") == files(here / "local")
    assert len(files(here / "local")) == PHOTOS - 1
    return True


def when_files(folder, count, then):
    """In a thread: when a folder holds so many files, do something."""

    def watch():
        while not folder.is_dir() or len(list(folder.iterdir())) < count:
            time.sleep(0.01)
        then()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_the_bytes_of_the_local_engine(explain, nodes):
    """The same lines but for the seconds, and the same files; the report, too."""
    local, expected = explain("local", "--report")
    done, lines = explain("maps", "--report", "--engine", "ray", "--address", nodes.address)
    assert local.status == done.status
    assert complete(explain.here, lines, done.status)
    for line, other in zip(lines, expected, strict=True):
        same = {key: value for key, value in line.items() if key not in ("seconds", "outputs")}
        assert same == {key: other[key] for key in same}
    pictures = [
        {path.name for path in (explain.here / into / "report").glob("*_map.png")} for into in ("local", "maps")
    ]
    assert pictures[0] == pictures[1]
    assert (explain.here / "maps/index.html").is_file()


@pytest.mark.slow
def test_a_worker_killed_in_the_middle(explain, nodes):
    """SIGKILL for every process that holds a model, when a quarter of the files is there."""
    killed = []

    def kill():
        for process in psutil.process_iter(["cmdline"]):
            if "MapBatches(Explainer)" in " ".join(process.info["cmdline"] or ()):
                process.kill()
                killed.append(process.pid)

    explain("local")
    thread = when_files(explain.here / "maps", PHOTOS // 4, kill)
    done, lines = explain("maps", "--engine", "ray", "--address", nodes.address, "--model-workers", 1)
    thread.join(5)
    assert killed
    assert complete(explain.here, lines, done.status)


@pytest.mark.slow
def test_a_node_lost_in_the_middle(explain, nodes):
    node = nodes.add_node(num_cpus=2, object_store_memory=100 * 2**20)
    nodes.wait_for_nodes()
    explain("local")
    lose = partial(nodes.remove_node, node, allow_graceful=False)
    thread = when_files(explain.here / "maps", PHOTOS // 4, lose)
    done, lines = explain("maps", "--engine", "ray", "--address", nodes.address, "--model-workers", 3)
    thread.join(30)
    assert complete(explain.here, lines, done.status)


@pytest.mark.slow
def test_a_driver_killed_and_started_again(explain, nodes):
    """What is there stays, the rest is made: each photo once, in one of the two runs."""
    explain("local")
    words = [sys.executable, "-m", "gradcam_cli", str(explain.photos), *map(str, explain.options), "-o", "maps"]
    words += ["--engine", "ray", "--address", nodes.address, "--skip-existing"]
    driver = subprocess.Popen(words, cwd=explain.here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    when_files(explain.here / "maps", PHOTOS // 4, lambda: driver.send_signal(signal.SIGKILL)).join(120)
    assert driver.wait(10) == -signal.SIGKILL
    done, lines = explain("maps", "--engine", "ray", "--address", nodes.address, "--skip-existing")
    statuses = [line["status"] for line in lines]
    assert statuses.count("skipped") >= PHOTOS // 4
    assert statuses.count("failed") == done.status == 1
    assert len(statuses) == PHOTOS
    assert files(explain.here / "maps") == files(explain.here / "local")


@pytest.mark.slow
def test_mistakes_are_told_as_without_ray(explain, nodes):
    done, lines = explain("maps", "--engine", "ray", "--address", nodes.address, "--layer", "nowhere")
    assert (done.status, lines) == (2, [])
    assert done.stderr.startswith("error: ")
    assert "nowhere" in done.stderr
    assert "ray" not in done.stderr


def test_a_cluster_that_is_not_there(explain):
    done, _ = explain("maps", "--engine", "ray", "--address", "127.0.0.1:9")
    assert done.status == 2
    assert "error: --address 127.0.0.1:9: no Ray cluster can be reached" in done.stderr


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        ({"CPU": 16, "GPU": 2}, {}, (2, 1, 1)),
        ({"CPU": 16}, {}, (8, 1, 0)),
        ({"CPU": 16}, {"worker_cpus": 4}, (2, 4, 0)),
        ({"CPU": 2}, {}, (1, 1, 0)),
        ({"CPU": 16, "GPU": 2}, {"worker_gpus": 0.5}, (4, 1, 0.5)),
        ({"CPU": 16, "GPU": 2}, {"worker_gpus": 0, "model_workers": 15}, (15, 1, 0)),
    ],
)
def test_how_a_cluster_is_shared(there, asked, expected):
    """A worker a GPU, or one for two CPUs, and always a CPU left for reading and writing."""
    workers, cpus, gpus = expected
    assert _allocate_actors(there, RayConfig(**asked)) == (workers, {"num_cpus": cpus, "num_gpus": gpus})


@pytest.mark.parametrize("asked", [{"model_workers": 2}, {"worker_cpus": 2}, {"worker_gpus": 1}])
def test_a_cluster_that_is_too_small(asked):
    with pytest.raises(UsageError, match="expected a cluster for"):
        _allocate_actors({"CPU": 2}, RayConfig(**asked))


@pytest.mark.parametrize("options", [("--address", "x"), ("--model-workers", 2), ("--worker-cpus", 1)])
def test_options_of_the_other_engine(explain, options):
    done, _ = explain("maps", *options)
    assert done.status == 2
    assert f"{options[0]} belongs to --engine ray" in done.stderr
    assert explain("maps", "--engine", "ray", "--threads", 2)[0].status == 2


def test_jobs_are_drawn_in_portions(monkeypatch):
    """Of endless inputs no more than a portion is held: what a driver's memory depends on."""
    drawn = []

    def endless():
        for number in itertools.count():
            drawn.append(number)
            yield number

    def stream(jobs, *_):
        return ({"item": pickle.dumps(job)} for job in jobs)

    monkeypatch.setattr(ray_engine, "TASKS_PER_ACTOR", 10)
    monkeypatch.setattr(ray_engine, "connected", lambda cluster: nullcontext((2, {})))
    monkeypatch.setattr(ray_engine, "_stream_results", stream)
    finished = ray_engine.run_on_ray(endless(), None, RayConfig())
    assert [next(finished) for _ in range(20)] == list(range(20))
    assert len(drawn) == 20
    assert next(finished) == 20
    assert len(drawn) == 40
