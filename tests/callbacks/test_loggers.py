"""What TensorBoard, W&B and MLflow have after a training, read back from their own files."""

import importlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_training import cams, images, recorded, train

from gradcam_cli.callbacks import GradCAM
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.metrics.similarity import rank_correlation

pytestmark = pytest.mark.slow
X, Y = images()
SIZE = (224, 448, 3)
"""The image of 16x16 pixels, 14 times enlarged, and next to it the image with its map."""


def train_with(directory, to, **options):
    """Train three epochs; return the mean rank drift since the last and the first epoch of the recorded maps."""
    train([GradCAM(X[:2], log_dir=directory, classes=Y[:2], to=to, **options)], epochs=3)
    maps = [cams(each) for each in recorded(directory)]

    def drift(before, after):
        return np.mean([1 - rank_correlation(*pair) for pair in zip(before, after, strict=True)])

    return {
        "gradcam/drift_last/rank": {1: drift(maps[0], maps[1]), 2: drift(maps[1], maps[2])},
        "gradcam/drift_first/rank": {1: drift(maps[0], maps[1]), 2: drift(maps[0], maps[2])},
        "gradcam/without_map": {0: 0, 1: 0, 2: 0},
    }


def check_picture(pixels):
    """The left half is the image, and the right half has a map over it."""
    assert pixels.shape == SIZE
    shown = np.round((X[0].clip(-1, 1) - X[:2].min()) * 255 / (X[:2].max() - X[:2].min()))
    np.testing.assert_allclose(pixels[7::14, 7:224:14], shown, atol=1)
    assert not np.array_equal(pixels[:, :224], pixels[:, 224:])


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    expected = train_with(tmp_path, "tensorboard")
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    for name, values in expected.items():
        logged = {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(name)}
        assert logged == pytest.approx(values, rel=1e-6)
    for name in ("images[0]", "images[1]"):
        logged = [make_ndarray(event.tensor_proto) for event in events.Tensors(f"gradcam/{name}")]
        assert len(logged) == 3
        width, height, png = logged[-1]
        assert (int(height), int(width)) == SIZE[:2]
        if name == "images[0]":
            check_picture(np.asarray(Image.open(io.BytesIO(png))))


def test_mlflow(tmp_path, monkeypatch):
    """Into a file store."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    with mlflow.start_run() as run:
        expected = train_with(tmp_path / "logs", "mlflow")
    client = mlflow.MlflowClient()
    for name, values in expected.items():
        history = client.get_metric_history(run.info.run_id, name)
        assert {each.step: each.value for each in history} == pytest.approx(values)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id))
    pictures = sorted(path for path in folder.rglob("*.png") if "step" in path.name)
    assert len(pictures) == 2 * 3
    first = [path for path in pictures if "001" in path.name]
    check_picture(np.asarray(Image.open(first[-1]).convert("RGB")))


def test_wandb(tmp_path, monkeypatch):
    """Into a run that is offline, whose records are in a file of its own format."""
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(project="test", dir=tmp_path, settings={"console": "off"}) as run:
        folder = Path(run.dir).parent
        expected = train_with(tmp_path / "logs", "wandb")
    wandb.teardown()  # its process writes the file in the background
    (file,) = folder.glob("run-*.wandb")
    rows = wandb_rows(file)
    for name, values in expected.items():
        assert {row["gradcam/epoch"]: row[name] for row in rows if name in row} == pytest.approx(values)
    assert [row["gradcam/maps/count"] for row in rows] == [2, 2, 2]
    assert rows[0]["gradcam/maps/captions"] == ["images[0]", "images[1]"]
    picture = folder / "files" / rows[2]["gradcam/maps/filenames"][0]
    check_picture(np.asarray(Image.open(picture).convert("RGB")))


def wandb_rows(file):
    """The rows that were logged, from the log of an offline run: a LevelDB log after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    data, place, message, rows = file.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:  # the end of a block is padding
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        message += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole message, or the last part of one
            record = wandb_internal_pb2.Record.FromString(message)
            items = record.history.item if record.WhichOneof("record_type") == "history" else ()
            rows += [{"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}] * bool(
                items
            )
            message = b""
    return rows


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_run_must_be_active(tmp_path, monkeypatch, name):
    pytest.importorskip(name, reason=f"{name} is not installed")
    module = importlib.import_module(name)
    monkeypatch.setattr(module, *{"wandb": ("run", None), "mlflow": ("active_run", lambda: None)}[name])
    with pytest.raises(UsageError, match=f"{name}: expected an active run"):
        train([GradCAM(X[:2], log_dir=tmp_path, to=name)])
    assert os.listdir(tmp_path) == []
