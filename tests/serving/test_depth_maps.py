"""The maps along the depth of an ODE, at the depths of a slider."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from ode_networks import TanhConv
from serving_client import arguments_of, blocks, png, served, values

from gradcam_cli.neuralode import ODEBlock
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.serving.session import Session


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
    arguments = arguments_of(answer["command"])
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
