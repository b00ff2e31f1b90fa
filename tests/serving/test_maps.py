"""The maps of the server are those of `gradcam`, and its commands write them."""

import base64
import io
import json
import shlex
import zipfile

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from ode_networks import TanhConv
from PIL import Image
from serving_client import blocks, png, served

from gradcam_cli import explain, load_model
from gradcam_cli.neuralode import ODEBlock
from gradcam_cli.output.scaling import scale_map
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.serving import served_model
from gradcam_cli.serving.session import Session

METHODS = (
    *("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigencam", "segeigencam", "refinecam"),
    *("random", "center", "uniform", "reciprocam", "saliency", "guided-gradcam", "fullgrad"),
)
SLOW = ("scorecam", "ablationcam", "smoothgrad", "integrated-gradients", "guided-backprop", "occlusion")


def values(answer):
    """The map of an answer, (h, w)."""
    flat = np.frombuffer(base64.b64decode(answer["values"]), "<f4")
    return flat.reshape(answer["height"], answer["width"])


def words(command):
    """The arguments of a command, without the program."""
    return shlex.split(command)[1:]


@pytest.fixture(scope="module")
def classifier():
    return load_model("mini")


@pytest.mark.parametrize("method", [*METHODS, *(pytest.param(method, marks=pytest.mark.extended) for method in SLOW)])
def test_a_map_is_that_of_the_command(mini, photos, cli, method):
    """The command of an answer writes an array with the values of the answer: of the whole image, 120 x 90."""
    answer = mini.json("api/map", model="m0", image="0", method=method, layer="block4_conv2", **{"class": "3"})
    assert cli(*words(answer["command"]), "--save", "npy", "-o", "map.npy").status == 0
    written = np.load(cli.here / "map.npy")
    assert (answer["width"], answer["height"]) == (120, 90)
    np.testing.assert_allclose(values(answer), written, atol=1e-5)
    assert answer["class"]["name"] == "cat"
    assert answer["method"] == method


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"class": "dog"},
        {"class": "index:4"},
        {"against": "nearest"},
        {"against": "5"},
        {"counterfactual": "1", "class": "1"},
        {"layer": "block1_conv1", "method": "hirescam"},
    ],
    ids=str,
)
def test_the_parameters_of_a_map_are_those_of_the_command(mini, cli, parameters):
    answer = mini.json("api/map", model="m0", image="0", **parameters)
    assert cli(*words(answer["command"]), "--save", "npy", "-o", "map.npy").status == 0
    np.testing.assert_allclose(values(answer), np.load(cli.here / "map.npy"), atol=1e-5)
    assert answer["is_zero"] == (not values(answer).any())


def test_a_large_map_is_reduced_as_that_of_a_report(mini, photos, classifier):
    answer = mini.json("api/map", model="m0", image="1")
    whole = explain(photos / "more" / "c.png", classifier).heatmap
    assert (answer["width"], answer["height"]) == (240, 320)
    np.testing.assert_allclose(values(answer), scale_map(whole, (320, 240)), atol=1e-5)
    y, x = np.unravel_index(whole.argmax(), whole.shape)
    assert answer["peak"] == [(x + 0.5) / 300, (y + 0.5) / 400]


def test_a_map_is_zero_outside_what_the_model_sees(photos):
    server = served(Session([ModelConfig("mini")], ExplainConfig(fit="crop"), ["--fit", "crop"], str(photos)))
    x0, y0, x1, y1 = server.json("api/predictions", model="m0", image="0")["image"]["crop"]
    answer = server.json("api/map", model="m0", image="0")
    outside = values(answer).copy()
    outside[y0:y1, x0:x1] = 0
    assert 0 < x0 < x1 < 120
    assert not outside.any()
    assert "--fit crop" in answer["command"]


def test_predictions_are_those_of_the_model(mini, photos, classifier):
    answer = mini.json("api/predictions", model="m0", image="0", top="3")
    expected = explain(photos / "a b.png", classifier, top_k=3).predictions
    assert [each["name"] for each in answer["predictions"]] == [each.name for each in expected]
    np.testing.assert_allclose(
        [e["probability"] for e in answer["predictions"]], [e.probability for e in expected], rtol=1e-4
    )
    assert answer["image"] == {"id": "0", "name": "a b.png", "width": 120, "height": 90, "crop": [0, 0, 120, 90]}


def test_the_strip_has_small_maps_from_the_input_to_the_output(mini):
    answer = mini.json("api/strip", model="m0", image="0", **{"class": "2"})
    session = mini.json("api/session")["models"][0]
    layers = [each["path"] for each in session["layers"]]
    shown = [each["layer"] for each in answer["maps"]]
    assert shown == session["strip"]
    assert len(shown) == 12
    assert sorted(shown, key=layers.index) == shown
    assert shown[-1] == layers[-1]
    for each in answer["maps"]:
        whole = values(mini.json("api/map", model="m0", image="0", layer=each["layer"], **{"class": "2"}))
        np.testing.assert_allclose(values(each), scale_map(whole, (48, 64)), atol=1e-5)


def test_a_new_class_method_or_layer_runs_only_the_part_behind_the_layer(photos, monkeypatch):
    """One forward pass for an image, whatever is asked for it; nothing but a pass behind the layer for each map."""
    passes = []
    forward = served_model.SplitNetwork.forward
    monkeypatch.setattr(served_model.SplitNetwork, "forward", lambda *a: passes.append("forward") or forward(*a))
    run = served_model.SplitNetwork._run
    monkeypatch.setattr(
        served_model.SplitNetwork, "_run", lambda self, wanted, x: passes.append("part") or run(self, wanted, x)
    )
    server = served(Session([ModelConfig("mini")], ExplainConfig(), directory=str(photos)))
    server.json("api/predictions", model="m0", image="0")
    for layer in ("block1_conv1", "block3_conv2", "block5_conv4"):
        for method in ("gradcam", "layercam", "eigencam"):
            for class_ in ("0", "top", "top1"):
                server.json("api/map", model="m0", image="0", layer=layer, method=method, **{"class": class_})
    assert passes == ["forward", "part"]
    server.json("api/predictions", model="m0", image="1")
    assert passes == ["forward", "part"] * 2


def test_the_kept_activations_are_bounded(photos, monkeypatch):
    monkeypatch.setattr("gradcam_cli.serving.session.MAX_KEPT_BYTES", 1)
    server = served(Session([ModelConfig("mini")], ExplainConfig(), directory=str(photos)))
    first = values(server.json("api/map", model="m0", image="0"))
    server.json("api/map", model="m0", image="1")
    assert len(server.session.kept) == 1
    np.testing.assert_array_equal(values(server.json("api/map", model="m0", image="0")), first)


def test_a_zero_map_says_why(tmp_path):
    image = keras.Input((12, 12, 3))
    A = L.Conv2D(2, 3, activation="relu", name="conv", bias_initializer="ones")(image)
    y = L.Dense(2, kernel_initializer=keras.initializers.Constant(-1), name="y")(L.GlobalAveragePooling2D()(A))
    model = keras.Model(image, y)
    model.save(tmp_path / "net.keras")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png(blocks(1)))
    session = Session(
        [ModelConfig(str(tmp_path / "net.keras"), preprocess="0..1")], ExplainConfig(), [], str(tmp_path / "photos")
    )
    answer = served(session).json("api/map", model="m0", image="0")
    assert answer["is_zero"]
    assert answer["note"]
    assert answer["peak"] is None
    assert not values(answer).any()


def test_a_file_that_is_given_twice_is_loaded_once(tmp_path, model_file):
    link = tmp_path / "link.keras"
    link.symlink_to(model_file)
    session = Session(
        [ModelConfig(str(model_file), preprocess="0..1"), ModelConfig(str(link), preprocess="0..1")], ExplainConfig()
    )
    assert list(session.models) == ["m0"]


@pytest.fixture(scope="module")
def ode(tmp_path_factory):
    """A server of a small network with an ODE, and its directory."""
    keras.utils.set_random_seed(2)
    folder = tmp_path_factory.mktemp("ode")
    image = keras.Input((12, 12, 3))
    z = ODEBlock(TanhConv(4), name="ode")(L.Conv2D(4, 3, 2)(image))
    keras.Model(image, L.Dense(3)(L.Flatten()(z))).save(folder / "ode.keras")
    (folder / "a.png").write_bytes(png(blocks(1, 12, 12)))
    options = ["--preprocess", "0..1"]
    config = ModelConfig(str(folder / "ode.keras"), preprocess="0..1", allow_unsafe=True)
    return folder, served(Session([config], ExplainConfig(), [*options, "--allow-unsafe-model"], str(folder)))


@pytest.mark.parametrize(("t", "method"), [(0, "flow"), (0.5, "flow"), (0.5, "gradcam"), (0.98, "layercam")])
def test_a_map_at_a_depth_is_that_of_the_command(ode, cli, t, method):
    """The slider has 21 depths; 0.98 is next to 1."""
    _, server = ode
    answer = server.json("api/map", model="m0", image="0", t=t, method=method, **{"class": "1"})
    arguments = words(answer["command"])
    assert arguments[:2] == ["neuralode", "explain"]
    assert float(arguments[arguments.index("--times") + 1]) == (1 if t == 0.98 else t)
    assert cli(*arguments, "--save", "npz", "-o", "maps.npz").status == 0
    heatmap = np.load(cli.here / "maps.npz", allow_pickle=False)["heatmap"][0]
    np.testing.assert_allclose(values(answer), heatmap, atol=2e-3)


def test_one_solve_gives_all_depths_of_a_class(ode, monkeypatch):
    _, server = ode
    maps = server.session.models["m0"].depth_maps
    solves = []
    gradients = maps._run.gradient_function
    object.__setattr__(maps._run, "gradient_function", lambda *a: solves.append(1) or gradients(*a))
    for t in maps.depths:
        server.json("api/map", model="m0", image="0", t=t, method="flow", **{"class": "2"})
        server.json("api/map", model="m0", image="0", t=t, method="gradcam", **{"class": "2"})
    assert len(solves) == 1


def test_the_session_lists_the_depth_of_an_ode(ode, mini):
    depth = ode[1].json("api/session")["models"][0]["depth"]
    assert (depth["t0"], depth["t1"], depth["layer"], len(depth["times"])) == (0, 1, "ode", 21)
    assert mini.json("api/session")["models"][0]["depth"] is None


@pytest.mark.parametrize(
    "parameters",
    [
        *(
            {"t": "nan"},
            {"t": "inf"},
            {"t": "x"},
            {"t": "-1"},
            {"t": "2"},
            {"t": "1e999"},
            {"t": "0.5", "against": "1"},
        ),
        *({"t": "0.5", "method": "scorecam"}, {"t": "0.5", "counterfactual": "1"}, {"method": "flow"}),
    ],
    ids=str,
)
def test_a_wrong_depth_is_refused(ode, parameters):
    answer = ode[1].client.get("api/map", params={"model": "m0", "image": "0", "method": "gradcam", **parameters})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_report_of_maps_is_the_static_report(mini, tmp_path, monkeypatch):
    """A ZIP archive of one folder, which opens without the server; its temporary directory is removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    maps = [{"model": "m0"}, {"model": "m0", "method": "layercam", "class": 3, "layer": "block3_conv1"}]
    answer = mini.client.post("api/report", json={"image": "0", "maps": maps})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="gradcam-report.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert {name.split("/")[0] for name in archive.namelist()} == {"gradcam-report"}
    lines = archive.read("gradcam-report/report/run.jsonl").decode().splitlines()
    records = [record for record in map(json.loads, lines) if record["status"] == "ok"]
    assert [(each["method"], each["layer"]) for each in records] == [
        ("gradcam", "block5_conv4"),
        ("layercam", "block3_conv1"),
    ]
    for record in records:
        Image.open(io.BytesIO(archive.read(f"gradcam-report/{record['report']['map_image']}"))).load()
    assert b"<title>" in archive.read("gradcam-report/index.html")
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{", b"null", b"[" * 60_000, b'{"image": "0"}', b'{"image": "0", "maps": []}', b"\xff"),
        *(
            b'{"image": "0", "maps": {}}',
            b'{"image": "0", "maps": [1]}',
            b'{"image": ["0"], "maps": [{"model": "m0"}]}',
        ),
        *(b'{"image": "0", "maps": [{"model": "m0", "path": "/etc"}]}', b'{"image": "0", "maps": [{"model": {}}]}'),
        b'{"image": "0", "maps": [{"model": "m0", "t": NaN}]}',
        b'{"image": "0", "maps": ' + b'[{"model":"m0"}' + b',{"model":"m0"}' * 64 + b"]}",
    ],
)
def test_a_wrong_request_for_a_report_is_refused(mini, body):
    answer = mini.client.post("api/report", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_body_that_is_too_large_is_refused(mini):
    assert mini.client.post("api/report", content=b" " * (1 << 17)).status_code == 413
