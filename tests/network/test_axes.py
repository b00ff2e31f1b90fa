"""Axes as products of factors: reshapes that keep, split and lose the rows and columns of an image."""

import pytest

from gradcam_cli.network.provenance.axes import BATCH, COLUMN, OTHER, ROW, Factor, axis, broadcast, reshape

N, Y, X, K = axis(BATCH, 2), axis(ROW, 8), axis(COLUMN, 6), axis(OTHER, 5)
IMAGE = (N, Y, X, K)


def test_tokens_and_back():
    tokens = reshape(IMAGE, (2, 48, 5))
    assert tokens == (N, Y + X, K)
    assert reshape(tokens, (2, 8, 6, 5)) == IMAGE


def test_windows_and_back():
    """Windows of 4x3 cells, as in Swin: each half of an axis keeps its stride."""
    split = reshape(IMAGE, (2, 2, 4, 2, 3, 5))
    assert split[1:5] == (
        (Factor(ROW, 2, 4),),
        (Factor(ROW, 4, 1),),
        (Factor(COLUMN, 2, 3),),
        (Factor(COLUMN, 3, 1),),
    )
    windows = tuple(split[i] for i in (0, 1, 3, 2, 4, 5))
    merged = reshape(windows, (8, 12, 5))
    back = reshape(merged, (2, 2, 2, 4, 3, 5))
    assert reshape(tuple(back[i] for i in (0, 1, 3, 2, 4, 5)), (2, 8, 6, 5)) == IMAGE


def test_windows_in_the_wrong_order_are_not_rows():
    windows = tuple(reshape(IMAGE, (2, 2, 4, 2, 3, 5))[i] for i in (0, 2, 1, 3, 4, 5))
    assert reshape(windows, (2, 8, 6, 5))[1] != Y


@pytest.mark.parametrize("shape", [(2, 6, 8, 5), (2, 16, 3, 5)])
def test_uneven_or_transposed_regrouping_is_not_an_image(shape):
    axes = reshape(IMAGE, shape)
    assert axes is None or axes[1:3] != (Y, X)


def test_broadcast_of_a_channel_vector_keeps_places():
    assert broadcast(IMAGE, (K,)) == (IMAGE, True)
    assert broadcast(IMAGE, (N, (), (), K)) == (IMAGE, True)


def test_broadcast_of_rows_and_columns_disagrees():
    assert broadcast((N, Y, Y, K), (N, Y, axis(COLUMN, 8), K))[1] is False
