"""`gradcam neuralode` never replaces an input, refuses damaged files with one sentence, and keeps what was trained."""

import errno
import json

import numpy as np
import pytest
from halves import halves
from PIL import Image
from quick_cases import first_quick

from gradcam_cli.neuralode.layers.odenet import build_odenet
from gradcam_cli.neuralode.training import run
from gradcam_cli.neuralode.training.checkpoint import is_checkpoint
from gradcam_cli.storage import files

QUICK = ("--arch", "stem-only", "--downsampling-layers", 0, "--epochs", 1, "--batch-size", 24)


@pytest.fixture
def here(cli):
    """The working directory, with a data set as a file and as folders."""
    data = halves(12)
    arrays = {name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test", "labels")}
    np.savez(cli.here / "d.npz", **arrays)
    for label in ("left", "right"):
        (cli.here / "images" / label).mkdir(parents=True)
        for number in range(5):
            Image.fromarray(data.x_train[number, ..., 0]).save(cli.here / "images" / label / f"{number}.png")
    return cli.here


@pytest.fixture
def train(cli, here):
    def call(*options, data="d.npz", output="net.keras"):
        return cli("neuralode", "train", "--data", data, "-o", output, *QUICK, *options)

    return call


def snapshot(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_error(result, status, message):
    assert (result.status, result.stdout) == (status, "")
    assert message in result.stderr
    assert "unexpected" not in result.stderr
    assert result.stderr.count("error: ") == 1


@pytest.mark.parametrize(
    ("options", "output", "message"),
    [
        ((), "net.keras", "net.checkpoint.npz is an input: it would be overwritten"),
        (("--csv-log", "net.checkpoint.npz"), "a.keras", "--csv-log net.checkpoint.npz is an input"),
        (("--csv-log", "link.npz"), "a.keras", "--csv-log link.npz is an input"),
        (("--csv-log", "hard.npz"), "a.keras", "--csv-log hard.npz is an input"),
    ],
)
def test_training_never_replaces_its_data(train, here, options, output, message):
    """Nor deletes it: its checkpoint, which is deleted at the end, has the name of the data."""
    (here / "d.npz").rename(here / "net.checkpoint.npz")
    (here / "link.npz").symlink_to("net.checkpoint.npz")
    (here / "hard.npz").hardlink_to(here / "net.checkpoint.npz")
    before = snapshot(here)
    assert_error(train(*options, data="net.checkpoint.npz", output=output), 2, message)
    assert snapshot(here) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--csv-log", "images/left/0.png"), "images/left/0.png is an input"),
        (("--export-samples", "images"), "would write into the directory of --data images"),
        (("--export-samples", "images/left/../left"), "would write into the directory of --data images"),
    ],
)
def test_training_never_replaces_an_image_of_its_data(train, here, options, message):
    before = snapshot(here)
    assert_error(train(*options, data="images"), 2, message)
    assert snapshot(here) == before


def test_samples_of_a_named_data_set_are_written_twice(train, here):
    """A second training finds a directory with the name of the data set: the samples of the first one."""
    for _ in range(2):
        assert train("--export-samples", "digits", data="digits").status == 0
    assert len(list((here / "digits").glob("*.png"))) == 10


@pytest.mark.parametrize("content", [b"", b"someone's results"])
@pytest.mark.parametrize("options", [(), ("--resume",)])
def test_files_that_are_no_checkpoint_are_not_replaced(train, here, content, options):
    """A file with the checkpoint's name, empty or of another kind, is kept; the message names it."""
    (here / "net.checkpoint.npz").write_bytes(content)
    assert_error(train(*options), 2, "net.checkpoint.npz would replace a file that is no checkpoint")
    assert (here / "net.checkpoint.npz").read_bytes() == content


def test_two_outputs_with_one_name(train):
    assert_error(train("--csv-log", "net.checkpoint.npz"), 2, "is also the file of")


def test_outputs_that_cannot_be_written(train, here):
    """Reported before the training starts."""
    (here / "net.checkpoint.npz").mkdir()
    assert_error(train(), 3, "net.checkpoint.npz cannot be written: it is a directory")
    assert_error(train(output="d.npz/net.keras"), 3, "d.npz/net.keras cannot be written")
    assert_error(train("--csv-log", "d.npz/log.csv", output="a.keras"), 3, "d.npz/log.csv cannot be written")


@pytest.mark.parametrize("name", ["empty", "truncated", "text"])
def test_damaged_data(train, cli, here, name):
    """Neither reported as an interruption nor as unexpected, by both commands that read data."""
    content = (here / "d.npz").read_bytes()
    (here / "bad.npz").write_bytes({"empty": b"", "truncated": content[:-300], "text": b"words"}[name])
    assert_error(train(data="bad.npz"), 2, "--data: cannot read bad.npz: it is no .npz file, or is truncated")
    build_odenet((8, 8, 1), ("left", "right"), "stem-only", downsampling_layers=0).save(here / "net.keras")
    assert_error(cli("neuralode", "evaluate", "net.keras", "--data", "bad.npz"), 2, "cannot read bad.npz")


def test_full_disk_at_the_end_keeps_the_checkpoint(train, here, monkeypatch):
    """The trained model cannot be written: one error; --resume then only writes it."""
    original = files.write_bytes

    def full_disk(target, data):
        if target.suffix == ".keras":
            raise OSError(errno.ENOSPC, "No space left on device")
        original(target, data)

    monkeypatch.setattr(files, "write_bytes", full_disk)
    result = train()
    assert_error(result, 3, "net.keras cannot be written: No space left on device")
    assert "net.checkpoint.npz is kept: --resume resumes after epoch 1" in result.stderr
    assert is_checkpoint(here / "net.checkpoint.npz")
    monkeypatch.setattr(files, "write_bytes", original)
    assert train("--resume").status == 0
    assert (here / "net.keras").exists()
    assert is_checkpoint(here / "net.checkpoint.npz")


def test_complete_training_is_extended(train, here):
    """--resume writes the model of a complete training again; more --epochs extend it; fewer are refused."""
    assert train().status == 0
    result = train("--resume")
    assert result.status == 0
    assert "the training is complete after epoch 1; more --epochs extend it" in result.stderr
    result = train("--resume", "--epochs", 3, "--json")
    assert (result.status, json.loads(result.stdout)["epochs"]) == (0, 3)
    assert "--epochs 3 instead of 1: the learning rate continues on the schedule of 3 epochs" in result.stderr
    assert_error(train("--resume", "--epochs", 2), 2, "--epochs 2: the checkpoint net.checkpoint.npz has 3 epochs")
    (here / "net.checkpoint.npz").unlink()
    assert_error(train("--resume", "--epochs", 4), 2, "checkpoint net.checkpoint.npz not found: net.keras cannot be")


def save_classes(path, counts, test_counts=None, labels=("a", "b", "c")):
    """Write a data set with these numbers of images of three classes, each of one brightness."""
    arrays = {}
    for part, numbers in (("train", counts), ("test", test_counts or counts)):
        y = np.repeat(np.arange(3), numbers)
        arrays |= {f"y_{part}": y, f"x_{part}": np.zeros((len(y), 8, 8), np.uint8) + (100 * y)[:, None, None]}
    np.savez(path, **{name: array.astype(np.uint8) for name, array in arrays.items()}, labels=labels)


def test_imbalanced_classes_are_named_with_their_recall(train, cli, here):
    """200 to 20 images are imbalanced, 190 to 20 are not. The JSON record has the recall of each class."""
    save_classes(here / "d.npz", (200, 40, 20))
    result = train("--json")
    record = json.loads(result.stdout)
    assert "imbalanced classes: 200 training images of a, 20 of c" in result.stderr
    recalls = {row["class"]: row["recall"] for row in record["classes"]}
    listed = result.stderr.split("recall of each class: ")[1].splitlines()[0].split(", ")
    assert sorted(listed) == [f"{label} {recall:.3f}" for label, recall in recalls.items()]
    assert record["chance_accuracy"] == pytest.approx(200 / 260, abs=1e-6)
    save_classes(here / "d.npz", (190, 40, 20))
    assert "recall" not in train().stderr


def test_classes_with_few_or_no_images_are_named(train, here):
    save_classes(here / "d.npz", (20, 4, 20), (5, 0, 5))
    stderr = train().stderr
    assert "fewer than 5 training images of b: the network hardly learns this class" in stderr
    assert "no test images of b: the accuracy does not cover this class" in stderr
    save_classes(here / "d.npz", (20, 0, 20))
    assert_error(train(), 2, "--data d.npz: expected training images of every class, got none of b")


def test_empty_directory_of_a_class(train, here):
    (here / "images/upper").mkdir()
    assert_error(train(data="images"), 2, "expected at least 5 images of each class, got 0 in the directory upper")


def test_network_that_learns_nothing_is_named(train, cli, here):
    """Images on a canvas with a learning rate of almost zero: both commands print the accuracy and chance."""
    data = ("--canvas-scale", 2, "--seed", 1)
    result = train("--learning-rate", 1e-9, "--json", *data)
    record = json.loads(result.stdout)
    assert record["chance_accuracy"] == 0.5
    assert f"the test accuracy {record['test_accuracy']:.3f} is at chance level: always choosing" in result.stderr
    assert "has 0.500 on these 8 images" in result.stderr
    result = cli("neuralode", "evaluate", "net.keras", "--data", "d.npz", *data, "--json")
    assert json.loads(result.stdout)["chance_accuracy"] == 0.5
    assert "is at chance level" in result.stderr


def test_full_disk_for_temporary_files(train, here, monkeypatch):
    """Keras writes the model to a temporary file first."""

    def full_disk(model):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gradcam_cli.models.loading.model_to_bytes", full_disk)
    assert_error(train(), 3, "net.keras cannot be written: No space left on device")
    assert is_checkpoint(here / "net.checkpoint.npz")


@pytest.mark.parametrize("option", ["-o", "--animation", "--save-model"])
def test_spiral_checks_its_outputs_before_it_trains(cli, here, option):
    suffix = {"-o": "png", "--animation": "gif", "--save-model": "keras"}[option]
    assert_error(cli("neuralode", "spiral", option, f"d.npz/a.{suffix}"), 3, f"d.npz/a.{suffix} cannot be written")


def test_unwritable_tensorboard_directory(train, here):
    result = train("--tensorboard", "d.npz/events")
    assert_error(result, 3, "--tensorboard d.npz/events cannot be written: ")
    assert "{{" not in result.stderr


def test_end_of_file_is_not_an_interruption(cli, here, monkeypatch):
    """Click turns every EOFError into an interruption, status 130."""

    def load(*arguments):
        raise EOFError("No data left in file")

    monkeypatch.setattr(run, "load_dataset", load)
    result = cli("neuralode", "train", "--data", "d.npz", "-o", "net.keras", *QUICK)
    assert_error(result, 3, "a file is empty or truncated: No data left in file")


def test_evaluation_requires_the_class_names_of_the_model(cli, here):
    """Folders in another order of classes would give a wrong accuracy."""
    build_odenet((8, 8, 1), ("right", "left"), "stem-only", downsampling_layers=0).save(here / "net.keras")
    result = cli("neuralode", "evaluate", "net.keras", "--data", "images")
    assert_error(result, 2, "--data images: class 0 is left in the data and right in the model")


def test_evaluation_of_a_model_with_infinite_weights(cli, here):
    model = build_odenet((8, 8, 1), ("left", "right"), "stem-only", downsampling_layers=0)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    model.save(here / "net.keras")
    assert_error(
        cli("neuralode", "evaluate", "net.keras", "--data", "d.npz", "--json"), 3, "logits that are not finite"
    )


def test_confusion_figure_never_replaces_an_image_of_the_data(cli, here):
    before = snapshot(here)
    result = cli("neuralode", "evaluate", "net.keras", "--data", "images", "--confusion", "images/left/0.png")
    assert_error(result, 2, "--confusion images/left/0.png is an input")
    assert snapshot(here) == before


@pytest.fixture
def ode_model(here):
    build_odenet((8, 8, 1), ("left", "right"), downsampling_layers=0).save(here / "ode.keras")
    return "ode.keras"


@pytest.mark.parametrize(
    ("image", "status", "message"),
    [
        ("empty.png", 3, "empty.png: the file is empty"),
        ("missing.png", 3, "missing.png: cannot be read"),
        ("folder", 3, "no image found in folder"),
        ("images/left/0.png", 2, "-o images/left/0.png is an input"),
    ],
)
def test_flow_with_damaged_images_or_onto_its_image(cli, here, ode_model, image, status, message):
    (here / "empty.png").touch()
    (here / "folder").mkdir()
    output = image if status == 2 else "flow.png"
    assert_error(cli("neuralode", "flow", "--model", ode_model, "--image", image, "-o", output), status, message)


def test_flow_of_a_model_without_finite_weights(cli, here, ode_model):
    import keras

    model = keras.saving.load_model(here / ode_model)
    model.set_weights([np.full_like(w, np.nan) if w.dtype.kind == "f" else w for w in model.get_weights()])
    model.save(here / ode_model)
    for options in ((), ("--image", "images/left/0.png")):
        assert_error(cli("neuralode", "flow", "--model", ode_model, *options), 3, "f or z is not finite")


@pytest.mark.parametrize("name", first_quick(["map.jpg", "map.pdf", "map.svg"]))
def test_depth_figure_has_the_format_of_its_suffix(cli, here, ode_model, name):
    start = {"map.pdf": b"%PDF", "map.svg": b"<?xml", "map.jpg": b"\xff\xd8\xff"}[name]
    done = cli("neuralode", "explain", "images/left/0.png", "--model", ode_model, "--times", "0,1", "-o", name)
    assert done.status == 0, done.stderr
    assert (here / name).read_bytes().startswith(start)
