"""Trainings that are resumed: the record continues, and drift since the first epoch is that of the first training."""

import keras
import numpy as np
import pytest
from small_training import cams, images, network, recorded, train

from gradcam_cli.callbacks import GradCAM
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.metrics.similarity import rank_correlation, ssim

pytestmark = pytest.mark.slow
X, Y = images()


def watch(directory, shown=X[:3], **options):
    return GradCAM(shown, log_dir=directory, classes=0, **options)


def test_initial_epoch(tmp_path):
    """Drift is measured against the maps on disk before the epoch: their map and the heatmap that is computed from it.

    The third epoch is trained twice.
    """
    model = train([watch(tmp_path)], epochs=3)
    before = recorded(tmp_path)
    train([watch(tmp_path)], epochs=4, model=model, fit={"initial_epoch": 2})
    epochs = recorded(tmp_path)
    assert [maps.epoch for maps in epochs] == [0, 1, 2, 3]
    np.testing.assert_array_equal(cams(epochs[0]), cams(before[0]))
    for since, earlier in (("first", epochs[0]), ("last", epochs[1])):
        expected = [1 - rank_correlation(a, b) for a, b in zip(cams(earlier), cams(epochs[2]), strict=True)]
        np.testing.assert_allclose(epochs[2].drift[since]["rank"], expected)
        pairs = [(a.saved.heatmap, b.saved.heatmap) for a, b in zip(earlier.images, epochs[2].images, strict=True)]
        np.testing.assert_allclose(epochs[2].drift[since]["ssim"], [1 - ssim(*pair) for pair in pairs], atol=1e-6)


def test_backup_and_restore(tmp_path):
    """A training that is interrupted in its third epoch resumes with it, as Keras does."""

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    logs, backup = tmp_path / "logs", tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        train([watch(logs), keras.callbacks.BackupAndRestore(backup), Interrupt()], epochs=4)
    first = recorded(logs)
    train([watch(logs), keras.callbacks.BackupAndRestore(backup)], epochs=4, model=network())
    epochs = recorded(logs)
    assert [maps.epoch for maps in epochs] == [0, 1, 2, 3]
    np.testing.assert_array_equal(cams(epochs[1]), cams(first[1]))


def test_new_training_replaces_the_record(tmp_path, caplog):
    train([watch(tmp_path)], epochs=3)
    train([watch(tmp_path, shown=X[4:6])], epochs=1)
    epochs = recorded(tmp_path)
    assert [(maps.epoch, len(maps.images)) for maps in epochs] == [(0, 2)]
    assert any("the maps of 3 epochs of an earlier training are replaced" in r.getMessage() for r in caplog.records)


def test_other_images_or_settings_are_refused(tmp_path):
    model = train([watch(tmp_path)], epochs=1)
    for changed in ({"shown": X[4:7]}, {"layer": "conv1"}, {"method": "layercam"}):
        with pytest.raises(UsageError, match="has the record of other images, another layer or another method"):
            train([watch(tmp_path, **changed)], epochs=2, model=model, fit={"initial_epoch": 1})
    assert len(recorded(tmp_path)) == 1


def test_one_callback_for_two_trainings(tmp_path):
    """Also with images from a generator."""
    callback = watch(tmp_path, shown=iter(X[:3]))
    model = train([callback], epochs=1)
    train([callback], epochs=2, model=model, fit={"initial_epoch": 1})
    assert [maps.epoch for maps in recorded(tmp_path)] == [0, 1]
