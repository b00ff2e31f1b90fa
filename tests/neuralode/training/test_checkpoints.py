"""Checkpoints: damaged or foreign files are refused, and a failed write loses nothing."""

import errno
import json
import os

import numpy as np
import pytest
from halves import halves

from gradcam_cli.errors import GradcamError, OutputError, UsageError
from gradcam_cli.neuralode.layers.odenet import build_odenet
from gradcam_cli.neuralode.training.checkpoint import is_checkpoint
from gradcam_cli.neuralode.training.config import DataConfig, NetworkConfig, TrainingConfig
from gradcam_cli.neuralode.training.run import make_trainer
from gradcam_cli.neuralode.training.trainer import Trainer
from gradcam_cli.storage import files

NETWORK = NetworkConfig("stem-only", downsampling_layers=0)
CONFIG = TrainingConfig(epochs=3, batch_size=24)


def new_trainer(data=None, config=CONFIG):
    return make_trainer(data or halves(), DataConfig("halves.npz"), NETWORK, config)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trainer after one epoch, and its checkpoint."""
    path = tmp_path_factory.mktemp("trained") / "c.npz"
    trainer = new_trainer()
    next(trainer.epochs(path))
    return trainer, path


@pytest.fixture
def saved(trained):
    """The arrays of the checkpoint."""
    with np.load(trained[1]) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def fresh():
    return new_trainer()


def assert_refused(trainer, path, message):
    """Resuming raises one error and changes no weight."""
    before = [np.asarray(variable).copy() for variable in trainer.model.variables]
    with pytest.raises(UsageError, match=message) as caught:
        trainer.resume(path)
    assert caught.value.hint
    assert len(caught.value.message) < 1_000
    assert (trainer.history, trainer.saved_epochs) == ([], 0)
    for variable, array in zip(trainer.model.variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), array)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"v0": None}, "v0 not found"),
        ({"history": None}, "history not found"),
        ({"config_json": None}, "config_json not found"),
        ({"v0": np.zeros((1, 2), np.float32)}, r"expected an array \(3, 3, 1, 64\) of float32, got \(1, 2\)"),
        ({"v0": np.zeros((3, 3, 1, 64), np.int32)}, "got .* of int32"),
        ({"v0": np.full((3, 3, 1, 64), np.nan, np.float32)}, "a weight is not finite"),
        ({"v0": np.array([{}])}, "got type object"),
        ({"v0": np.zeros(3 * 10**7, np.uint8)}, "decompressed bytes"),
        ({"history": "["}, "its metrics are not JSON"),
        ({"history": "[" * 100_000}, "its metrics are not JSON"),
        ({"history": "{}"}, "expected 9 numbers for epoch 1"),
        ({"history": "[[1, 2]]"}, "expected 9 numbers for epoch 1"),
        ({"history": json.dumps([[1] + ["a"] * 8])}, "expected 9 numbers for epoch 1"),
        ({"history": json.dumps([[7] + [0.5] * 8])}, "expected 9 numbers for epoch 1"),
        ({"config_json": "no JSON"}, "its configuration is not a JSON object"),
        ({"config_json": "[]"}, "its configuration is not a JSON object"),
        ({"config_json": json.dumps({"k" * 5_000: "v" * 5_000})}, "different configuration"),
        ({"config_json": np.zeros(3)}, "its configuration is not a JSON object"),
    ],
)
def test_damaged_checkpoints_are_refused(fresh, saved, tmp_path, changed, message):
    arrays = {name: array for name, array in {**saved, **changed}.items() if array is not None}
    np.savez_compressed(tmp_path / "c.npz", **arrays)
    assert_refused(fresh, tmp_path / "c.npz", message)


@pytest.mark.parametrize("epochs", ["3", None, 2.5, True])
def test_number_of_epochs_must_be_an_integer(fresh, saved, tmp_path, epochs):
    config = {**json.loads(str(saved["config_json"])), "epochs": epochs}
    np.savez(tmp_path / "c.npz", **{**saved, "config_json": json.dumps(config)})
    assert_refused(fresh, tmp_path / "c.npz", "its number of epochs is not an integer")


def test_truncated_checkpoints_are_refused(fresh, trained, tmp_path):
    content = trained[1].read_bytes()
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "c.npz").write_bytes(content[:length])
        assert_refused(fresh, tmp_path / "c.npz", "cannot read checkpoint")
        assert not is_checkpoint(tmp_path / "c.npz")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.npz")
        assert_refused(fresh, tmp_path / "fifo.npz", "expected a regular file")
    assert is_checkpoint(trained[1])


@pytest.mark.parametrize("change", ["pixels", "classes", "labels"])
def test_resume_requires_the_same_data(trained, change):
    """Other images, classes or class names under the same name of the data set."""
    data = halves()
    if change == "labels":
        data = data._replace(labels=("right", "left"))
    else:
        (data.x_train if change == "pixels" else data.y_train)[:2] = 1
    assert_refused(new_trainer(data), trained[1], "data_sha256")


def test_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    """The second epoch cannot be saved: one error; the checkpoint of the first epoch can be resumed."""
    trainer, path = new_trainer(), tmp_path / "c.npz"
    epochs = trainer.epochs(path)
    next(epochs)
    content = path.read_bytes()

    def full_disk(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        next(epochs)
    monkeypatch.undo()
    assert (path.read_bytes(), os.listdir(tmp_path), trainer.saved_epochs) == (content, ["c.npz"], 1)
    resumed = new_trainer()
    resumed.resume(path)
    assert [epoch.epoch for epoch in resumed.epochs(path)] == [2, 3]


def test_validation_split_requires_images_of_both_kinds():
    for split in (0.001, 0.9):
        with pytest.raises(UsageError, match="at least one training and one validation image"):
            new_trainer(halves(4), TrainingConfig(validation_split=split))


def test_random_shift_is_limited_by_the_image_size():
    with pytest.raises(UsageError, match="expected at most 8, the size of the images"):
        new_trainer(config=TrainingConfig(random_shift=100_000))


def test_tiny_images_for_the_thin_network():
    with pytest.raises(UsageError, match="images of 1 pixels are too small for odenet-thin"):
        build_odenet((1, 1, 1), ("a", "b"), "odenet-thin")


def test_out_of_memory_is_one_line(monkeypatch):
    trainer = Trainer(build_odenet((8, 8, 1), ("a", "b"), "stem-only", downsampling_layers=0), halves(), CONFIG)

    def step(x, y):
        raise MemoryError

    monkeypatch.setattr(trainer, "step", step)
    with pytest.raises(GradcamError, match="epoch 1, step 1: out of memory"):
        next(trainer.epochs())


def test_class_names_with_equal_file_names_are_exported_separately(tmp_path):
    """No sample replaces another, and long or empty names are valid file names."""
    from gradcam_cli.neuralode.training.run import export_samples

    names = ("a/b", "a:b", "A-b", "x" * 900, "")
    data = halves()._replace(y_test=np.arange(8) % 5, labels=names)
    export_samples(data, tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == len(names)
