"""The maps of the server are those of `gradcam`, and its commands write them."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from serving_client import arguments_of, blocks, png, served, values

from gradcam_cli import explain, load_model
from gradcam_cli.output.scaling import scale_map
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.serving import served_model
from gradcam_cli.serving.session import Session

METHODS = (
    *("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigencam", "segeigencam", "refinecam"),
    *("random", "center", "uniform", "reciprocam", "saliency", "guided-gradcam", "fullgrad"),
)
SLOW = ("scorecam", "ablationcam", "smoothgrad", "integrated-gradients", "guided-backprop", "occlusion")


@pytest.fixture(scope="module")
def classifier():
    return load_model("mini")


@pytest.mark.parametrize("method", [*METHODS, *(pytest.param(method, marks=pytest.mark.extended) for method in SLOW)])
def test_a_map_is_that_of_the_command(mini, photos, cli, method):
    """The command of an answer writes an array with the values of the answer: of the whole image, 120 x 90."""
    answer = mini.json("api/map", model="m0", image="0", method=method, layer="block4_conv2", **{"class": "3"})
    assert cli(*arguments_of(answer["command"]), "--save", "npy", "-o", "map.npy").status == 0
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
    assert cli(*arguments_of(answer["command"]), "--save", "npy", "-o", "map.npy").status == 0
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


def test_an_image_of_several_windows_is_explained_window_by_window(photos, classifier):
    server = served(Session([ModelConfig("mini")], ExplainConfig(fit="windows"), ["--fit", "windows"], str(photos)))
    answer = server.json("api/map", model="m0", image="0", method="layercam")
    expected = explain(photos / "a b.png", classifier, method="layercam", fit="windows")
    assert server.json("api/predictions", model="m0", image="0")["image"]["windows"] == expected.windows > 1
    assert answer["class"]["index"] == expected.prediction.index
    np.testing.assert_allclose(values(answer), expected.heatmap, atol=2e-5)


def test_predictions_are_those_of_the_model(mini, photos, classifier):
    answer = mini.json("api/predictions", model="m0", image="0", top="3")
    expected = explain(photos / "a b.png", classifier, top_k=3).predictions
    assert [each["name"] for each in answer["predictions"]] == [each.name for each in expected]
    np.testing.assert_allclose(
        [e["probability"] for e in answer["predictions"]], [e.probability for e in expected], rtol=1e-4
    )
    assert answer["image"] == {"id": "0", "name": "a b.png", "width": 120, "height": 90, "crop": [0, 0, 120, 90]}


def test_the_strip_runs_from_the_input_to_the_output(mini):
    session = mini.json("api/session")["models"][0]
    layers = [each["path"] for each in session["layers"]]
    assert len(session["strip"]) == 12
    assert sorted(session["strip"], key=layers.index) == session["strip"]
    assert session["strip"][-1] == layers[-1]


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


def test_the_map_of_a_large_photo_is_reduced_with_few_of_its_pixels(tmp_path, classifier):
    """Close to the average of all pixels: to the difference of two neighboring ones."""
    (tmp_path / "large.png").write_bytes(png(blocks(3, 1500, 2000)))
    server = served(Session([ModelConfig("mini")], ExplainConfig(), directory=str(tmp_path)))
    for layer, method in (("block5_conv4", "gradcam"), ("block1_conv1", "layercam"), ("block5_conv4", "saliency")):
        answer = server.json("api/map", model="m0", image="0", layer=layer, method=method)
        whole = explain(tmp_path / "large.png", classifier, layer, method=method).heatmap
        np.testing.assert_allclose(values(answer), scale_map(whole, (240, 320)), atol=0.02)
