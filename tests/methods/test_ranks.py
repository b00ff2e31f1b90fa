"""The methods on signals (t, k), images (u, v, k) and volumes (d, u, v, k): the same equations, with one more axis."""

import numpy as np
import pytest

from gradcam_cli.methods.maps import INTERPOLATIONS, upsample
from gradcam_cli.methods.registry import METHODS, names_of_kind
from gradcam_cli.methods.scorer import AttributionInputs

U, V, D, K = 4, 5, 3, 3
"""Cells of the planar maps, copies along the further axis, and channels."""
WITH_SCORER = [name for name in names_of_kind("attribution") if name != "fullgrad"]
DEPENDS_ON_VALUES_AT_RANDOM = ("random", "smoothgrad")
COUNTS_CELLS = ("center", "occlusion", "reciprocam")
"""Methods whose maps of a volume that is constant along an axis are not constant along it."""


class MeanScorer:
    """A score of inputs of any shape: y = tanh of a weighted sum of the mean of x^2 over all axes before (u, v, k)."""

    def __init__(self, weights):
        self.weights = weights  # (u, v, k)

    def _axes(self, x):
        return tuple(range(1, x.ndim - 3))

    def scores(self, x):
        return np.tanh((self.weights * (x**2).mean(axis=self._axes(x))).sum(axis=(1, 2, 3)))[:, None]

    def scores_from_layer(self, x, A):
        return self.scores(A)

    def input_gradients(self, x, c):
        y = self.scores(x).reshape(-1, *(1,) * (x.ndim - 1))
        copies = np.prod([x.shape[axis] for axis in self._axes(x)], dtype=int)
        return (1 - y**2) * self.weights * 2 * x / copies

    guided_gradients = input_gradients


def planar(seed=0):
    """Return A and dA, (u, v, k); A is positive, as after a ReLU."""
    random = np.random.default_rng(seed)
    A, dA = random.uniform(0.1, 1, (U, V, K)), random.normal(size=(U, V, K))
    return A.astype(np.float32), dA.astype(np.float32)


def normalized(cam):
    return cam.map / cam.map.max()


def run(name, A, dA):
    """Compute a map of any rank; the input of the network has the shape of the layer."""
    if name not in WITH_SCORER:
        return normalized(METHODS[name].function(A, dA))
    weights = np.random.default_rng(1).normal(size=(U, V, K)) + 0.5
    inputs = AttributionInputs(A.astype(np.float64), np.zeros(A.shape), A, dA, 0)
    return normalized(METHODS[name].function(MeanScorer(weights), inputs))


METHODS_OF_ARRAYS = [*names_of_kind("cam", "baseline"), *WITH_SCORER]


@pytest.mark.parametrize("name", sorted({*METHODS_OF_ARRAYS} - {*DEPENDS_ON_VALUES_AT_RANDOM, *COUNTS_CELLS}))
def test_volume_that_is_constant_along_an_axis_has_the_planar_map(name):
    """With D equal slices, each with a Dth of the gradient, all slices of the map are the map of one slice."""
    A, dA = planar()
    volume = run(name, np.stack([A] * D), np.stack([dA / D] * D))
    assert volume.shape == (D, U, V)
    np.testing.assert_allclose(volume, np.stack([run(name, A, dA)] * D), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", METHODS_OF_ARRAYS)
def test_axis_of_size_one_changes_nothing(name):
    """An image is a volume of one slice."""
    A, dA = planar()
    np.testing.assert_allclose(run(name, A[None], dA[None])[0], run(name, A, dA), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", names_of_kind("cam", "baseline"))
def test_signal_has_the_map_of_an_image_of_one_column(name):
    """A signal (t, k) is an image (t, 1, k)."""
    A, dA = (values.reshape(U * V, K) for values in planar())
    expected = run(name, A[:, None], dA[:, None])[:, 0]
    np.testing.assert_allclose(run(name, A, dA), expected, rtol=1e-5, atol=1e-6)


def test_gradcam_of_a_volume_by_hand():
    """Eight cells of one channel, gradients of mean 0.5: L is half of A."""
    A = np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1)
    dA = np.zeros((2, 2, 2, 1), np.float32)
    dA[0, 0, 0] = 4
    np.testing.assert_array_equal(METHODS["gradcam"].function(A, dA).map, A[..., 0] / 2)


def test_center_prior_is_a_ball():
    """Cells at the same distance from the center of a cube have the same value."""
    L = METHODS["center"].function(np.zeros((3, 3, 3, 1)), None).map
    assert L.max() == L[1, 1, 1] == 1
    faces = [L[0, 1, 1], L[1, 0, 1], L[1, 1, 2]]
    np.testing.assert_allclose(faces, np.exp(-((2 / 3) ** 2) * 9 / 2), rtol=1e-6)
    np.testing.assert_allclose(L[0, 0, 0], np.exp(-3 * ((2 / 3) ** 2) * 9 / 2), rtol=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_upsampling_is_that_of_scipy(shape, interpolation):
    """In each number of dimensions, a map is zoomed as scipy zooms it."""
    from scipy import ndimage

    L = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    order, target = INTERPOLATIONS[interpolation], tuple(3 * side + 1 for side in shape)
    factors = [after / before for after, before in zip(target, shape, strict=True)]
    expected = ndimage.zoom(L, factors, order=order, mode="nearest", grid_mode=True).clip(min=0)
    np.testing.assert_allclose(upsample(L, target, interpolation), expected, atol=1e-5)
