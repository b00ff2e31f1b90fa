"""Every method on networks of signals and volumes: along an axis of equal slices, a map repeats that of a slice.

The networks of an image and of a volume have the same weights: the kernels of the volume have one slice. So each slice
of a volume of equal slices passes through the network of the image.
"""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli import load_model
from gradcam_cli.methods.registry import METHODS, MULTI_PASS
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.map_values import compute_cam, compute_multi_pass
from gradcam_cli.pipeline.run import prepare_run

SLICES = 4
DEPENDS_ON_SLICES = {"random", "center", "smoothgrad", "occlusion"}
"""Methods with noise, or with a scale that depends on all sides of the input."""
COMPARED = [
    name
    for name, method in METHODS.items()
    if name not in DEPENDS_ON_SLICES and method.kind not in ("attention", "depth", "layers")
]


def network(rank, flat):
    """Two convolutions along the last axes; `flat` puts one slice before these."""
    conv, pool, mean = {
        1: (L.Conv1D, L.MaxPooling1D, L.GlobalAveragePooling1D),
        2: (L.Conv2D, L.MaxPooling2D, L.GlobalAveragePooling2D),
        3: (L.Conv3D, L.MaxPooling3D, L.GlobalAveragePooling3D),
    }[rank]

    def size(side):
        return (1,) * flat + (side,) * (rank - flat)

    return keras.Sequential(
        [
            L.Input((SLICES,) * flat + (12, 10)[: rank - flat] + (2,)),
            conv(4, size(3), padding="same", activation="relu", name="first"),
            L.BatchNormalization(),
            pool(size(2)),
            conv(5, size(3), activation="relu", name="last"),
            mean(),
            L.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def pairs():
    """For each number of axes, the network of one axis less and the network of equal slices, with the same weights."""
    made = {}
    for rank in (2, 3):
        keras.utils.set_random_seed(7)
        plain, sliced = network(rank - 1, 0), network(rank, 1)
        sliced.set_weights(
            [value.reshape(weight.shape) for value, weight in zip(plain.get_weights(), sliced.weights, strict=True)]
        )
        x = np.random.default_rng(rank).uniform(0, 1, plain.input_shape[1:]).astype(np.float32)
        inputs = x, np.stack([x] * SLICES)
        made[rank] = [(load_model(each, preprocess="none"), x) for each, x in zip((plain, sliced), inputs, strict=True)]
    return made


def map_of(classifier, x, method):
    """The map of class 1 at the size of the layer or of the input, divided by its maximum."""
    run = prepare_run(classifier, ExplainConfig(layers=["last"], classes=["1"], methods=[method]), announced=False)
    result = run.forward_backward(x[None], np.int32([[1]]))
    key = (0, method, 0)
    if METHODS[method].kind in MULTI_PASS:
        found = compute_multi_pass(run, x, [(result, False)], 0)[key]
    else:
        found = compute_cam(run, method, result, (0, 0, 0))
    assert found.map.max() > 0
    return found.map / found.map.max()


@pytest.mark.parametrize("method", COMPARED)
@pytest.mark.parametrize("rank", [2, 3])
def test_slices_of_a_map_are_the_map_of_a_slice(pairs, rank, method):
    plain, sliced = (map_of(*each, method) for each in pairs[rank])
    assert sliced.shape[0] == SLICES
    for part in sliced:
        np.testing.assert_allclose(part, plain, atol=1e-4)


@pytest.mark.parametrize("method", ["smoothgrad", "occlusion", "center", "random"])
def test_other_methods_have_the_shape_of_the_input_or_of_the_layer(pairs, method):
    classifier, x = pairs[3][1]
    found = map_of(classifier, x, method)
    assert found.shape == (x.shape[:-1] if method in ("smoothgrad", "occlusion") else (SLICES, 4, 3))
    assert np.isfinite(found).all()
