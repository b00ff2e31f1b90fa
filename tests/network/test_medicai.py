"""Grad-CAM of the networks of tools/medicai_networks.py is that of medicai 0.0.4 (tools/medicai_values.py)."""

import json

import numpy as np
import pytest
from doc_blocks import ROOT
from medicai_networks import NETWORKS, inputs_of

from gradcam_cli import load_model
from gradcam_cli.methods.cam import Cam, gradcam
from gradcam_cli.network.target import Target

MEDICAI = json.loads((ROOT / "tests/medicai_values.json").read_text())


@pytest.fixture(scope="module")
def models():
    return {name: build() for name, build in NETWORKS.items()}


def maps_of(models, key, method):
    """The maps of gradcam and of medicai for all inputs, divided by the maximum of the latter."""
    name, layer, c, mask = key.split()
    shape, values = MEDICAI[key]
    expected = np.reshape(np.float32(values), shape)
    classifier = load_model(models[name])
    if name == "segmentation":
        classifier = classifier.for_target(Target("segment", region=mask), mask)
    x = classifier.preprocess(inputs_of(models[name]))
    network = classifier.traced.gradient_function([classifier.find_layer(layer)], "logit")
    result = network(x, np.full((len(x), 1), int(c), np.int32))
    found = np.stack([method(A, dA).map for A, dA in zip(result.A[0], result.dA[0][0], strict=True)])
    return found / expected.max(), expected / expected.max()


@pytest.mark.parametrize("key", MEDICAI)
def test_map_is_that_of_medicai(models, key):
    found, expected = maps_of(models, key, gradcam)
    assert expected.max() == 1
    np.testing.assert_allclose(found, expected, atol=1e-4)


WRONG = {
    "gradients of the first cells only": lambda A, dA: gradcam(A, dA[:1]),
    "gradients not averaged": lambda A, dA: Cam(None, (A * dA).sum(-1)),
    "absolute gradients": lambda A, dA: gradcam(A, np.abs(dA)),
    "without channels": lambda A, dA: Cam(None, A.sum(-1) * dA.mean()),
    "reversed": lambda A, dA: gradcam(A[::-1], dA),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_formula_differs(models, name):
    """Each wrong formula fails for a signal and for a volume."""
    for key in ("signal first 0 object", "volume first 1 object"):
        found, expected = maps_of(models, key, WRONG[name])
        assert np.abs(found - expected).max() > 0.01
