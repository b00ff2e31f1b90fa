"""Training: schedules, loss and gradient, early stopping, checkpoints and resuming, the CSV log."""

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
from halves import halves

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.layers.odenet import build_odenet
from gradcam_cli.neuralode.training.config import TrainingConfig
from gradcam_cli.neuralode.training.evaluate import Predictions, evaluate
from gradcam_cli.neuralode.training.optimizer import make_optimizer
from gradcam_cli.neuralode.training.trainer import DivergedError, EpochStats, Trainer, write_csv_log


def make_trainer(arch="stem-only", **settings):
    keras.utils.set_random_seed(0)
    data = halves()
    config = TrainingConfig(**{"epochs": 3, "batch_size": 16, "learning_rate": 0.02, "random_shift": 1, **settings})
    return Trainer(build_odenet(data.x_train.shape[1:], data.labels, arch, downsampling_layers=0), data, config)


def weights(trainer):
    return [np.asarray(weight) for weight in trainer.model.variables]


def test_one_cycle_schedule_rises_and_falls():
    """The rate increases from a 25th to its maximum in a quarter of the steps, then decreases to zero."""
    rate = make_optimizer(TrainingConfig(epochs=4, learning_rate=0.5), steps_per_epoch=10)._learning_rate
    assert float(rate(0)) == pytest.approx(0.02)
    assert float(rate(5)) == pytest.approx(0.26)
    assert float(rate(10)) == pytest.approx(0.5)
    assert float(rate(25)) == pytest.approx(0.25)
    assert float(rate(40)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(("schedule", "halfway"), [("cosine", 0.25), ("constant", 0.5)])
def test_learning_rate_of_each_schedule_halfway(schedule, halfway):
    optimizer = make_optimizer(TrainingConfig(epochs=2, learning_rate=0.5, schedule=schedule), steps_per_epoch=10)
    optimizer.build([])
    optimizer.iterations.assign(10)
    assert float(optimizer.learning_rate) == pytest.approx(halfway)


def test_invalid_configuration_is_refused():
    with pytest.raises(UsageError, match="expected one of sgd, adam, adamw, got muon"):
        make_optimizer(TrainingConfig(optimizer="muon"), 1)
    with pytest.raises(UsageError, match="expected one of one-cycle"):
        make_optimizer(TrainingConfig(schedule="step"), 1)
    with pytest.raises(UsageError, match="patience requires validation images") as caught:
        make_trainer(patience=2)
    assert "--validation-split" in caught.value.hint


def test_confusion_and_accuracy_by_hand():
    """Three images of class 0, of which one is predicted as class 1, and one image of class 1."""
    predictions = Predictions(0.0, np.array([[2.0, 1], [0, 1], [3, 1], [0, 5]]))
    y = np.array([0, 0, 0, 1])
    assert predictions.accuracy(y) == 0.75
    assert predictions.confusion(y).tolist() == [[2, 1], [0, 1]]


def test_loss_is_cross_entropy():
    """Equal logits of two classes have the loss log 2, also over several batches."""
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2, kernel_initializer="zeros")]
    )
    x, y = np.zeros((1200, 2, 2, 1), np.uint8), np.zeros(1200, int)
    predictions = evaluate(model, x, y)
    assert predictions.loss == pytest.approx(np.log(2), rel=1e-6)
    assert predictions.logits.shape == (1200, 2)


def test_step_follows_negative_gradient():
    """The first step of Adam moves each weight against the gradient of the mean cross-entropy."""
    trainer = make_trainer(optimizer="adam", schedule="constant", random_shift=0)
    images, classes = trainer.training_data
    x, y = tf.constant(images[:16], tf.float32), tf.constant(classes[:16])
    before = weights(trainer)
    with tf.GradientTape() as tape:
        expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, trainer.model(x))
    gradients = tape.gradient(expected, [weight.value for weight in trainer.model.trainable_variables])
    loss, _, norm = trainer.step(x, y)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert float(norm) == pytest.approx(float(tf.linalg.global_norm(gradients)), rel=1e-4)
    for old, new, g in zip(before, weights(trainer), gradients, strict=True):
        moved = np.abs(g) > 1e-3  # Adam's first step is the sign of the gradient
        np.testing.assert_allclose((new - old)[moved], -0.02 * np.sign(g)[moved], rtol=1e-2)


@pytest.mark.slow
def test_training_fits_the_data():
    """After ten epochs every training image is classified correctly."""
    trainer = make_trainer(epochs=10)
    history = list(trainer.epochs())
    assert history[-1].loss < history[0].loss / 3
    x, y = trainer.training_data
    assert evaluate(trainer.model, x, y).accuracy(y) == 1


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["odenet", pytest.param("resnet", marks=pytest.mark.extended)])
def test_resumed_training_is_bitwise_equal(tmp_path, arch):
    """Training resumed after an epoch ends with the same weights and metrics as uninterrupted training."""
    reference, interrupted, resumed = (make_trainer(arch, validation_split=0.25, random_flip=True) for _ in range(3))
    history = list(reference.epochs())
    next(interrupted.epochs(tmp_path / "c.npz"))
    for variable in resumed.model.variables:
        variable.assign(variable + 1)  # all weights must come from the checkpoint
    resumed.resume(tmp_path / "c.npz")
    list(resumed.epochs(tmp_path / "c.npz"))
    for a, b in zip(weights(reference), weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal([epoch[:-1] for epoch in resumed.history], [epoch[:-1] for epoch in history])


@pytest.mark.parametrize("trained", [1, 2])
def test_extended_training_is_bitwise_equal(tmp_path, trained):
    """With a constant learning rate, two epochs extended to three equal three epochs, also after the second."""
    reference = make_trainer(epochs=3, schedule="constant")
    history = list(reference.epochs())
    shorter, extended = (make_trainer(epochs=n, schedule="constant") for n in (2, 3))
    epochs = shorter.epochs(tmp_path / "c.npz")
    for _ in range(trained):
        next(epochs)
    assert extended.resume(tmp_path / "c.npz") == 2
    assert not extended.is_complete
    list(extended.epochs(tmp_path / "c.npz"))
    assert extended.is_complete
    for a, b in zip(weights(reference), weights(extended), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal([epoch[:-1] for epoch in extended.history], [epoch[:-1] for epoch in history])


def test_extended_training_follows_the_longer_schedule(tmp_path):
    """Two epochs of three steps each, extended to four: the cosine of twelve steps continues at half of its maximum."""
    list(make_trainer(epochs=2, schedule="cosine").epochs(tmp_path / "c.npz"))
    extended = make_trainer(epochs=4, schedule="cosine")
    extended.resume(tmp_path / "c.npz")
    assert float(extended.optimizer.learning_rate) == pytest.approx(0.01)


def test_fewer_epochs_than_the_checkpoint_has_are_refused(tmp_path):
    list(make_trainer(epochs=2).epochs(tmp_path / "c.npz"))
    trainer = make_trainer(epochs=1)
    with pytest.raises(UsageError, match=r"--epochs 1: the checkpoint .* has 2 epochs"):
        trainer.resume(tmp_path / "c.npz")
    assert trainer.history == []


def test_resume_requires_the_same_configuration(tmp_path):
    next(make_trainer(epochs=2).epochs(tmp_path / "c.npz"))
    with pytest.raises(UsageError, match=r"learning_rate 0.02 \(now 0.05\)"):
        make_trainer(epochs=2, learning_rate=0.05).resume(tmp_path / "c.npz")
    (tmp_path / "c.npz").write_bytes(b"truncated")
    with pytest.raises(UsageError, match="cannot read checkpoint"):
        make_trainer(epochs=2).resume(tmp_path / "c.npz")


def test_divergence_raises_and_keeps_the_checkpoint(tmp_path):
    """The error of a NaN loss names epoch and step; the checkpoint of the previous epoch is unchanged."""
    trainer = make_trainer(epochs=2, schedule="constant")
    epochs = trainer.epochs(tmp_path / "c.npz")
    next(epochs)
    checkpoint = (tmp_path / "c.npz").read_bytes()
    weight = trainer.model.trainable_variables[0]
    weight.assign(weight * float("nan"))
    with pytest.raises(DivergedError, match="epoch 2, step 1: the loss is not finite") as caught:
        next(epochs)
    assert "learning rate" in caught.value.hint
    assert (tmp_path / "c.npz").read_bytes() == checkpoint


@pytest.mark.slow
def test_failed_solve_raises_diverged_error():
    trainer = make_trainer("odenet", schedule="constant")
    gamma = trainer.block.f.norms[-1].gamma
    gamma.assign(gamma * float("nan"))
    with pytest.raises(DivergedError, match=r"epoch 1, step 1: .*solve.*not finite"):
        next(trainer.epochs())


def test_patience_stops_the_training():
    """Training stops after two epochs without a lower validation loss."""
    settings = {"epochs": 50, "validation_split": 0.5, "patience": 2, "learning_rate": 1e-12, "weight_decay": 0}
    history = list(make_trainer(schedule="constant", **settings).epochs())
    losses = [epoch.validation_loss for epoch in history]
    assert len(history) == int(np.argmin(losses)) + 3 < 50


def test_csv_log_has_a_row_per_epoch(tmp_path):
    """The log has one row per epoch; NaN is an empty cell."""
    nan = float("nan")
    rows = [EpochStats(1, 0.5, 0.75, nan, nan, 14, 7.5, 0.1, 2.0), EpochStats(2, 0.25, 1, 0.3, 0.9, 14, 7, 0.05, 2.5)]
    write_csv_log(tmp_path / "log.csv", rows)
    with open(tmp_path / "log.csv", newline="") as file:
        logged = list(csv.DictReader(file))
    assert [row["loss"] for row in logged] == ["0.5", "0.25"]
    assert [row["validation_accuracy"] for row in logged] == ["", "0.9"]
    assert [row["nfe_backward"] for row in logged] == ["7.5", "7"]


OPTIONS = "--data d.npz --epochs 2 --batch-size 8 --downsampling-layers 0 --seed 3 --random-shift 1".split()


@pytest.mark.extended
@pytest.mark.slow
def test_killed_process_is_resumed(tmp_path):
    """After SIGKILL in the second epoch, --resume ends with the same weights as an uninterrupted run."""
    data = halves(160)
    np.savez(tmp_path / "d.npz", **{name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")})
    command = [sys.executable, "-m", "gradcam_cli", "neuralode", "train", *OPTIONS]
    subprocess.run([*command, "-o", "reference.keras", "--csv-log", "reference.csv"], cwd=tmp_path, check=True)
    killed = subprocess.Popen([*command, "-o", "resumed.keras"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "resumed.checkpoint.npz"
    while not checkpoint.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "resumed.keras").exists()
    resume = [*command, "-o", "resumed.keras", "--csv-log", "resumed.csv", "--resume", "--json"]
    result = subprocess.run(resume, cwd=tmp_path, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["epochs"] == 2
    models = [keras.saving.load_model(tmp_path / f"{name}.keras") for name in ("reference", "resumed")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [
        [line.split(",")[:-1] for line in (tmp_path / f"{name}.csv").read_text().splitlines()]
        for name in ("reference", "resumed")
    ]
    assert logs[0] == logs[1]
    assert checkpoint.exists()
