"""Metrics on mosaics as functions of arrays, and the drawing of mosaics."""

import itertools

import numpy as np
import pytest

from gradcam_cli.evaluation.metrics.mosaic import peak_in_tile, share_in_tile, share_outside, tile_parts
from gradcam_cli.evaluation.mosaics.layout import Mosaic, draw_mosaics, num_possible
from gradcam_cli.evaluation.mosaics.sure_inputs import SureInput
from gradcam_cli.images.bands import Bands
from gradcam_cli.images.box import Box
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.space import RANKS, Space


def shares(L, parts):
    return [share_in_tile(np.array(L, np.float32), parts, tile) for tile in range(len(parts))]


def peaks(L, parts):
    return [peak_in_tile(np.array(L, np.float32), parts, tile) for tile in range(len(parts))]


def test_shares_of_a_map_of_four_cells_by_hand():
    parts = tile_parts((2, 2), Box(0, 0, 10, 10), (10, 10))
    assert shares([[1, 2], [3, 4]], parts) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert peaks([[1, 2], [3, 4]], parts) == [0, 0, 0, 1]
    assert peaks([[4, 2], [3, 4]], parts) == [0.5, 0, 0, 0.5]


def test_cells_across_the_border_count_with_their_parts():
    """The middle row and column of 3x3 cells belong half to each side; whole cells would give 4/9 and 1/9."""
    parts = tile_parts((3, 3), Box(0, 0, 9, 9), (9, 9))
    assert shares(np.ones((3, 3)), parts) == pytest.approx([0.25] * 4)
    assert peaks(np.ones((3, 3)), parts) == pytest.approx([0.25] * 4)
    assert shares([[1, 0, 0], [0, 0, 0], [0, 0, 0]], parts) == [1, 0, 0, 0]
    assert shares([[0, 1, 0], [0, 0, 0], [0, 0, 0]], parts) == [0.5, 0.5, 0, 0]
    assert peaks([[3, 0, 0], [0, 5, 0], [0, 0, 4]], parts) == [0.25] * 4


def test_cells_outside_the_input_do_not_count():
    """Three columns between -4 and 8: the first is outside of the mosaic."""
    parts = tile_parts((1, 3), Box(-4, 0, 8, 8), (8, 8))
    assert parts.sum(axis=(1, 2)) == pytest.approx([0.5] * 4)  # one row: half of its height in each tile
    assert shares([[7, 1, 3]], parts) == pytest.approx([0.125, 0.375, 0.125, 0.375])


def test_signals_by_hand():
    """Two tiles, one after the other: a map half in its tile, one in the other tile, and a cell across the border."""
    parts = tile_parts((4,), Box(0, 16), (16,))
    assert parts.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert shares([0, 3, 3, 0], parts) == peaks([0, 3, 3, 0], parts) == [0.5, 0.5]
    assert shares([1, 0, 0, 3], parts) == [0.25, 0.75]
    assert peaks([1, 0, 0, 3], parts) == [0, 1]
    assert shares([1, 2, 5], tile_parts((3,), Box(0, 16), (16,))) == pytest.approx([0.25, 0.75])
    assert shares([9, 1, 3], tile_parts((3,), Box(-4, 8), (8,))) == [0.25, 0.75]  # the first is before the signal


def test_volumes_by_hand():
    """Eight tiles in the order of slices, rows and columns; the middle one of three slices is half in each."""
    parts = tile_parts((2, 2, 2), Box(0, 0, 0, 8, 8, 8), (8, 8, 8))
    L = np.arange(1, 9).reshape(2, 2, 2)
    assert shares(L, parts) == pytest.approx(L.ravel() / 36)
    assert peaks(L, parts) == [0] * 7 + [1]
    parts, L = tile_parts((3, 2, 2), Box(0, 0, 0, 8, 8, 9), (9, 8, 8)), np.zeros((3, 2, 2))
    L[1, 0, 1] = L[0, 1, 1] = 4
    assert shares(L, parts) == peaks(L, parts) == [0, 0.25, 0, 0.5, 0, 0.25, 0, 0]
    L[2, 0, 0] = 8
    assert shares(L, parts) == [0, 0.125, 0, 0.25, 0.5, 0.125, 0, 0]
    assert peaks(L, parts) == [0, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("cells", [(3, 4), (5,)])
@pytest.mark.parametrize("axis", [0, -1])
def test_a_map_that_is_repeated_along_an_axis_keeps_its_shares(cells, axis):
    """Those of the two tiles along this axis are equal, and their sum is the share without it; so are the peaks."""
    shape, repeats = [8] * len(cells), 3
    L = np.random.default_rng(0).uniform(size=cells)
    repeated = np.stack([L] * repeats, axis)
    parts = tile_parts(cells, Box.whole(shape), shape)
    more = tile_parts(repeated.shape, Box.whole([*shape, 8]), [*shape, 8])
    for measure in (shares, peaks):
        of_tiles = np.reshape(measure(repeated, more), [2] * repeated.ndim)
        assert of_tiles.take(0, axis) == pytest.approx(of_tiles.take(1, axis))
        assert of_tiles.sum(axis).ravel() == pytest.approx(measure(L, parts))


@pytest.mark.parametrize("cells", [(7, 7), (14, 14), (5, 8), (1, 1), (7,), (3, 5, 4)])
def test_shares_of_any_map_sum_to_one(cells):
    """So a map that ignores the class has a mean share of 1/4 over the four classes of a mosaic of photos."""
    parts = tile_parts(cells, Box.whole([224] * len(cells)), [224] * len(cells))
    L = np.random.default_rng(0).uniform(size=cells)
    assert sum(shares(L, parts)) == pytest.approx(1)
    assert sum(peaks(L, parts)) == pytest.approx(1)


def test_maps_of_zeros_have_no_share():
    parts = tile_parts((2, 2), Box(0, 0, 8, 8), (8, 8))
    assert shares(np.zeros((2, 2)), parts) == [0] * 4
    assert peaks(np.zeros((2, 2)), parts) == [0] * 4
    assert share_outside(np.zeros((2, 2)), parts[0] > 0) is None


def test_share_outside_by_hand():
    L = np.array([[1, 2], [3, 4]], np.float32)
    assert share_outside(L, np.array([[True, False], [False, False]])) == pytest.approx(0.9)
    assert share_outside(L, np.array([[True, True], [True, True]])) == 0


def photos(sizes):
    """Return photos of classes 0, 1, 2 and so on, as many as the sizes say."""
    pixels = np.zeros((2, 2, 3), np.uint8)
    return [SureInput(f"{c}-{i}", c, 0.95, Decoded(pixels + c)) for c, size in enumerate(sizes) for i in range(size)]


def test_number_of_mosaics_is_that_of_all_arrangements():
    sizes = [2, 1, 3, 1, 2]
    arrangements = itertools.permutations(photos(sizes), 4)
    assert num_possible(sizes, 4) == sum(len({each.class_index for each in four}) == 4 for four in arrangements)


def test_mosaics_have_four_classes_and_differ():
    drawn = draw_mosaics(photos([3, 1, 2, 4, 1]), 4, 50, seed=3)
    assert len({mosaic.inputs for mosaic in drawn}) == len(drawn) == 50
    assert all(len({each.class_index for each in mosaic.inputs}) == 4 for mosaic in drawn)
    assert drawn == draw_mosaics(photos([3, 1, 2, 4, 1]), 4, 50, seed=3)
    assert drawn != draw_mosaics(photos([3, 1, 2, 4, 1]), 4, 50, seed=4)
    places = [[mosaic.inputs[tile].class_index for mosaic in drawn] for tile in range(4)]
    assert all(len(set(classes)) == 5 for classes in places)  # each class is in each place


def test_too_few_photos_give_all_their_mosaics(caplog):
    assert len(draw_mosaics(photos([1, 1, 1, 1]), 4, 100, seed=0)) == 24
    assert len(draw_mosaics(2 * photos([1, 1, 1, 1]), 4, 100, seed=0)) == 24  # each photo is given twice
    assert "only 24 mosaics" in caplog.text


@pytest.mark.parametrize("kind", ["signal", "volume"])
def test_tiles_of_other_kinds_are_in_reading_order(kind):
    """Along the time; or by slices, rows and columns. Colors and values have the same places."""
    rank = RANKS[kind]
    values = [np.full((*[4] * rank, 1), i, np.float32) for i in range(2**rank)]
    shown = values if kind == "signal" else [np.full((4, 4, 4, 3), i, np.uint8) for i in range(8)]
    pairs = enumerate(zip(values, shown, strict=True))
    inputs = [
        SureInput(str(i), i, 1, Decoded(p, None, Bands(v, False), Space(kind, (1,) * rank))) for i, (v, p) in pairs
    ]
    pixels, _, bands, space = Mosaic("mosaic 1", tuple(inputs)).decoded((3,) * rank)
    assert bands.values.shape == (*[6] * rank, 1)
    assert bands.values[(slice(None, None, 3),) * rank].ravel().tolist() == list(range(2**rank))
    assert (pixels[..., 0] == bands.values[..., 0]).all()
    assert space == Space(kind)


def test_tiles_are_in_reading_order():
    (mosaic,) = draw_mosaics(photos([1, 1, 1, 1]), 4, 1, seed=0)
    a, b, c, d = (each.class_index for each in mosaic.inputs)
    assert mosaic.decoded((2, 2)).pixels[::2, ::2, 0].tolist() == [[a, b], [c, d]]
    assert mosaic.decoded((3, 5)).pixels.shape == (6, 10, 3)
    assert (mosaic.decoded((3, 5)).pixels[:3, :5] == a).all()  # no pixel mixes two photos
