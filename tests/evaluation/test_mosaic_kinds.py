"""Mosaics of signals, volumes, films and bands: the metrics of a network whose maps are known by hand."""

import json

import keras
import numpy as np
import pytest
from corner_network import OWN, SHAPES, SHARED, corner_arrays, corner_network
from PIL import Image
from report_documents import document_in

from gradcam_cli import evaluate, load_model
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.mosaics import sure_inputs
from gradcam_cli.evaluation.mosaics.prepare import mosaic_classifier

BOTH = OWN + SHARED
SIGNAL_SHARE = (12 * BOTH / (BOTH + SHARED) + 12 * 1 + 32 * (1 + OWN / BOTH) / 2) / 56
"""Of the 56 pairs of corners, both have x_0 = 1 in 12 and neither in 12; in 32, the first has all of its heat."""
VOLUME_SHARE = (BOTH / (BOTH + 3 * SHARED) + OWN / (OWN + 4 * SHARED)) / 2
"""All eight corners are in each mosaic: half of them have x_0 = 1, and so have three or four of the others."""


def means(model, inputs, count, **options):
    """Return the mean metrics by method."""
    methods, metrics = ("gradcam", "hirescam", "eigencam"), "family:mosaics"
    results = evaluate(inputs, model, metrics=metrics, methods=methods, mosaics=count, progress=False, **options)
    return {mean["method"]: mean for mean in results.mean_metrics}, results


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(("rank", "tiles", "count", "share"), [(1, 2, 56, SIGNAL_SHARE), (3, 8, 6, VOLUME_SHARE)])
def test_shares_by_hand(rank, tiles, count, share, free):
    """Also on mosaics of twice the size, of a network that takes any size."""
    shape = SHAPES[rank]
    if free:
        model = load_model(corner_network((None,) * rank), preprocess="none", input_size=shape)
        assert mosaic_classifier(model).spatial_shape == tuple(2 * side for side in shape)
    else:
        model = load_model(corner_network(shape), preprocess="none")
        assert mosaic_classifier(model) is model
    found, results = means(model, list(corner_arrays(shape)), count)
    for method in ("gradcam", "hirescam"):
        assert found[method]["grid"] == found[method]["grid-valid"] == pytest.approx(share, abs=1e-6)
        assert found[method]["grid-peak"] == 1
    assert found["gradcam"]["impossible"] == pytest.approx(1 - share, abs=1e-6)
    assert found["hirescam"]["impossible"] == 0
    for method in ("eigencam", "random", "center", "uniform"):
        assert {row.values["grid"] for row in results.rows if row.method == method} == {1 / tiles}
    assert (
        str(results.mosaics) == f"{count} mosaics of 8 inputs; valid cases: 100% ({count * tiles} of {count * tiles})"
    )


def test_a_mosaic_needs_a_class_for_each_tile():
    conv = keras.Sequential([keras.Input((4, 4, 4, 1)), keras.layers.Conv3D(7, 1), keras.layers.GlobalMaxPooling3D()])
    conv.add(keras.layers.Softmax())
    with pytest.raises(UsageError, match="at least 8 classes, got 7"):
        evaluate([np.zeros((4, 4, 4, 1))], load_model(conv, preprocess="none"), metrics="grid", progress=False)


def write_films(folder):
    """Write a film of six frames for each corner."""
    for number, film in enumerate(corner_arrays((6, 4, 5))):
        frames = [Image.fromarray(frame) for frame in (255 * film).astype(np.uint8)]
        frames[0].save(folder / f"{number}.gif", save_all=True, append_images=frames[1:], duration=100)


def test_films_of_colors(cli):
    """Frames are chosen, not blended: half of the frames of each film, in tiles of half their size."""
    corner_network(SHAPES[3]).save("net.keras")
    write_films(cli.here)
    words = ("--model", "net.keras", "--preprocess", "0..1", "--method", "gradcam", "--mosaics", "3")
    result = cli("evaluate", ".", *words, "--metric", "grid", "--json", "--plots", "plots")
    assert result.status == 0, result.stderr
    summary = json.loads(result.lines[-1])
    assert summary["mean_metrics"][0]["grid"] == pytest.approx(VOLUME_SHARE, abs=0.01)
    assert (cli.here / "plots/mosaics.png").exists()


def test_films_of_an_odd_number_of_frames_are_refused(cli):
    """Half of the middle frame would belong to each tile, and it shows only one of them."""
    corner_network((3, 4, 4)).save("net.keras")
    write_films(cli.here)
    result = cli("evaluate", ".", "--model", "net.keras", "--preprocess", "0..1", "--metric", "grid")
    assert result.status == 3
    assert "mosaics of films require a model of an even number of frames, got 3" in result.stderr


def test_signals_on_the_command_line(cli):
    """The table, a picture of mosaics, and a report with a figure for each tile."""
    corner_network((None,)).save("net.keras")
    for number, signal in enumerate(corner_arrays(SHAPES[1])):
        np.save(f"{number}.npy", signal)
    words = ("--model", "net.keras", "--input-size", 4, "--method", "gradcam", "--mosaics", "4")
    result = cli("evaluate", ".", *words, "--metric", "grid", "--plots", "plots", "--report", "-o", "pages")
    assert result.status == 0, result.stderr
    assert "4 mosaics of " in result.stdout
    assert Image.open(cli.here / "plots/mosaics.png").size[0] > 300
    entry = document_in(cli.here / "pages/index.html")["entries"][0]
    assert (entry["kind"], entry["size"]) == ("signal", [8])
    assert len({each["class"] for each in entry["maps"]}) == len(entry["maps"]) == 2
    assert all(0 <= each["peak"][0] < 8 for each in entry["maps"])
    assert all((cli.here / "pages" / each["figure"]).is_file() for each in entry["maps"])


def test_images_of_bands(cli):
    """A tile has a share of 12 / (12 + 2 n) or 10 / (10 + 2 n), n the other corners of x_0 = 1; a photo is refused."""
    corner_network(SHAPES[2]).save("net.keras")
    for number, image in enumerate(corner_arrays(SHAPES[2])):
        np.save(f"{number}.npy", image)
    Image.new("RGB", (6, 4), (255, 0, 0)).save("red.png")
    words = ("--model", "net.keras", "--preprocess", "none", "--metric", "grid", "--mosaics", "4", "--json")
    result = cli("evaluate", *[f"{number}.npy" for number in range(8)], "red.png", *words)
    assert result.status == 1
    assert "red.png: mosaics are made of inputs of one kind: expected an image of bands" in result.stderr
    rows = [row for row in map(json.loads, result.lines) if row.get("method") == "gradcam" and "tiles" in row]
    assert len(rows) == 4
    for row in rows:
        shared = [tile["class_index"] >= 4 for tile in row["tiles"]]
        for each, tile in zip(shared, row["tiles"], strict=True):
            own = OWN + SHARED * each
            share = own / (own + SHARED * (sum(shared) - each))
            assert tile["metrics"]["grid"] == pytest.approx(share, abs=1e-6)


def test_too_few_inputs_name_the_first_that_cannot_be_used(cli):
    """Signals of several windows have no single prediction."""
    corner_network(SHAPES[1]).save("net.keras")
    np.save("long.npy", corner_arrays((9,))[0])
    result = cli("evaluate", "long.npy", "--model", "net.keras", "--metric", "grid")
    assert result.status == 3
    assert (
        "expected 2, got 0 (0 of 0 inputs); 1 cannot be used, the first is long.npy: expected an input" in result.stderr
    )
    assert "hint: use --fit squash" in result.stderr


def test_memory_of_the_inputs_is_limited(monkeypatch):
    """Of eight inputs of 4 x 3 values in float32 and one limit of three of them, three are kept."""
    monkeypatch.setattr(sure_inputs, "MAX_BYTES", 3 * 4 * 3 * 4)
    model = load_model(corner_network(SHAPES[1]), preprocess="none")
    _, results = means(model, list(corner_arrays(SHAPES[1])), 3)
    assert results.mosaics.photos == 3
