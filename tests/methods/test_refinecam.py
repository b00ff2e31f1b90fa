"""RefineCAM by hand, with layers of several sizes and places, and the runs that are refused."""

import numpy as np
import pytest
from small_models import small_network

from gradcam_cli import explain, load_model
from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.methods.maps import normalize
from gradcam_cli.methods.refinecam import LayerArrays, refinecam
from gradcam_cli.methods.registry import layers_named
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images
from gradcam_cli.reporting.rerun import rerun_command

PIXELS = np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8)
WHOLE = Box(0, 0, 4, 4)


def layer(cells, weight=1.0, box=WHOLE):
    """A layer of one channel whose Grad-CAM is the weight times the cells."""
    A = np.array(cells, np.float32)[:, :, None]
    return LayerArrays(A, np.full_like(A, weight), box)


# Grad-CAM of the second layer is 2 [[0, 1], [3, 6]], divided by its maximum [[0, 1/6], [1/2, 1]]; on 4x4 the values of
# each axis are at 0, 1/4, 3/4 and 1 between the cells.
FINE = [[1, 0, 0, 4], [0, 2, 2, 0], [0, 2, 2, 0], [4, 0, 0, 4]]
AT = np.array([0, 0.25, 0.75, 1])
COARSE = (1 - AT)[:, None] * AT / 6 + AT[:, None] * ((1 - AT) / 2 + AT)
BY_HAND = np.array(FINE) / 4 * COARSE


def test_refinecam_by_hand():
    """The product of the maps, each divided by its maximum, in any order; 1/4 * 4/4, ..."""
    layers = [layer(FINE, 0.5), layer([[0, 1], [3, 6]], 2)]
    for given in (layers, layers[::-1]):
        result = refinecam(given, (4, 4))
        assert result.alpha is None
        np.testing.assert_allclose(result.map, BY_HAND, rtol=1e-6, atol=1e-7)
    assert BY_HAND[3, 3] == 1
    assert BY_HAND[0, 3] == pytest.approx(1 / 6)


WRONG = {
    "sum": lambda fine, coarse: (fine / 4 + coarse) / 2,
    "maximum": lambda fine, coarse: np.maximum(fine / 4, coarse),
    "root": lambda fine, coarse: np.sqrt(fine / 4 * coarse),
    "without maximum": lambda fine, coarse: fine * coarse,
    "nearest": lambda fine, coarse: fine / 4 * np.kron([[0, 1 / 6], [1 / 2, 1]], np.ones((2, 2))),
    "corners aligned": lambda fine, coarse: fine / 4 * between(np.array([0, 1 / 3, 2 / 3, 1])),
}


def between(at):
    return (1 - at)[:, None] * at / 6 + at[:, None] * ((1 - at) / 2 + at)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_formulas_fail(wrong):
    assert not np.allclose(WRONG[wrong](np.array(FINE), COARSE), BY_HAND, rtol=1e-3)


def test_the_map_is_zero_where_one_layer_is():
    """A layer without evidence for the class, and cells that cover a part of the input only."""
    assert not refinecam([layer(FINE), layer([[1, 1], [1, 1]], -1)], (4, 4)).map.any()
    half = refinecam([layer(np.ones((4, 4))), layer([[1.0]], 1, Box(0, 0, 2, 4))], (4, 4)).map
    np.testing.assert_array_equal(half, [[1, 1, 0, 0]] * 4)


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="-1..1")


def explained(classifier, c, **options):
    config = ExplainConfig(layers=("conv2", "conv1"), classes=(c,), methods=("gradcam", "refinecam"), **options)
    (results,) = explain_images(prepare_run(classifier, config), [LoadedImage("photo", PIXELS)])
    return results


def test_a_zero_product_has_a_reason(classifier):
    first, product, _ = explained(classifier, c=1)
    assert first.zero_reason is None
    assert not product.cam.any()
    assert "the map of at least one of the layers is zero" in product.zero_reason


@pytest.mark.parametrize("options", [{"c": 2}, {"c": 1, "counterfactual": True}])
def test_the_run_multiplies_its_own_grad_cams(classifier, options):
    """Also of negated gradients; the layers of both are recorded."""
    first, product, second = explained(classifier, **options)
    assert (first.layer, product.layer, second.layer) == ("conv2", "conv2 * conv1", "conv1")
    assert (first.method, product.method, second.method) == ("gradcam", "refinecam", "gradcam")
    expected = normalize(first.heatmap * second.heatmap)
    assert expected.any()
    np.testing.assert_allclose(product.heatmap, expected, rtol=1e-4, atol=1e-6)


def test_one_layer_is_refused(classifier, cli, photo):
    """The hint names layers of several sizes, which work."""
    with pytest.raises(UsageError, match="method refinecam requires two or more layers, got conv2"):
        explain(PIXELS, classifier, layer="conv2", method="refinecam")
    done = cli(photo(), "--model", "mini", "--method", "refinecam")
    assert done.status == 2
    hint = done.stderr.partition("repeat --layer: ")[2].split("\n")[0]
    assert hint.count("--layer") == 3
    assert cli(photo(), "--model", "mini", "--method", "refinecam", *hint.split()).status == 0


def test_the_recorded_layers_recompute_the_map(cli, photo, model_file):
    """`compare` with a model and the options in a report name each layer."""
    image = photo(size=(20, 16))
    common = ["--model", model_file, "--preprocess", "-1..1", "--method", "refinecam", "--class", "2"]
    assert cli(image, *common, "--layer", "conv1", "--layer", "conv2", "--save", "npz", "-o", "old").status == 0
    done = cli("compare", "old", model_file, "--preprocess", "-1..1", "--max-drift", "rank=0.0001")
    assert done.status == 0, done.stderr
    assert layers_named("conv1 * conv2") == ["conv1", "conv2"]
    assert layers_named("input") == []
    record = {"input": "photo.png", "layer": "conv1 * conv2", "method": "refinecam", "rerun_args": ["--model", "m"]}
    words = rerun_command(record, {})
    assert words[-6:] == ["--layer", "conv1", "--layer", "conv2", "--method", "refinecam"]
