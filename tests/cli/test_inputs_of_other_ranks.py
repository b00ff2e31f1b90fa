"""`gradcam explain` with models of signals, volumes and films: inputs in directories, and names of files."""

import json
import os

import keras
import numpy as np
import pytest
from directory_tree import files
from keras import layers
from PIL import Image

from gradcam_cli.images import input_files
from gradcam_cli.images.source import Source

RNG = np.random.default_rng(0)


def network(shape, conv, pooling):
    keras.utils.set_random_seed(0)
    model = [keras.Input(shape), conv(4, 3, padding="same", activation="relu"), pooling(), layers.Dense(3)]
    return keras.Sequential(model)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Files of a model of signals and of one of films."""
    folder = tmp_path_factory.mktemp("models")
    network((16, 2), layers.Conv1D, layers.GlobalAveragePooling1D).save(folder / "signals.keras")
    network((4, 8, 8, 3), layers.Conv3D, layers.GlobalAveragePooling3D).save(folder / "films.keras")
    return folder


def write_inputs(folder):
    """Write one input of each kind, frames in two folders, and files that are none."""
    for name in ("walk", "sub/run.v2"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            frame = RNG.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(frame).save(folder / name / f"{number}.png")
    np.save(folder / "ecg.npy", RNG.normal(size=(16, 2)).astype(np.float32))
    np.savez(folder / "clip.npz", RNG.integers(0, 256, (4, 8, 8, 3), np.uint8))
    (folder / "notes.txt").touch()


def run(cli, model, *arguments, **options):
    return cli(*arguments, "--model", model, "--save", "npz", **options)


def test_a_folder_of_frames_is_one_input(cli, models, tmp_path):
    """A folder that is named is placed as a file is; one below a directory is mirrored."""
    write_inputs(tmp_path / "in")
    done = run(cli, models / "films.keras", tmp_path / "in/walk")
    assert (done.status, files(cli.here)) == (0, ["walk_gradcam.npz"])
    done = run(cli, models / "films.keras", tmp_path / "in", "--json")
    records = [json.loads(line) for line in done.lines]
    assert [(os.path.relpath(each["input"], tmp_path / "in"), each["status"]) for each in records] == [
        ("clip.npz", "ok"),
        ("ecg.npy", "failed"),
        ("sub/run.v2", "ok"),
        ("walk", "ok"),
    ]
    names = ["clip_gradcam.npz", "sub/run.v2_gradcam.npz", "walk_gradcam.npz"]
    assert files(cli.here / "gradcam_out") == names
    assert done.status == 1


def test_an_input_of_another_rank_fails_with_a_record(cli, models, tmp_path):
    write_inputs(tmp_path / "in")
    done = run(cli, models / "signals.keras", tmp_path / "in/clip.npz", "--json")
    (record,) = map(json.loads, done.lines)
    assert (done.status, record["status"], record["sha256"]) == (3, "failed", None)
    assert record["error"] == "expected an array (T,) or (T, channels), got (4, 8, 8, 3)"
    assert record["hint"].startswith("the model takes signals")


def test_existing_files_of_a_folder_are_kept_until_a_frame_changes(cli, models, tmp_path):
    write_inputs(tmp_path / "in")
    walk = tmp_path / "in/walk"
    run(cli, models / "films.keras", walk)
    kept = run(cli, models / "films.keras", walk, "--skip-existing")
    assert "1 skipped" in kept.summaries[0]
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(walk / "1.png")
    changed = run(cli, models / "films.keras", walk, "--skip-existing")
    assert "1 map" in changed.summaries[0]


def test_signals_are_read_from_standard_input(cli, models):
    np.save("ecg.npy", RNG.normal(size=(16, 2)).astype(np.float32))
    done = run(cli, models / "signals.keras", "-", stdin=open("ecg.npy", "rb").read())  # noqa: SIM115
    assert (done.status, files(cli.here)) == (0, ["ecg.npy", "stdin_gradcam.npz"])


def test_axes_of_a_file(cli, models):
    """The map of the transposed file is that of the file."""
    values = RNG.normal(size=(16, 2)).astype(np.float32)
    np.save("a.npy", values)
    np.save("b.npy", values.T)
    for name, options in (("a.npy", ()), ("b.npy", ("--axes", "CT"))):
        assert run(cli, models / "signals.keras", name, *options).status == 0
    maps = [np.load(f"{name}_gradcam.npz")["heatmap"] for name in "ab"]
    np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--axes", "CHW"), "axes: expected 1 of the letters TDHW for signals, and perhaps C, got CHW"),
        (("--window", "40,400"), "window: not for signals"),
        (("--max-value", "4095"), "max_value: not for signals"),
        (("--rgb", "1"), "rgb: not for signals"),
    ],
)
def test_settings_that_are_not_for_signals_are_usage_errors(cli, models, options, message):
    np.save("a.npy", np.zeros((16, 2)))
    done = run(cli, models / "signals.keras", "a.npy", *options)
    assert done.status == 2
    assert message in done.stderr


def test_no_output_replaces_a_frame(cli, models, tmp_path):
    write_inputs(tmp_path / "in")
    frame = tmp_path / "in/walk/1.png"
    done = cli(tmp_path / "in/walk", "--model", models / "films.keras", "-o", frame)
    assert done.status == 2
    assert "is an input: it would be overwritten" in done.stderr


def test_names_of_outputs(cli, models, tmp_path):
    """`.nii.gz` is one suffix, and the name of a folder has none."""
    write_inputs(tmp_path / "in")
    for name in ("scan.nii.gz", "scan.v2.nii"):
        (tmp_path / "in/sub" / name).touch()
    done = run(cli, models / "films.keras", tmp_path / "in/sub", "--dry-run")
    outputs = [line.split(" -> ")[1] for line in done.lines]
    assert outputs == [
        "gradcam_out/scan_gradcam.npz",
        "gradcam_out/scan.v2_gradcam.npz",
        "gradcam_out/run.v2_gradcam.npz",
    ]


def test_no_signal_found(cli, models, tmp_path):
    write_inputs(tmp_path / "in")
    done = run(cli, models / "signals.keras", tmp_path / "in/walk")
    assert done.status == 3
    assert f"no signal found in {tmp_path}/in/walk\nhint: supported suffixes: .npy .npz .wav" in done.stderr


def test_audit_refuses_models_of_other_inputs(cli, models, tmp_path):
    write_inputs(tmp_path / "in")
    done = cli("audit", tmp_path / "in/walk", "--model", models / "films.keras")
    assert done.status == 2
    assert "requires a model of images, got one of volumes and films" in done.stderr


def test_serve_requires_models_of_one_kind_of_inputs(cli, models):
    done = cli("serve", "--model", models / "films.keras", "--model", models / "signals.keras")
    assert done.status == 2
    assert "expected models of one kind of inputs, got models of volumes and films" in done.stderr
    assert "hint: start a server for each kind" in done.stderr


def test_audit_names_the_kind_before_it_looks_for_images(cli, models, tmp_path):
    done = cli("audit", tmp_path, "--model", models / "signals.keras")
    assert (done.status, "an audit requires a model of images, got one of signals" in done.stderr) == (2, True)


def test_metrics_of_films(cli, models, tmp_path):
    """Folders of frames and arrays of a directory; the deletion curve begins with the probability of the film."""
    write_inputs(tmp_path / "in")
    model = ("--model", models / "films.keras", "--score", "output", "--fit", "squash")
    done = cli("evaluate", tmp_path / "in", *model, "--metric", "deletion", "--metric", "entropy", "--json")
    rows = [row for row in map(json.loads, done.lines) if row["status"] == "ok"]
    assert {os.path.relpath(row["input"], tmp_path / "in") for row in rows} == {"walk", "sub/run.v2", "clip.npz"}
    assert all(row["metrics"]["entropy"] <= np.log(4 * 8 * 8) for row in rows if row["metrics"]["entropy"] is not None)
    assert all(len(row["curves"]["deletion"]) == 21 for row in rows)


def test_a_photo_is_opened_once(small, photo, monkeypatch):
    """A model of images needs no further look at its inputs."""
    opened, original = [], Source.open
    monkeypatch.setattr(Source, "open", lambda source, *rest: opened.append(source.name) or original(source, *rest))
    monkeypatch.setattr(input_files, "decode_series", None)
    paths = [str(photo("a.png")), str(photo("b.png", seed=1))]
    assert small(*paths).status == 0
    assert sorted(opened) == paths
