"""The numbers of maps in a report: what the page draws and reads is the map."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gradcam_cli.images.box import Box
from gradcam_cli.pipeline.fields import FieldError
from gradcam_cli.reporting.levels import LEVELS, encode_levels, within_budget


def values_of(levels):
    numbers = np.frombuffer(base64.b64decode(levels["values"]), np.uint8).reshape(levels["height"], levels["width"])
    return numbers / 255 * levels["top"]


def enlarged(levels, shape, order=1):
    """The values at the centers of the pixels of a box, by SciPy."""
    values = values_of(levels)
    factors = [size / cells for size, cells in zip(shape, values.shape, strict=True)]
    return ndimage.zoom(values, factors, order=order, mode="nearest", grid_mode=True)


@pytest.fixture
def cells():
    return np.random.default_rng(0).random((5, 7)).astype(np.float32)


def test_cells_of_a_layer_are_recovered(cells):
    """The levels are the cells, and enlarge to a map that differs by at most 1/255."""
    heatmap = ndimage.zoom(cells, (60 / 5, 91 / 7), order=1, mode="nearest", grid_mode=True)
    maximum = heatmap.max()
    levels = encode_levels(heatmap / maximum, Box(0, 0, 91, 60), (5, 7))
    assert levels["exact"]
    np.testing.assert_allclose(values_of(levels), cells / maximum, atol=0.51 / 255 * levels["top"])
    np.testing.assert_allclose(enlarged(levels, (60, 91)), heatmap / maximum, atol=1 / 255)


@pytest.mark.parametrize("cells_box", [Box(20, -15, 80, 45), Box(-30, -30, 130, 90)])
def test_cells_may_cover_a_part_of_the_image_or_more(cells, cells_box):
    """A crop, and an image with bars: the box is in fractions of the image."""
    H, W = 60, 100
    width, height = cells_box.x1 - cells_box.x0, cells_box.y1 - cells_box.y0
    whole = ndimage.zoom(cells, (height / 5, width / 7), order=1, mode="nearest", grid_mode=True)
    heatmap = np.zeros((H, W), np.float32)
    top, left = max(cells_box.y0, 0), max(cells_box.x0, 0)
    inside = whole[top - cells_box.y0 :, left - cells_box.x0 :][: H - top, : W - left]
    heatmap[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    heatmap /= heatmap.max()
    levels = encode_levels(heatmap, cells_box, (5, 7))
    assert levels["exact"]
    assert levels["box"] == pytest.approx([cells_box.x0 / W, cells_box.y0 / H, cells_box.x1 / W, cells_box.y1 / H])
    found = enlarged(levels, (height, width))[top - cells_box.y0 :, left - cells_box.x0 :]
    np.testing.assert_allclose(
        found[: inside.shape[0], : inside.shape[1]],
        heatmap[top : top + inside.shape[0], left : left + inside.shape[1]],
        atol=1 / 255,
    )


def test_cells_with_edges_are_recovered():
    heatmap = np.kron([[0.25, 1], [0.5, 0]], np.ones((20, 30))).astype(np.float32)
    levels = encode_levels(heatmap, Box(0, 0, 60, 40), (2, 2))
    assert levels["nearest"]
    np.testing.assert_allclose(values_of(levels), [[0.25, 1], [0.5, 0]], atol=0.5 / 255)


def test_map_of_other_detail_is_averaged_over_a_fine_grid():
    """A map with a value per pixel: 80 cells on the longer side, the means of Pillow's resampling, and not exact."""
    heatmap = np.random.default_rng(0).random((120, 200)).astype(np.float32)
    levels = encode_levels(heatmap, Box(0, 0, 200, 120), (120, 200))
    assert (levels["height"], levels["width"], levels["exact"]) == (48, 80, False)
    expected = np.asarray(Image.fromarray(heatmap).resize((80, 48), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(values_of(levels), expected, atol=1 / 255)


def test_values_above_the_limit_are_the_limit():
    heatmap = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)
    levels = encode_levels(heatmap, Box(0, 0, 28, 28), (28, 28), limit=0.2)
    assert levels["limit"] == 0.2
    np.testing.assert_allclose(values_of(levels), np.minimum(heatmap, 0.2), atol=0.51 * 0.2 / 255)


def test_zero_map_has_levels():
    levels = encode_levels(np.zeros((30, 40), np.float32), Box(0, 0, 40, 30), (3, 4))
    assert not values_of(levels).any()
    assert LEVELS(levels) == levels


@pytest.mark.parametrize(
    "change",
    [
        {"values": "AAA"},
        {"values": "<script>"},
        {"values": base64.b64encode(bytes(13)).decode()},
        {"width": 0},
        {"width": 81},
        {"limit": 0},
        {"box": [0.5, 0, 0.5, 1]},
        {"bits": 32},
    ],
)
def test_levels_that_are_no_map_are_refused(change):
    valid = encode_levels(np.ones((30, 40), np.float32), Box(0, 0, 40, 30), (3, 4))
    assert LEVELS(valid) == valid
    with pytest.raises(FieldError):
        LEVELS({**valid, **change})


def test_page_contains_levels_up_to_its_limit():
    """Of three maps with 16 characters each, a page of 40 characters has two; their pictures remain."""
    levels = encode_levels(np.ones((30, 40), np.float32), Box(0, 0, 40, 30), (3, 4))
    assert len(levels["values"]) == 16
    single = {"report": {"map_image": "a.png", "levels": levels}}
    pair = {"report": {"before": {"map_image": "b.png", "levels": levels}, "all_levels": [levels]}}
    kept = list(within_budget([single, {"status": "failed"}, pair, single], 40))
    assert kept == [single, {"status": "failed"}, {"report": {"before": {"map_image": "b.png"}}}, kept[3]]
    assert kept[3] == {"report": {"map_image": "a.png"}}


@pytest.mark.parametrize(("cells", "shape"), [((9,), (200,)), ((4, 5, 6), (20, 35, 30))])
def test_cells_of_any_number_of_axes_are_recovered(cells, shape):
    """The cells of a signal and of a volume, as SciPy enlarges them."""
    values = np.random.default_rng(0).random(cells).astype(np.float32)
    factors = [size / length for size, length in zip(shape, cells, strict=True)]
    heatmap = ndimage.zoom(values, factors, order=1, mode="nearest", grid_mode=True)
    levels = encode_levels(heatmap / heatmap.max(), Box.whole(shape), cells)
    assert LEVELS(levels) == levels
    assert levels["exact"]
    assert [levels[side] for side in ("depth", "height", "width")[-len(cells) :]] == list(cells)
    numbers = np.frombuffer(base64.b64decode(levels["values"]), np.uint8).reshape(cells) / 255 * levels["top"]
    np.testing.assert_allclose(numbers, values / heatmap.max(), atol=0.51 / 255 * levels["top"])


def test_cells_may_cover_a_part_of_a_volume():
    """The box is x0, y0, z0, x1, y1, z1 in fractions of the volume."""
    heatmap = np.zeros((10, 20, 40), np.float32)
    heatmap[2:6, 5:15, 10:20] = 1
    levels = encode_levels(heatmap, Box(10, 5, 2, 20, 15, 6), (2, 2, 2))
    assert levels["exact"]
    assert levels["box"] == [0.25, 0.25, 0.2, 0.5, 0.75, 0.6]


def test_fine_grid_of_a_volume_has_its_means():
    """A map with a value per voxel: at most 40 cells along each axis. Slices of equal values keep them."""
    heatmap = np.repeat(np.linspace(0, 1, 20, dtype=np.float32), 60 * 80).reshape(20, 60, 80)
    levels = encode_levels(heatmap, Box.whole(heatmap.shape), heatmap.shape)
    assert (levels["depth"], levels["height"], levels["width"], levels["exact"]) == (20, 40, 40, False)
    numbers = np.frombuffer(base64.b64decode(levels["values"]), np.uint8).reshape(20, 40, 40) / 255 * levels["top"]
    np.testing.assert_allclose(numbers, heatmap[:, :40, :40], atol=1 / 255)


@pytest.mark.parametrize(
    "change", [{"depth": 2}, {"depth": 0}, {"box": [0, 1]}, {"box": [0, 0, 1, 1]}, {"box": [0, 0, 1, 1, 1, 1]}]
)
def test_levels_of_a_volume_that_are_no_map_are_refused(change):
    valid = encode_levels(np.ones((4, 3, 2), np.float32), Box.whole((4, 3, 2)), (4, 3, 2))
    assert LEVELS(valid) == valid
    with pytest.raises(FieldError):
        LEVELS({**valid, **change})
