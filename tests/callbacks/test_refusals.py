"""What is refused before an epoch is trained, and errors that do not end a training."""

import logging

import keras
import numpy as np
import pytest
from small_training import images, network, recorded, train

from gradcam_cli.callbacks import GradCAM, loggers
from gradcam_cli.callbacks import gradcam as module
from gradcam_cli.errors import GradcamError, InputError, OutputError, UsageError

X, Y = images()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"every": 0}, "every: expected a positive integer, got 0"),
        ({"on_jump": "halt"}, "on_jump: expected one of warn, stop, got 'halt'"),
        ({"to": "visdom"}, "to: expected tensorboard, wandb, mlflow, got 'visdom'"),
        ({"max_drift": "rnak=0.3"}, "max_drift: expected MEASURE=VALUE with .*, got 'rnak=0.3'"),
        ({"max_drift": ["rank"]}, "max_drift: expected MEASURE=VALUE"),
        ({"log_dir": "s3://bucket/logs"}, "log_dir: expected a local directory"),
    ],
    ids=str,
)
def test_refused_when_created(options, error):
    with pytest.raises(UsageError, match=error):
        GradCAM(X[:2], **options)


def test_misspelt_keyword_is_named():
    with pytest.raises(TypeError, match="unexpected keyword 'clases': did you mean 'classes'"):
        GradCAM(X[:2], clases=1)


def test_logger_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="wandb requires a package that is not installed"):
        GradCAM(X[:2], to=("wandb",))


@pytest.mark.parametrize(
    ("shown", "options", "error"),
    [
        (X[:2, :8], {}, r"images\[0\]: expected the shape of the model input, \(16, 16, 3\), got \(8, 16, 3\)"),
        (X[:0], {}, "expected one or more images, got none"),
        (np.where(X[:2] > 0, np.nan, X[:2]), {}, r"images\[0\]: expected finite values"),
        (["missing.png"], {"preprocess": "-1..1"}, "missing.png: "),
        (X[0], {}, "expected a batch"),
        (X[:2], {"layer": "conv9"}, "conv9"),
        (X[:2], {"layer": "logits"}, "logits"),
        (X[:2], {"classes": 4}, "expected an index from 0 to 3, got 4"),
        (X[:2], {"classes": "cat"}, "cat"),
        (X[:2], {"classes": [0, 1, 2]}, "expected one class, or one for each of 2 images, got 3"),
        (X[:2], {"classes": "top2"}, "expected one class for an image, got 'top2'"),
        (X[:2], {"method": "gradcamm"}, "gradcamm"),
        (X[:2], {"fit": "stretch"}, "stretch"),
    ],
)
def test_refused_before_an_epoch_is_trained(tmp_path, shown, options, error):
    begun = []
    watcher = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda *_: begun.append(1))
    with pytest.raises(GradcamError, match=error):
        train([watcher, GradCAM(shown, log_dir=tmp_path, **options)], model=network())
    assert begun == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(16, 3), (4, 16, 16, 3)])
def test_models_of_signals_and_volumes_are_refused(tmp_path, shape):
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    x = np.zeros((2, *shape), np.float32)
    with pytest.raises(GradcamError, match="the callback requires a model of images"):
        train([GradCAM(x, log_dir=tmp_path)], model=model, data=(x, np.array([0, 1])))
    assert list(tmp_path.iterdir()) == []


def test_log_directory_that_is_a_file(tmp_path):
    (tmp_path / "logs").write_text("mine")
    with pytest.raises((OutputError, InputError)):
        train([GradCAM(X[:2], log_dir=tmp_path / "logs")])
    assert (tmp_path / "logs").read_text() == "mine"


@pytest.mark.slow
def test_full_disk_warns_once_and_the_training_continues(tmp_path, monkeypatch, caplog):
    """Also the epochs of which the record has no maps are in its logs."""
    write, calls = module.write_epoch, []

    def full(directory, maps):
        calls.append(maps.epoch)
        if maps.epoch in (1, 2):
            raise OutputError("epoch cannot be written: No space left on device")
        return write(directory, maps)

    monkeypatch.setattr(module, "write_epoch", full)
    model = train([GradCAM(X[:2], log_dir=tmp_path)], epochs=4)
    assert len(model.history.history["loss"]) == 4
    warnings = [each.getMessage() for each in caplog.records if each.name == "gradcam_cli"]
    assert [each for each in warnings if "No space left" in each] == [
        "GradCAM: record: OutputError: epoch cannot be written: No space left on device; the training continues"
    ]
    assert calls == [0, 1, 2, 3]
    assert [(maps.epoch, list(maps.logs)) for maps in recorded(tmp_path)] == [(0, [0]), (3, [1, 2, 3])]


@pytest.mark.slow
def test_failing_logger_and_failing_maps_do_not_end_the_training(tmp_path, monkeypatch, caplog):
    class Broken:
        def __init__(self, directory):
            pass

        def log(self, maps, pictures):
            raise ConnectionError("no route to host")

        def close(self):
            raise ConnectionError("no route to host")

    monkeypatch.setitem(loggers.LOGGERS, "tensorboard", loggers.LoggerKind("numpy", Broken))
    model = train([GradCAM(X[:2], log_dir=tmp_path, to="tensorboard")], epochs=3)
    assert len(model.history.history["loss"]) == 3
    assert len(recorded(tmp_path)) == 3
    assert sum("no route to host" in each.getMessage() for each in caplog.records) == 1
    monkeypatch.setattr(module, "explained_maps", lambda results: 1 / 0)
    caplog.clear()
    train([GradCAM(X[:2], log_dir=tmp_path / "other")], epochs=3)
    assert sum("ZeroDivisionError" in each.getMessage() for each in caplog.records) == 1


@pytest.mark.slow
def test_metrics_that_are_arrays_are_left_out(tmp_path):
    class PerClass(keras.metrics.Metric):
        def update_state(self, *arguments, **options):
            pass

        def result(self):
            return keras.ops.zeros(3)

    train([GradCAM(X[:2], log_dir=tmp_path)], epochs=1, metrics=[PerClass(name="per_class")])
    assert list(recorded(tmp_path)[0].logs[0]) == ["loss"]


@pytest.mark.slow
def test_diverged_training_is_said(tmp_path, caplog):
    """NaN weights give no map, which is a warning and part of the record; a ReLU alone would hide them as zeros."""
    caplog.set_level(logging.WARNING)

    class Diverge(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.get_layer("conv2").kernel.assign(np.full((3, 3, 6, 8), np.nan))

    model = train([Diverge(), GradCAM(X[:2], log_dir=tmp_path, max_drift="rank=2", on_jump="stop")], epochs=5)
    assert len(model.history.history["loss"]) == 2
    first, second = recorded(tmp_path)
    assert (first.errors, len(second.errors)) == ([], 2)
    assert second.drift["last"]["rank"] == [None, None]
    messages = [each.getMessage() for each in caplog.records]
    reason = "the weights small/conv2/kernel contain NaN or infinity"
    assert f"epoch 2: 2 of 2 images have no map: {reason}" in messages
    assert second.errors == [reason] * 2
    assert "epoch 2: the maps jumped: 2 of 2 images have no map any more" in messages
