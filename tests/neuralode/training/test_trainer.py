"""Learning: what it keeps, where it stops, and that a resumed training is the same training."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.layers.odenet import build_odenet
from gradcam_cli.neuralode.training.config import TrainingConfig
from gradcam_cli.neuralode.training.datasets import Dataset
from gradcam_cli.neuralode.training.evaluate import Predictions, evaluate
from gradcam_cli.neuralode.training.optimizer import make_optimizer
from gradcam_cli.neuralode.training.trainer import DivergedError, EpochStats, Trainer, write_csv_log


def halves(n=48, side=8):
    """Images that are bright at the left or at the right."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 60, (n, side, side, 1), dtype=np.uint8), np.arange(n) % 2
    x[y == 0, :, : side // 2] += 150
    x[y == 1, :, side // 2 :] += 150
    return Dataset(x, y, x[:8], y[:8], ("left", "right"))


def trainer(arch="stem-only", data=None, **recipe):
    keras.utils.set_random_seed(0)
    data = data or halves()
    asked = TrainingConfig(**{"epochs": 3, "batch_size": 16, "learning_rate": 0.02, "crop": 1, **recipe})
    return Trainer(build_odenet(data.x_train.shape[1:], data.labels, arch, downsampling_layers=0), data, asked)


def weights(one):
    return [np.asarray(weight) for weight in one.model.variables]


def test_one_cycle_rises_and_falls():
    """From a 25th of the rate to all of it in a quarter of the steps, then by half a cosine to zero."""
    rate = make_optimizer(TrainingConfig(epochs=4, learning_rate=0.5), steps_per_epoch=10)._learning_rate
    assert float(rate(0)) == pytest.approx(0.02)
    assert float(rate(5)) == pytest.approx(0.26)
    assert float(rate(10)) == pytest.approx(0.5)
    assert float(rate(25)) == pytest.approx(0.25)
    assert float(rate(40)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(("schedule", "halfway"), [("cosine", 0.25), ("constant", 0.5)])
def test_other_schedules(schedule, halfway):
    optimizer = make_optimizer(TrainingConfig(epochs=2, learning_rate=0.5, schedule=schedule), steps_per_epoch=10)
    optimizer.build([])
    optimizer.iterations.assign(10)
    assert float(optimizer.learning_rate) == pytest.approx(halfway)


def test_invalid_arguments():
    with pytest.raises(UsageError, match="expected one of sgd, adam, adamw, got muon"):
        make_optimizer(TrainingConfig(optimizer="muon"), 1)
    with pytest.raises(UsageError, match="expected one of one-cycle"):
        make_optimizer(TrainingConfig(schedule="step"), 1)
    with pytest.raises(UsageError, match="held out") as caught:
        trainer(early_stop=2)
    assert "--validation" in caught.value.hint


def test_confusion_and_accuracy_by_hand():
    """Three images of class 0, one of class 1; one of the three is taken for class 1."""
    score = Predictions(0.0, np.array([[2.0, 1], [0, 1], [3, 1], [0, 5]]))
    y = np.array([0, 0, 0, 1])
    assert score.accuracy(y) == 0.75
    assert score.confusion(y).tolist() == [[2, 1], [0, 1]]


def test_loss_is_cross_entropy():
    """Logits that are all equal: log 2, for images in several passes."""
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2, kernel_initializer="zeros")]
    )
    x, y = np.zeros((1200, 2, 2, 1), np.uint8), np.zeros(1200, int)
    score = evaluate(model, x, y)
    assert score.loss == pytest.approx(np.log(2), rel=1e-6)
    assert score.logits.shape == (1200, 2)


def test_a_step_descends_the_gradient():
    """Plain steps of a constant rate: the weights move against the gradient of the mean cross-entropy."""
    one = trainer(optimizer="adam", schedule="constant", crop=0)
    x, y = tf.constant(one.train[0][:16], tf.float32), tf.constant(one.train[1][:16])
    before = weights(one)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, one.model(x))
    gradients = tape.gradient(loss, [weight.value for weight in one.model.trainable_variables])
    said, _, size = one.step(x, y)
    assert float(said) == pytest.approx(float(loss), rel=1e-5)
    assert float(size) == pytest.approx(float(tf.linalg.global_norm(gradients)), rel=1e-4)
    for old, new, g in zip(before, weights(one), gradients, strict=True):
        moved = np.abs(g) > 1e-3  # Adam's first step is the sign of the gradient
        np.testing.assert_allclose((new - old)[moved], -0.02 * np.sign(g)[moved], rtol=1e-2)


@pytest.mark.slow
def test_learns():
    one = trainer(epochs=10)
    history = list(one.epochs())
    assert history[-1].loss < history[0].loss / 3
    assert evaluate(one.model, one.train[0], one.train[1]).accuracy(one.train[1]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["odenet", "resnet"])
def test_resumed_training_is_the_same(tmp_path, arch):
    """Interrupted after an epoch and resumed in another object: the same weights, bit for bit, and the same history."""
    whole = trainer(arch, validation=0.25, flip=True)
    history = list(whole.epochs())
    first = trainer(arch, validation=0.25, flip=True)
    next(first.epochs(tmp_path / "c.npz"))
    second = trainer(arch, validation=0.25, flip=True)
    for variable in second.model.variables:
        variable.assign(variable + 1)  # nothing is left to chance
    second.resume(tmp_path / "c.npz")
    list(second.epochs(tmp_path / "c.npz"))
    for a, b in zip(weights(whole), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal([epoch[:-1] for epoch in second.history], [epoch[:-1] for epoch in history])


def test_another_training_is_not_resumed(tmp_path):
    one = trainer(epochs=2)
    next(one.epochs(tmp_path / "c.npz"))
    with pytest.raises(UsageError, match=r"learning_rate 0.02 \(now 0.05\)"):
        trainer(epochs=2, learning_rate=0.05).resume(tmp_path / "c.npz")
    (tmp_path / "c.npz").write_bytes(b"half of it")
    with pytest.raises(UsageError, match="cannot be read"):
        trainer(epochs=2).resume(tmp_path / "c.npz")


def test_divergence_stops_with_a_reason(tmp_path):
    """A loss that is no number: where, and what to do; the checkpoint of the epoch before stays."""
    one = trainer(epochs=2, schedule="constant")
    epochs = one.epochs(tmp_path / "c.npz")
    next(epochs)
    kept = (tmp_path / "c.npz").read_bytes()
    one.model.trainable_variables[0].assign(one.model.trainable_variables[0] * float("nan"))
    with pytest.raises(DivergedError, match="epoch 2, step 1: the loss is not finite") as caught:
        next(epochs)
    assert "learning rate" in caught.value.hint
    assert (tmp_path / "c.npz").read_bytes() == kept


@pytest.mark.slow
def test_an_equation_that_cannot_be_solved_stops_with_a_reason():
    one = trainer("odenet", schedule="constant")
    one.block.f.norms[-1].gamma.assign(one.block.f.norms[-1].gamma * float("nan"))
    with pytest.raises(DivergedError, match=r"epoch 1, step 1: .*solve.*not finite"):
        next(one.epochs())


def test_early_stop():
    """Two epochs without a better validation loss end it."""
    one = trainer(epochs=50, validation=0.5, early_stop=2, learning_rate=1e-12, schedule="constant", weight_decay=0)
    history = list(one.epochs())
    losses = [epoch.validation_loss for epoch in history]
    assert len(history) == int(np.argmin(losses)) + 3 < 50


def test_log_is_a_table(tmp_path):
    """One line an epoch; what was not measured is empty."""
    nan = float("nan")
    rows = [EpochStats(1, 0.5, 0.75, nan, nan, 14, 7.5, 0.1, 2.0), EpochStats(2, 0.25, 1, 0.3, 0.9, 14, 7, 0.05, 2.5)]
    write_csv_log(tmp_path / "log.csv", rows)
    with open(tmp_path / "log.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["loss"] for row in read] == ["0.5", "0.25"]
    assert [row["validation_accuracy"] for row in read] == ["", "0.9"]
    assert [row["backward_evaluations"] for row in read] == ["7.5", "7"]


OPTIONS = ["--data", "d.npz", "--epochs", "3", "--batch-size", "8", "--stem", "0", "--seed", "3", "--crop", "1"]


@pytest.mark.slow
def test_killed_in_an_epoch_and_resumed(tmp_path):
    """After `kill -9` in the midst of the second epoch, --resume ends with the same weights as a run in one piece."""
    data = halves(160)
    np.savez(tmp_path / "d.npz", **{name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")})
    command = [sys.executable, "-m", "gradcam_cli", "neuralode", "train", *OPTIONS]
    subprocess.run([*command, "-o", "whole.keras", "--log", "whole.csv"], cwd=tmp_path, check=True)
    killed = subprocess.Popen([*command, "-o", "part.keras"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "part.checkpoint.npz"
    while not checkpoint.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "part.keras").exists()
    done = subprocess.run(
        [*command, "-o", "part.keras", "--log", "part.csv", "--resume", "--json"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 3
    models = [keras.saving.load_model(tmp_path / f"{name}.keras") for name in ("whole", "part")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [
        [line.split(",")[:-1] for line in (tmp_path / f"{name}.csv").read_text().splitlines()]
        for name in ("whole", "part")
    ]
    assert logs[0] == logs[1]
    assert not checkpoint.exists()
    again = subprocess.run([*command, "-o", "part.keras", "--resume"], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 2
    assert "trained to its end" in again.stderr
