"""The factorization of activations into concepts, their removal, and the message without scikit-learn."""

import sys

import numpy as np
import pytest

from gradcam_cli.auditing.concepts import factorize, without_concept
from gradcam_cli.errors import UsageError


def test_two_disjoint_concepts_are_recovered():
    """Cells that mix (3, 4, 0, 0) and (0, 0, 5, 12) in known amounts give these two directions and these amounts."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    directions = np.array([[3, 4, 0, 0], [0, 0, 5, 12]], np.float32)
    amounts = np.random.default_rng(0).uniform(0, 2, (6, 3, 5, 2)).astype(np.float32)
    amounts[:2, ..., 0], amounts[2:4, ..., 1] = 0, 0  # cells with one concept only make the factorization unique
    A = amounts @ directions
    concepts = factorize(A, np.ones(4), 2)
    first = int(concepts.w[0, 0] < concepts.w[1, 0])  # the order of concepts is free
    np.testing.assert_allclose(concepts.w[first], [0.6, 0.8, 0, 0], atol=0.02)
    np.testing.assert_allclose(concepts.w[1 - first], [0, 0, 5 / 13, 12 / 13], atol=0.02)
    np.testing.assert_allclose(concepts.h[..., first], 5 * amounts[..., 0], atol=0.2)
    np.testing.assert_allclose(concepts.h[..., 1 - first], 13 * amounts[..., 1], atol=0.2)


def test_channels_that_do_not_raise_the_score_have_no_concept():
    """With alpha = (2, -1, 0, 1), h w reproduces A in channels 0 and 3 only, also for unequal alpha."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    A = np.random.default_rng(1).uniform(0, 1, (4, 2, 2, 4)).astype(np.float32)
    concepts = factorize(A, np.array([2.0, -1, 0, 1]), 2)
    product = concepts.h @ concepts.w
    assert not concepts.w[:, 1:3].any()
    np.testing.assert_allclose(product[..., [0, 3]], A[..., [0, 3]], atol=0.02)


def test_a_class_without_a_helpful_channel_has_no_concepts():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    concepts = factorize(np.ones((3, 2, 2, 4), np.float32), -np.ones(4), 2)
    assert concepts.h.shape == (3, 2, 2, 0)
    assert concepts.w.shape == (0, 4)


def test_removal_stops_at_zero_and_keeps_negative_values():
    """A - min(h w, relu(A)): (3, 1, -2) without 2 (1, 1, 1) is (1, 0, -2)."""
    removed = without_concept(np.array([3.0, 1, -2]), np.array(2.0), np.ones(3))
    np.testing.assert_array_equal(removed, [1, 0, -2])


def test_without_scikit_learn_the_error_has_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(UsageError, match="requires scikit-learn") as raised:
        factorize(np.ones((1, 1, 1, 1)), np.ones(1), 1)
    assert raised.value.hint == "install it with: pip install 'gradcam-cli[audit]'"
