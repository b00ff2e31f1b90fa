"""No command replaces one of its inputs: every output option, pointed at every kind of input."""

import json
import os
import pickle
import re
import shutil
import threading
from pathlib import Path

import click
import numpy as np
import pytest
from command_tree import commands
from PIL import Image

from gradcam_cli import explain as explain_image
from gradcam_cli.cli import gradcam
from gradcam_cli.cli.protection import INPUTS, OUTPUT_DIRECTORIES, OUTPUTS
from gradcam_cli.engines.explain_job import ExplainJob
from gradcam_cli.engines.job import ExplainTask
from gradcam_cli.errors import OutputError
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import parse_destination
from gradcam_cli.output.naming import OutputFile
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig, RunSettings
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.protected import ProtectedInputs, protected_inputs

MINI = ("--model", "mini")
EVALUATE = ("evaluate", "photos", *MINI, "--metric", "deletion")
TRAIN = ("neuralode", "train", "--epochs", "1", "--data")


@pytest.fixture
def inputs(cli, photo):
    """A directory with an input of every kind; the names of links and of other cases are those of the files."""
    here = cli.here
    for name in ("photos/cat.png", "photos/deletion.png", "alone/only.png", "data/a/0.png", "data/b/1.png", "out.png"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo(Path(name).name), here / name)
    for number in range(10):
        shutil.copy(here / "out.png", here / f"data/{'ab'[number % 2]}/{'ab'[number % 2]}{number // 2 or ''}.png")
    (here / "list.txt").write_text("photos/cat.png\n")
    (here / "list.png").write_text("photos/cat.png\n")
    (here / "link.png").symlink_to("photos/cat.png")
    os.link(here / "photos/cat.png", here / "hard.png")
    (here / "names.png").write_text("\n".join(map(str, range(10))))
    (here / "boxes.csv").write_text("photos/cat.png,0,1,1,9,9\n")
    (here / "voc").mkdir()
    (here / "voc/cat.xml").write_text("<annotation/>")
    (here / "map.csv").write_text("0,0\n")
    (here / "weights.npz").write_bytes(b"weights")
    pixels, classes = np.zeros((8, 12, 12), np.uint8), np.arange(8) % 2
    arrays = {"x_train": pixels, "y_train": classes, "x_test": pixels, "y_test": classes}
    np.savez(here / "d.checkpoint.npz", **arrays)
    np.savez(here / "data.npz", **arrays)
    shutil.copy(here / "data.npz", here / "net.keras")
    for run in ("before", "after"):
        (here / run).mkdir()
        metadata = {"input": "photos/cat.png", "layer": "x", "method": "gradcam", "class_index": 1, "class_name": "y"}
        record = {**metadata, **RunSettings().map_settings(), "sha256": None, "requested_class": "top"}
        maps = {"heatmap": np.eye(4, dtype=np.float32), "cam": np.eye(2, dtype=np.float32)}
        np.savez(here / run / "cat_gradcam.npz", **maps, metadata=np.array(json.dumps(record)))
    return here


CASES = {
    "folder-of-one-photo": ("alone", *MINI, "-o", "alone/only.png"),
    "list": ("--files-from", "list.txt", *MINI, "-o", "photos/cat.png"),
    "depth-folder": ("neuralode", "explain", "alone", "--model", "net.keras", "-o", "alone/only.png"),
    "depth-list": ("neuralode", "explain", "--files-from", "list.txt", "--model", "net.keras", "-o", "photos/cat.png"),
    "grid": ("photos", *MINI, "--save", "grid", "-o", "photos/cat.png"),
    "compare-grid": ("compare", "before", "after", "--grid", "photos/cat.png"),
    "csv-photo": (*EVALUATE, "--csv", "photos/cat.png"),
    "csv-annotations": (*EVALUATE, "--annotations", "boxes.csv", "--csv", "boxes.csv"),
    "junit-annotations": (*EVALUATE, "--annotations", "voc", "--junit-xml", "voc/cat.xml"),
    "plots": (*EVALUATE, "--plots", "photos"),
    "weights": ("photos/cat.png", *MINI, "--weights", "weights.npz", "-o", "weights.npz"),
    "checkpoint": (*TRAIN, "d.checkpoint.npz", "-o", "d.keras"),
    "link": ("link.png", *MINI, "-o", "photos/cat.png"),
    "through-link": ("photos/cat.png", *MINI, "-o", "link.png"),
    "hard-link": ("photos/cat.png", *MINI, "-o", "hard.png"),
    "other-spelling": ("photos/cat.png", *MINI, "-o", "photos/../alone/../photos/cat.png"),
    "labels": ("photos/cat.png", *MINI, "--labels", "names.png", "-o", "names.png"),
    "other-inputs": ("photos/cat.png", *MINI, "--other-inputs", "names.png", "-o", "names.png"),
    "reference": ("photos/cat.png", *MINI, "--target", "similarity:list.png", "-o", "list.png"),
    "contrast": ("photos/cat.png", *MINI, "--target", "similarity:names.png,list.png", "-o", "list.png"),
    "list-itself": ("--files-from", "list.png", *MINI, "-o", "list.png"),
    "class-map": (*EVALUATE, "--annotations", "boxes.csv", "--class-map", "map.csv", "--csv", "map.csv"),
    "model": ("evaluate", "photos", "--model", "net.keras", "--csv", "net.keras"),
    "compare-map": ("compare", "before", "after", "--grid", "before/cat_gradcam.npz"),
    "compare-model": ("compare", "before", "net.keras", "--grid", "net.keras"),
    "samples": (*TRAIN, "data", "-o", "new.keras", "--export-samples", "data/a"),
    "csv-log": (*TRAIN, "data.npz", "-o", "new.keras", "--csv-log", "data.npz"),
    "confusion": ("neuralode", "evaluate", "net.keras", "--data", "data", "--confusion", "data/a/0.png"),
    "flow": ("neuralode", "flow", "--model", "net.keras", "--image", "out.png", "-o", "out.png"),
    "report-grid": ("photos/cat.png", *MINI, "--labels", "weights.npz", "--save", "npz", "-o", "weights.npz"),
}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", CASES)
def test_an_input_is_not_overwritten(name, cli, inputs):
    """The command fails with one clear line; every file has its bytes."""
    before = contents(inputs)
    done = cli(*CASES[name])
    assert done.status in (2, 3), done.stderr
    assert re.search("is an input: it would be overwritten|would write into the directory of --data", done.stderr)
    assert done.stdout == ""
    assert contents(inputs) == before


def test_every_path_on_a_command_line_is_an_input_or_an_output():
    """A new option that takes a path cannot be forgotten by the guard."""
    other = {"report"}
    for _, command in commands(gradcam):
        for parameter in command.params:
            is_path = isinstance(parameter.type, click.Path) or "FILE" in (parameter.metavar or "")
            if is_path and parameter.name not in other:
                assert parameter.name in (*INPUTS, *OUTPUTS, *OUTPUT_DIRECTORIES), parameter.name


def test_two_outputs_are_two_files(cli, inputs):
    done = cli(*EVALUATE, "--csv", "results.txt", "--junit-xml", "./results.txt")
    assert done.status == 2
    assert "--csv and --junit-xml name the same file" in done.stderr


def test_an_object_in_a_store_is_not_overwritten(cli, photo):
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("upath")
    store = fsspec.filesystem("memory")
    data = photo().read_bytes()
    store.pipe_file("/photos/only.png", data)
    try:
        for source in ("memory://photos", "memory://photos/only.png"):
            done = cli(source, *MINI, "-o", "memory://photos/only.png")
            assert (done.status, "is an input" in done.stderr) == (2, True)
        assert store.cat_file("/photos/only.png") == data
    finally:
        store.store.clear()


def test_names_of_one_object():
    """s3a:// and s3:// are one store; a version belongs to its object; another key is another object."""
    inputs = ProtectedInputs("s3://b/x.png", "gs://b/y/")
    for name in ("S3://b/x.png", "s3a://b/x.png", "s3://b/x.png?versionId=7", "gcs://b/y"):
        assert name in inputs
    for name in ("s3://b/x.PNG", "s3://b/dir/x.png", "gs://b/x.png"):
        assert name not in inputs


@pytest.mark.parametrize("protocol", ["file", "local"])
def test_a_url_of_a_local_file_is_refused(cli, inputs, protocol):
    """Such a name would hide that the file is an input."""
    before = contents(inputs)
    done = cli("photos/cat.png", *MINI, "-o", f"{protocol}://{inputs}/photos/cat.png")
    assert (done.status, f"{protocol}:// is not supported" in done.stderr) == (2, True)
    assert contents(inputs) == before


def test_files_written_by_a_worker_process(tmp_path, photo, monkeypatch):
    """A job that is pickled, as for Ray, protects the inputs in the process that writes."""
    monkeypatch.chdir(tmp_path)
    source = photo("cat_gradcam.png")
    before = source.read_bytes()
    with protected_inputs(ProtectedInputs(source)):
        job = ExplainJob(ModelConfig("mini"), ExplainConfig(), parse_destination(None, ()))
        copy = pickle.loads(pickle.dumps(job))
    result = explain_image(photo("other.png"), model="mini")
    output = OutputFile(result.request_key, "figure", Path("cat_gradcam.png"))
    finished = copy.finish(ExplainTask(Source("other.png"), [output]), [result])
    assert finished.status == "failed"
    assert "is an input" in finished.error[0]
    assert source.read_bytes() == before


def test_threads_share_the_inputs_of_a_run(tmp_path):
    errors = []

    def write():
        try:
            write_output(tmp_path / "x", b"")
        except OutputError as error:
            errors.append(error)

    with protected_inputs(ProtectedInputs(tmp_path / "x")):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    write()
    assert len(errors) == 1


def test_an_explanation_does_not_replace_its_image(photo):
    path = photo()
    result = explain_image(path, model="mini")
    with pytest.raises(OutputError, match="is an input"):
        result.save(path)
    Image.open(path).load()


def test_a_rerun_into_the_folder_of_the_photos_is_allowed(cli, inputs):
    """Earlier results next to the inputs are replaced; the inputs are not."""
    before = contents(inputs / "alone")
    for _ in range(2):
        assert cli("alone", *MINI, "-o", "alone").status == 0
    after = contents(inputs / "alone")
    assert {path: after[path] for path in before} == before
    assert len(after) == 2
