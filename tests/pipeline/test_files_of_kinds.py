"""The files of maps of signals, volumes and films."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image
from small_models import small_network

from gradcam_cli import explain
from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box
from gradcam_cli.images.space import Space
from gradcam_cli.pipeline.captions import layer_label
from gradcam_cli.pipeline.origin import read_record

SHAPES = {"signal": (40,), "volume": (6, 20, 30), "film": (6, 20, 30)}


@pytest.fixture(scope="module")
def image_map():
    return explain(np.zeros((20, 20, 3), np.uint8) + 99, small_network(), "conv2", preprocess="-1..1")


@pytest.fixture(params=SHAPES)
def explanation(request, image_map):
    """A map with the value 3 in one cell of two along each axis: it fills the second half of the input."""
    kind, shape = request.param, SHAPES[request.param]
    cam = np.zeros([2] * len(shape), np.float32)
    cam[(1,) * len(shape)] = 3
    heatmap = np.kron(cam / 3, np.ones([side // 2 for side in shape])).astype(np.float32)
    pixels = np.zeros((40, 1), np.float32) if kind == "signal" else np.full((*shape, 3), 100, np.uint8)
    spacing = (0.5, *[1.0 if kind == "volume" else 0.0] * (len(shape) - 1))
    whole = Box.whole(shape)
    settings = dataclasses.replace(image_map.settings, interpolation="nearest")
    return dataclasses.replace(
        image_map, image=pixels, heatmap=heatmap, cam=cam, cam_pre_relu=cam, crop_box=whole, map_box=whole,
        input_box=whole, space=Space(kind, spacing), settings=settings, zero_reason=None,
    )  # fmt: skip


def test_figures_and_grids_of_every_kind(explanation, tmp_path):
    """They are equal for equal maps, carry what they show, and the bar ends at the largest value."""
    assert explanation.figure().axes[-1].get_ylim()[1] == 3
    for kind in ("figure", "grid"):
        path = explanation.save(tmp_path / f"{kind}.png", kind)
        assert path.read_bytes() == explanation.save(tmp_path / "again.png", kind).read_bytes()
        assert read_record(path)["maps"][0]["layer"] == "conv2"


def test_arrays_have_the_axes_of_the_input(explanation):
    with np.load(io.BytesIO(explanation.encode("npz"))) as arrays:
        assert arrays["heatmap"].shape == explanation.heatmap.shape
        assert arrays["cam"].shape == explanation.cam.shape


def test_films_are_written_by_their_suffix(explanation, tmp_path):
    if explanation.space.kind == "signal":
        with pytest.raises(UsageError, match="--save film: expected a volume or a film as input, got a signal"):
            explanation.save(tmp_path / "map.gif")
        return
    path = explanation.save(tmp_path / "map.gif")
    with Image.open(path) as gif:
        assert gif.info["duration"] == (
            3 * 500 if explanation.space.kind == "film" else 3 * 100
        )  # equal frames are one
        assert gif.n_frames == 2
    assert json.loads(json.dumps(read_record(path)))["maps"][0]["method"] == "gradcam"
    assert explanation.save(tmp_path / "montage.png", "montage").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["overlay", "heatmap", "difference"])
def test_pictures_of_images_only(explanation, kind):
    with pytest.raises(UsageError, match=f"--save {kind}: expected an image as input, got a"):
        explanation.encode(kind)


def test_the_layer_and_the_page_of_a_notebook_name_all_sides(explanation):
    """Two cells along an axis are few."""
    size = "x".join("2" * explanation.cam.ndim)
    assert layer_label(explanation) == f"conv2 {size} · {size} cells: coarse"
    page = explanation._repr_html_()
    assert f"conv2, {size} cells" in page
    expected = {"signal": "40 samples", "volume": "30x20x6 voxels", "film": "30x20x6 pixels and frames"}
    assert expected[explanation.space.kind] in page
