"""The commands of a report recompute its maps, also those of a comparison and of a run without a report."""

import json
import shlex

import numpy as np
import pytest
from report_documents import document_in
from small_models import small_network

RUN = ("--labels", "names.txt", "--preprocess", "0..1", "--fit", "pad", "--class", "two")


@pytest.fixture
def directory(cli, photo, tmp_path):
    """An image and a model in directories of their own, and class names."""
    (cli.here / "nets").mkdir()
    small_network().save(cli.here / "nets/net.keras")
    (cli.here / "names.txt").write_text("one\ntwo\nthree\n")
    photo("here/in/a b.png")
    return cli.here


def assert_recomputes(cli, command, heatmap):
    program, *arguments = shlex.split(command)
    assert program == "gradcam"
    assert cli(*arguments, "-o", "again.npz").status == 0
    with np.load("again.npz") as arrays:
        np.testing.assert_allclose(arrays["heatmap"], heatmap, atol=1e-6)


def maps_of(page):
    (entry,) = document_in(page)["entries"]
    return entry["maps"]


def test_commands_from_saved_maps_and_json_lines(cli, directory):
    """The model's path and the labels are kept where only the results are left."""
    done = cli("in", "--model", "nets/net.keras", *RUN, "-o", "out", "--save", "npz", "--json")
    options = shlex.join(json.loads(done.stdout)["rerun_args"])
    assert all(option in options for option in ("--model nets/net.keras", "--labels names.txt", "--fit pad"))
    heatmap = np.load("out/a b_gradcam.npz")["heatmap"]
    assert cli("report", "out").status == 0
    (map_,) = maps_of(directory / "out/index.html")
    assert "--labels names.txt" in map_["command"]
    assert_recomputes(cli, map_["command"], heatmap)


def test_commands_of_a_comparison(cli, directory):
    """Against a directory, and against a model that explains the same images."""
    cli("in", "--model", "nets/net.keras", *RUN, "-o", "before", "--save", "npz")
    before = np.load("before/a b_gradcam.npz")["heatmap"]
    other = small_network()
    other.set_weights([-weights for weights in other.get_weights()])
    other.save("nets/other.keras")
    again = ("--labels", "names.txt", "--preprocess", "0..1", "--report")
    assert cli("compare", "before", "nets/other.keras", *again, "-o", "cmp").status == 0
    first, second = maps_of(directory / "cmp/index.html")
    assert_recomputes(cli, first["command"], before)
    assert "--model nets/other.keras" in second["command"]
    assert "--fit pad" in second["command"]
    assert "--labels names.txt" in second["command"]
