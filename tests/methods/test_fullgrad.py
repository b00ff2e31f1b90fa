"""The map of FullGrad from known parts of a score."""

import numpy as np
import pytest

from gradcam_cli.images.box import Box
from gradcam_cli.methods.fullgrad import BiasGradient, FullGradients, fullgrad
from gradcam_cli.methods.scorer import AttributionInputs

INPUT = np.array([[[-4, 0], [2, 0]], [[1, 0], [0, 2]]], np.float32)
BIAS = np.array([[[-3, 1], [5, 1]]], np.float32)
FOUND = FullGradients(
    8.0,
    INPUT,
    [BiasGradient("conv", BIAS, Box(0, 0, 2, 2)), BiasGradient("dense", np.array([2.0, 1.0], np.float32), None)],
)
# |input| / 4 summed over channels is [[1, 1/2], [1/4, 1/2]]. |bias| less its minimum 1 is 2, 0, 4, 0, divided by 4 and
# summed over channels [[1/2, 1]], on both rows. The dense layer has no places.
BY_HAND = [[1.5, 1.5], [0.75, 1.5]]


class Known:
    def full_gradients(self, x, c):
        return FOUND


def map_of(found=FOUND):
    zeros = np.zeros((2, 2, 2), np.float32)
    scorer = Known()
    scorer.full_gradients = lambda x, c: found
    return fullgrad(scorer, AttributionInputs(zeros, zeros, zeros, zeros, 0)).map


def test_fullgrad_by_hand():
    np.testing.assert_allclose(map_of(), BY_HAND, rtol=1e-6)
    assert sum(part.sum() for part in FOUND.parts) == FOUND.y_c


def rescale(a, axis=None):
    return (a - a.min(axis=axis, keepdims=True)) / np.ptp(a, axis=axis, keepdims=True).clip(1e-9)


WRONG = {
    "without the input": rescale(np.abs(BIAS)).sum(-1).repeat(2, 0),
    "without biases": rescale(np.abs(INPUT)).sum(-1),
    "signed": rescale(INPUT).sum(-1) + rescale(BIAS).sum(-1),
    "not rescaled": np.abs(INPUT).sum(-1) + np.abs(BIAS).sum(-1),
    "each channel rescaled": rescale(np.abs(INPUT), (0, 1)).sum(-1) + rescale(np.abs(BIAS), (0, 1)).sum(-1),
    "absolute value of the sum": rescale(np.abs(INPUT.sum(-1))) + rescale(np.abs(BIAS.sum(-1))),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_formulas_fail(wrong):
    assert not np.allclose(WRONG[wrong], BY_HAND, rtol=1e-3)


def test_a_bias_covers_its_part_of_the_input():
    """Cells of the right column only; constant values have no place."""
    part = FOUND._replace(input=0 * INPUT, biases=[BiasGradient("conv", BIAS.reshape(2, 1, 2), Box(1, 0, 2, 2))])
    np.testing.assert_allclose(map_of(part), [[0, 0.5], [0, 1]], rtol=1e-6)
    assert not map_of(FOUND._replace(input=0 * INPUT + 3, biases=[])).any()
