"""The Ray engine: the same bytes as the local engine, and one result per input if workers, nodes or the driver fail."""

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

import numpy as np
import psutil
import pytest
from PIL import Image

ray = pytest.importorskip("ray", reason="the extra gradcam-cli[ray] is not installed")

from gradcam_cli.engines import ray_engine  # noqa: E402
from gradcam_cli.engines.ray_cluster import RayConfig, _allocate_actors  # noqa: E402
from gradcam_cli.errors import UsageError  # noqa: E402

NUM_IMAGES, BATCH_SIZE, DAMAGED = 40, 4, 7


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes with two CPUs each on this machine."""
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, **memory})
    cluster.add_node(num_cpus=2, **memory)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def images(photo, tmp_path):
    for number in range(NUM_IMAGES):
        photo(f"in/{number}.png", seed=number, size=(30, 24))
    (tmp_path / "in" / f"{DAMAGED}.png").write_bytes(b"no image")
    return tmp_path / "in"


@pytest.fixture
def explain(cli, images, model_file):
    """Explain the images into a directory; return the result of the command and its JSON records."""
    options = ("--model", model_file, "--preprocess", "-1..1", "--save", "npz", "--json", "--batch-size", BATCH_SIZE)

    def call(directory, *more):
        result = cli(images, *options, "-o", directory, *more)
        return result, [json.loads(line) for line in result.lines]

    call.options, call.here, call.images = options, cli.here, images
    return call


@pytest.fixture
def explain_on_ray(explain, cluster):
    return partial(explain, "maps", "--engine", "ray", "--ray-address", cluster.address)


def read_files(directory):
    return {path.name: path.read_bytes() for path in directory.rglob("*.npz")}


def assert_complete(here, records, status):
    """Assert that each image has one record, in order, and the same file as from the local engine."""
    assert status == 1
    assert [os.path.basename(record["input"]) for record in records] == [f"{n}.png" for n in range(NUM_IMAGES)]
    assert [number for number, record in enumerate(records) if record["status"] != "ok"] == [DAMAGED]
    assert read_files(here / "maps") == read_files(here / "local")
    assert len(read_files(here / "local")) == NUM_IMAGES - 1


def call_when_files_exist(directory, count, function):
    """Start a thread that calls a function when a directory contains a number of files."""

    def watch():
        while not directory.is_dir() or len(list(directory.iterdir())) < count:
            time.sleep(0.01)
        function()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.extended
@pytest.mark.slow
def test_right_and_wrong_predictions_are_those_of_the_local_engine(explain, explain_on_ray, capfd):
    """Images that --only leaves out, too; the table is read once, where the command runs."""
    _, all_records = explain("all")
    classes = {record["input"]: record["class_index"] for record in all_records if record["status"] == "ok"}
    rows = [f"{name},{(index + (number % 2)) % 3}" for number, (name, index) in enumerate(classes.items())]
    (explain.here / "truth.csv").write_text("\n".join(["image,class", *rows[:-2]]))
    options = ("--truth", "truth.csv", "--only", "wrong", "--class", "top", "--class", "truth")
    (local, expected), (_, records) = explain("local", *options), explain_on_ray(*options)
    assert [(r["input"], r["status"], r["truth"]) for r in records] == [
        (r["input"], r["status"], r["truth"]) for r in expected
    ]
    assert sum(record["status"] == "ok" for record in records) == 2 * (len(rows[:-2]) // 2)
    assert read_files(explain.here / "maps") == read_files(explain.here / "local")
    assert "accuracy 0.514 (19 of 37 right), 2 unknown" in local.stderr
    assert "accuracy 0.514 (19 of 37 right), 2 unknown" in capfd.readouterr().err  # Ray writes to the descriptor


@pytest.mark.slow
def test_results_equal_those_of_the_local_engine(explain, explain_on_ray, capfd):
    """The same records except for the timings, the same files, the same report images, and the same messages."""
    Image.fromarray(np.full((24, 30), 4095, np.uint16)).save(explain.images / "11.png")
    local, expected = explain("local", "--report")
    result, records = explain_on_ray("--report")
    assert local.status == result.status
    assert_complete(explain.here, records, result.status)
    for record, expected_record in zip(records, expected, strict=True):
        compared = {key: value for key, value in record.items() if key not in ("timings", "outputs")}
        assert compared == {key: expected_record[key] for key in compared}
    local_images, ray_images = (
        {path.name for path in (explain.here / directory / "report").glob("*_map.png")}
        for directory in ("local", "maps")
    )
    assert local_images == ray_images
    assert (explain.here / "maps/index.html").is_file()
    messages = capfd.readouterr().err.splitlines()  # of the Ray engine, which writes to the descriptor
    assert [line for line in messages if "input 12x12" in line] == local.announcements
    notes = [[line for line in lines if "--max-value" in line] for lines in (messages, local.stderr.splitlines())]
    assert notes[0] == notes[1]
    assert len(notes[0]) == 1


@pytest.mark.extended
def test_killed_actors_lose_no_result(explain, explain_on_ray):
    """Every process with a model receives SIGKILL when a quarter of the files exist."""
    killed = []

    def kill():
        for process in psutil.process_iter(["cmdline"]):
            if "MapBatches(RayExplainActor)" in " ".join(process.info["cmdline"] or ()):
                process.kill()
                killed.append(process.pid)

    explain("local")
    thread = call_when_files_exist(explain.here / "maps", NUM_IMAGES // 4, kill)
    result, records = explain_on_ray("--ray-actors", 1)
    thread.join(5)
    assert killed
    assert_complete(explain.here, records, result.status)


@pytest.mark.extended
def test_lost_node_loses_no_result(explain, explain_on_ray, cluster):
    node = cluster.add_node(num_cpus=2, object_store_memory=100 * 2**20)
    cluster.wait_for_nodes()
    explain("local")
    remove_node = partial(cluster.remove_node, node, allow_graceful=False)
    thread = call_when_files_exist(explain.here / "maps", NUM_IMAGES // 4, remove_node)
    result, records = explain_on_ray("--ray-actors", 3)
    thread.join(30)
    assert_complete(explain.here, records, result.status)


@pytest.mark.extended
def test_killed_driver_can_be_resumed(explain, explain_on_ray, cluster):
    """Each image is explained in one of the two runs."""
    explain("local")
    command = [sys.executable, "-m", "gradcam_cli", str(explain.images), *map(str, explain.options), "-o", "maps"]
    command += ["--engine", "ray", "--ray-address", cluster.address, "--skip-existing"]
    driver = subprocess.Popen(command, cwd=explain.here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kill = partial(driver.send_signal, signal.SIGKILL)
    call_when_files_exist(explain.here / "maps", NUM_IMAGES // 4, kill).join(120)
    assert driver.wait(10) == -signal.SIGKILL
    result, records = explain_on_ray("--skip-existing")
    statuses = [record["status"] for record in records]
    assert statuses.count("skipped") >= NUM_IMAGES // 4
    assert statuses.count("failed") == result.status == 1
    assert len(statuses) == NUM_IMAGES
    assert read_files(explain.here / "maps") == read_files(explain.here / "local")


@pytest.mark.extended
@pytest.mark.slow
def test_usage_errors_of_actors_are_printed_without_ray(explain_on_ray):
    result, records = explain_on_ray("--layer", "nowhere")
    assert (result.status, records) == (2, [])
    assert result.stderr.startswith("error: ")
    assert "nowhere" in result.stderr
    assert "ray" not in result.stderr


def test_unreachable_cluster_is_a_usage_error(explain):
    result, _ = explain("maps", "--engine", "ray", "--ray-address", "127.0.0.1:9")
    assert result.status == 2
    assert "error: --ray-address 127.0.0.1:9: " in result.stderr


@pytest.mark.parametrize(
    ("resources", "options", "expected"),
    [
        ({"CPU": 16, "GPU": 2}, {}, (2, 1, 1)),
        ({"CPU": 16}, {}, (8, 1, 0)),
        ({"CPU": 16}, {"ray_num_cpus": 4}, (2, 4, 0)),
        ({"CPU": 2}, {}, (1, 1, 0)),
        ({"CPU": 16, "GPU": 2}, {"ray_num_gpus": 0.5}, (4, 1, 0.5)),
        ({"CPU": 16, "GPU": 2}, {"ray_num_gpus": 0, "ray_actors": 15}, (15, 1, 0)),
    ],
)
def test_one_actor_per_gpu_or_two_cpus(resources, options, expected):
    """One actor per GPU, or per two CPUs; one CPU is reserved for reading and writing."""
    actors, cpus, gpus = expected
    assert _allocate_actors(resources, RayConfig(**options)) == (actors, {"num_cpus": cpus, "num_gpus": gpus})


@pytest.mark.parametrize("options", [{"ray_actors": 2}, {"ray_num_cpus": 2}, {"ray_num_gpus": 1}])
def test_cluster_with_too_few_resources_is_refused(options):
    with pytest.raises(UsageError, match="2 CPUs and 0 GPUs"):
        _allocate_actors({"CPU": 2}, RayConfig(**options))


@pytest.mark.parametrize("options", [("--ray-address", "x"), ("--ray-actors", 2), ("--ray-num-cpus", 1)])
def test_ray_options_require_the_ray_engine(explain, options):
    result, _ = explain("maps", *options)
    assert result.status == 2
    assert f"{options[0]} requires --engine ray" in result.stderr


def test_threads_require_the_local_engine(explain):
    result, _ = explain("maps", "--engine", "ray", "--threads", 2)
    assert result.status == 2
    assert "--threads requires --engine local" in result.stderr


def test_tasks_are_iterated_in_chunks(monkeypatch):
    """The number of tasks that the driver holds in memory is limited."""
    started = []

    def endless():
        for number in itertools.count():
            started.append(number)
            yield number

    def stream(tasks, *_):
        return ({"item": pickle.dumps(task)} for task in tasks)

    monkeypatch.setattr(ray_engine, "TASKS_PER_ACTOR", 10)
    monkeypatch.setattr(ray_engine, "connected", lambda config: nullcontext((2, {})))
    monkeypatch.setattr(ray_engine, "_stream_results", stream)
    results = ray_engine.run_on_ray(endless(), None, RayConfig())
    assert [next(results) for _ in range(20)] == list(range(20))
    assert len(started) == 20
    assert next(results) == 20
    assert len(started) == 40
