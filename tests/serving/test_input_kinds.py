"""The server with models of signals, volumes and films: maps slice by slice, their pictures, uploads and refusals."""

from __future__ import annotations

import io
import threading
import zipfile

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from PIL import Image
from serving_client import arguments_of, served, values

from gradcam_cli import explain, load_model
from gradcam_cli.errors import UsageError
from gradcam_cli.images.nifti import write_nifti
from gradcam_cli.images.space import Space
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.serving.served_model import ServedModel
from gradcam_cli.serving.session import Session

RNG = np.random.default_rng(5)
VOLUME = RNG.normal(size=(10, 12, 14)).astype(np.float32)
SPACE = Space("volume", (3.0, 1.0, 1.5))


def network(path, shape, convolution, pooling):
    keras.utils.set_random_seed(3)
    x = keras.Input(shape)
    A = convolution(4, 3, padding="same", activation="relu", name="conv")(x)
    A = convolution(5, 3, padding="same", activation="relu", name="last")(A)
    keras.Model(x, L.Dense(3, activation="softmax")(pooling()(A))).save(path)
    return str(path)


def encoded(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def gif(frames):
    buffer = io.BytesIO()
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=120)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Inputs of all kinds: some have the size of their model, others are larger."""
    directory = tmp_path_factory.mktemp("inputs")
    for name in ("signals", "volumes"):
        (directory / name).mkdir()
    np.save(directory / "signals" / "long.npy", RNG.normal(size=(70, 2)).astype(np.float32))
    np.save(directory / "signals" / "short.npy", RNG.normal(size=(32, 2)).astype(np.float32))
    np.save(directory / "volumes" / "exact.npy", VOLUME[:6, :8, :8])
    (directory / "volumes" / "scan.nii").write_bytes(write_nifti(VOLUME, SPACE))
    (directory / "volumes" / "film.gif").write_bytes(gif(RNG.integers(0, 256, (5, 16, 20), np.uint8)))
    (directory / "volumes" / "frames").mkdir()
    for i in range(4):
        pixels = RNG.integers(0, 256, (16, 20, 3), np.uint8)
        Image.fromarray(pixels).save(directory / "volumes" / "frames" / f"{i}.png")
    return directory


@pytest.fixture(scope="module")
def models(folder):
    """The files of a model of signals and of one of volumes and films."""
    return {
        "signals": network(folder / "signals.keras", (32, 2), L.Conv1D, L.GlobalAveragePooling1D),
        "volumes": network(folder / "volumes.keras", (6, 8, 8, 1), L.Conv3D, L.GlobalAveragePooling3D),
    }


def serve(folder, models, name, **settings):
    return served(Session([ModelConfig(models[name])], ExplainConfig(**settings), directory=str(folder / name)))


@pytest.fixture(scope="module")
def signals(folder, models):
    return serve(folder, models, "signals")


@pytest.fixture(scope="module")
def volumes(folder, models):
    return serve(folder, models, "volumes")


def image_id(server, name):
    return next(each["id"] for each in server.json("api/session")["images"] if each["name"] == name)


def ask(server, name, **parameters):
    return server.json("api/map", model="m0", image=image_id(server, name), **parameters)


def test_the_list_has_the_inputs_of_the_model(signals, volumes):
    """A folder of frames is one input."""
    names = [each["name"] for each in volumes.json("api/session")["images"]]
    assert sorted(names) == ["exact.npy", "film.gif", "frames", "scan.nii"]
    assert [each["name"] for each in signals.json("api/session")["images"]] == ["long.npy", "short.npy"]
    assert (signals.json("api/session")["rank"], volumes.json("api/session")["rank"]) == (1, 3)


@pytest.mark.parametrize("name", ["exact.npy", "scan.nii"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_is_that_of_the_map(volumes, folder, models, name, axis):
    """Of a volume that one model input shows, and of one with windows: each slice, and by default that of the peak."""
    whole = explain(folder / "volumes" / name, load_model(models["volumes"]), "last", target_class=1).heatmap
    for number in (0, whole.shape[axis] - 1):
        answer = ask(volumes, name, axis=axis, slice=number, layer="last", **{"class": "1"})
        np.testing.assert_allclose(values(answer), np.take(whole, number, axis), atol=2e-5)
        assert (answer["slice"]["axis"], answer["slice"]["number"]) == (axis, number)
    answer = ask(volumes, name, axis=axis, layer="last", **{"class": "1"})
    peak = np.unravel_index(whole.argmax(), whole.shape)
    assert answer["slice"]["number"] == answer["slice"]["peak"] == peak[axis]
    (y, H), (x, W) = [(peak[other], whole.shape[other]) for other in range(3) if other != axis]
    assert answer["peak"] == [(x + 0.5) / W, (y + 0.5) / H]
    largest = [np.take(whole, number, axis).max() for number in range(whole.shape[axis])]
    np.testing.assert_allclose(answer["slice"]["profile"], largest, atol=1e-4)
    assert answer["crop"] == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["short.npy", "long.npy"])
def test_a_signal_has_its_map_and_its_values(signals, folder, models, name):
    explanation = explain(folder / "signals" / name, load_model(models["signals"]), "last", method="layercam")
    answer = ask(signals, name, layer="last", method="layercam")
    np.testing.assert_allclose(values(answer), explanation.heatmap[None], atol=2e-5)
    image = signals.json("api/predictions", model="m0", image=image_id(signals, name))["image"]
    assert (image["kind"], image["size"], image["signal"]["num_channels"]) == ("signal", [len(explanation.heatmap)], 2)
    assert image.get("windows", 0) == explanation.windows


@pytest.mark.parametrize(("kind", "name"), [("signals", "long.npy"), ("volumes", "scan.nii"), ("volumes", "film.gif")])
def test_predictions_are_those_of_the_model(request, folder, models, kind, name):
    """Of all windows, those of their means."""
    server = request.getfixturevalue(kind)
    answer = server.json("api/predictions", model="m0", image=image_id(server, name), top="3")["predictions"]
    expected = explain(folder / kind / name, load_model(models[kind]), top_k=3).predictions
    assert [each["index"] for each in answer] == [each.index for each in expected]
    found, wanted = ([each["probability"] for each in answer], [each.probability for each in expected])
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize(
    "parameters", [{"against": "nearest"}, {"counterfactual": "1"}, {"method": "occlusion"}], ids=str
)
def test_contrast_and_methods_are_those_of_the_command(volumes, folder, models, parameters, cli):
    answer = ask(volumes, "scan.nii", **parameters)
    assert cli(*arguments_of(answer["command"]), "--save", "npy", "-o", "map.npy").status == 0
    written = np.load(cli.here / "map.npy")[answer["slice"]["number"]]
    np.testing.assert_allclose(values(answer), written, atol=2e-5)


def test_a_slice_outside_what_the_model_sees_has_no_map(folder, models):
    server = serve(folder, models, "volumes", fit="crop")
    size = server.json("api/predictions", model="m0", image=image_id(server, "scan.nii"))["image"]
    x0, _, _, x1, _, _ = size["crop"]
    assert 0 < x0 < x1 < 14
    assert ask(server, "scan.nii", axis=2, slice=x0)["crop"][0] >= 0
    assert min(ask(server, "scan.nii", axis=2, slice=x0 - 1)["crop"]) > 1


@pytest.mark.parametrize(
    ("name", "parameters", "error"),
    [
        ("scan.nii", {"slice": "10"}, "slice: expected an integer from 0 to 9, got 10"),
        ("scan.nii", {"axis": "3"}, "axis: expected an integer from 0 to 2"),
        ("scan.nii", {"slice": "-1"}, "slice: expected an integer"),
        ("film.gif", {"axis": "1"}, "axis: expected 0 for a film, got 1"),
    ],
)
def test_slices_that_do_not_exist_are_refused(volumes, name, parameters, error):
    """By the map and by the picture."""
    image = image_id(volumes, name)
    for path, given in (("api/map", {"model": "m0", "image": image}), (f"api/images/{image}/picture", {})):
        answer = volumes.client.get(path, params={**given, **parameters})
        assert answer.status_code == 400
        assert error in answer.json()["error"]


def picture(server, name, kind="picture", **parameters):
    answer = server.client.get(f"api/images/{image_id(server, name)}/{kind}", params=parameters)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_pictures_of_slices_have_square_pixels(volumes, folder):
    """The voxels are 3 x 1 x 1.5 mm: no axis loses voxels, and a slice is as high and wide as in the body."""
    assert picture(volumes, "scan.nii", slice=2).shape == (12, 21, 3)
    assert picture(volumes, "scan.nii", axis=1, slice=2).shape == (20, 14, 3)
    assert picture(volumes, "scan.nii", axis=2, slice=2).shape == (30, 12, 3)
    frame = np.asarray(Image.open(folder / "volumes" / "frames" / "1.png"))
    np.testing.assert_array_equal(picture(volumes, "frames", slice=1), frame)


@pytest.mark.parametrize("name", ["scan.nii", "film.gif", "frames"])
def test_every_input_has_a_thumbnail(volumes, signals, name):
    assert max(picture(volumes, name, "thumbnail").shape) <= 160
    assert picture(signals, "long.npy", "thumbnail").std() > 5


def test_slices_of_a_computed_map_run_nothing_and_wait_for_nothing(volumes, monkeypatch):
    wanted = {"model": "m0", "image": image_id(volumes, "scan.nii"), "class": "2"}
    volumes.json("api/map", **wanted)
    monkeypatch.setattr(ServedModel, "explain", lambda *_: pytest.fail("computed again"))
    release = threading.Event()
    busy = volumes.server.worker.submit(release.wait)
    try:
        numbers = [volumes.json("api/map", slice=n, **wanted)["slice"]["number"] for n in range(10)]
    finally:
        release.set()
    assert numbers == list(range(10))
    assert busy.result(5)


def test_models_of_several_kinds_are_refused(models):
    with pytest.raises(UsageError, match=r"expected models of one kind of inputs, got models of signals .*volumes and"):
        Session([ModelConfig(models["signals"]), ModelConfig(models["volumes"])], ExplainConfig())


def upload(server, name, data):
    return server.client.post("api/images", content=data, headers={"x-file-name": name})


def test_an_uploaded_volume_is_explained(volumes):
    answer = upload(volumes, "new.nii.gz", write_nifti(VOLUME, SPACE)).json()
    assert (answer["kind"], answer["size"]) == ("volume", [14, 12, 10])
    np.testing.assert_allclose(answer["spacing"], [3, 1, 1.5])
    found = volumes.json("api/map", model="m0", image=answer["id"], slice=4)
    np.testing.assert_array_equal(values(found), values(ask(volumes, "scan.nii", slice=4)))


NIFTI = write_nifti(VOLUME, SPACE)
HOSTILE = {
    "cut.nii.gz": NIFTI[: len(NIFTI) // 2],
    "header.nii.gz": NIFTI[:40],
    "empty.nii": b"",
    "text.nii.gz": b"no volume",
    "flat.npy": encoded(VOLUME[0]),
    "nan.npy": encoded(np.full((6, 8, 8), np.nan, np.float32)),
    "huge.npy": encoded(VOLUME).replace(b"(10, 12, 14)", b"(9000, 9000, 900)"),
    "objects.npy": encoded(np.array([{}], object)),
    "cut.gif": gif(RNG.integers(0, 256, (5, 16, 20), np.uint8))[:60],
    "sound.wav": b"RIFF\xff\xff\xff\x7fWAVEfmt ",
    "cut.mp4": b"\0\0\0\x18ftypisom",
    "photo.png": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_uploads_get_one_line(volumes, name):
    answer = upload(volumes, name, HOSTILE[name])
    if answer.status_code == 200:  # read, and refused by the network
        answer = volumes.client.get("api/map", params={"model": "m0", "image": answer.json()["id"]})
    assert answer.status_code == 422, answer.text
    message = answer.json()["error"]
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert "Traceback" not in message


def test_the_report_of_a_volume_contains_its_slices(volumes):
    maps = [{"model": "m0", "layer": "last", "axis": "1", "slice": "3"}]
    answer = volumes.client.post("api/report", json={"image": image_id(volumes, "scan.nii"), "maps": maps})
    assert answer.status_code == 200, answer.text
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert "gradcam-report/index.html" in names
