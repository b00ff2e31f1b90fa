"""Attention rollout and LeGrad on attention maps of two and three tokens, worked out by hand."""

import numpy as np

from gradcam_cli.methods.attention_maps import AttentionMaps, legrad, rollout
from gradcam_cli.methods.scorer import AttributionInputs

INPUTS = AttributionInputs(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), 0)


class Known:
    """Attention maps, or their gradients, that are known."""

    def __init__(self, layers, pooled, cells):
        self.found = AttentionMaps(np.float32(layers), np.array(pooled, bool), np.array(cells))

    def attention_maps(self, x):
        return self.found

    def attention_gradients(self, x, c):
        return self.found


CLASS_TOKEN = [1, 0, 0], [[1, 2]]
"""A class token and two patches, side by side."""


def test_rollout_of_one_layer_is_half_the_attention():
    """The mean of the heads, halved; the identity adds to the class token only."""
    heads = [[[0.2, 0.6, 0.2], [0, 1, 0], [0, 0, 1]], [[0.4, 0.2, 0.4], [0, 1, 0], [0, 0, 1]]]
    np.testing.assert_allclose(rollout(Known([heads], *CLASS_TOKEN), INPUTS).map, [[0.2, 0.15]], rtol=1e-6)


def test_rollout_multiplies_later_layers_from_the_left():
    """The class token takes from patch 1 in layer 2, which took from patch 2 in layer 1.

    A_hat^1 = [[1, 0, 0], [0, .5, .5], [0, 0, 1]] and A_hat^2 = [[.5, .5, 0], [0, 1, 0], [0, 0, 1]]. The first row of
    A_hat^2 A_hat^1 is (.5, .25, .25); in the other order it would be (.5, .5, 0).
    """
    first, second = [[[1, 0, 0], [0, 0, 1], [0, 0, 1]]], [[[0, 1, 0], [0, 1, 0], [0, 0, 1]]]
    np.testing.assert_allclose(rollout(Known([first, second], *CLASS_TOKEN), INPUTS).map, [[0.25, 0.25]], rtol=1e-6)


def test_rollout_divides_rows_by_their_sums():
    """A row of weights that sum to 3: (0.5 (3, 0) + 0.5 (0, 1)) / 2 for the second token."""
    cam = rollout(Known([[[[1, 0], [3, 0]]]], [0, 1], [[0, 1]]), INPUTS)
    np.testing.assert_allclose(cam.map, [[0.75, 0.25]], rtol=1e-6)


def test_rollout_with_mean_pooling_averages_the_rows():
    """Rows (.5 + .5 * .5, .25) and (.5, .5)."""
    cam = rollout(Known([[[[0.5, 0.5], [1, 0]]]], [1, 1], [[0], [1]]), INPUTS)
    np.testing.assert_allclose(cam.map, [[0.625], [0.375]], rtol=1e-6)


def test_legrad_averages_positive_gradients_over_heads_queries_and_layers():
    """Columns of the patches: layer 1 has (2 + 4 + 6) / 6 and 0 / 6, layer 2 has 3 / 6 and 9 / 6; less the minimum."""
    first = [[[5, 2, -1], [0, 4, -9], [0, -7, 0]], [[0, 6, 0], [0, 0, 0], [0, 0, 0]]]
    second = [[[0, 0, 9], [0, 3, 0], [1, 0, 0]], [[0, -1, 0], [0, 0, 0], [0, 0, 0]]]
    cam = legrad(Known([first, second], *CLASS_TOKEN), INPUTS)
    np.testing.assert_allclose(cam.map, [[(2 + 0.5) / 2 - 1.5 / 2, 0]], rtol=1e-6)
