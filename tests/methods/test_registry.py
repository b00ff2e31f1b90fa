"""Methods through the pipeline: all in one run, counterfactual, augmentation, and an independent program."""

import json

import keras
import numpy as np
import pytest
from small_models import small_network

from gradcam_cli import load_model
from gradcam_cli.errors import UsageError
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.methods import registry
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

PIXELS = np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="-1..1")


def explained(classifier, **request):
    run = prepare_run(classifier, ExplainConfig(layers=("conv2",), classes=(1,), interpolation="nearest", **request))
    (records,) = explain_images(run, [LoadedImage("photo", PIXELS)])
    return records


def test_each_method_has_a_line_and_a_file(cli, photo, model_file):
    """Methods without layer are computed once, under the layer `input`; those for transformers have other tests."""
    methods = {name: registry.METHODS[name] for name in registry.LAYER_METHODS}
    methods = {name: method for name, method in methods.items() if method.kind != "attention"}
    words = [word for name in methods for word in ("--method", name)]
    done = cli(
        *[photo(size=(20, 16)), "--model", model_file, "--preprocess", "-1..1", "--json", "--save", "npz"],
        *["--layer", "conv1", "--layer", "conv2", *words],
    )
    assert done.status == 0, done.stderr
    entries = [json.loads(line) for line in done.lines]
    assert len({entry["outputs"]["npz"] for entry in entries}) == len(entries)
    by_layer = {}
    for entry in entries:
        by_layer.setdefault(entry["layer"], []).append(entry["method"])
        with np.load(cli.here / entry["outputs"]["npz"]) as arrays:
            assert arrays["heatmap"].shape == (16, 20)
            assert np.isfinite(arrays["cam"]).all()
            assert ("alpha" in arrays) == (entry["map"]["positive_weight_fraction"] is not None)
    layer_methods = [name for name, method in methods.items() if method.uses_layer]
    product = [name for name, method in methods.items() if method.kind == "layers"]
    assert by_layer == {
        "conv1": layer_methods,
        "conv2": layer_methods,
        "conv1 * conv2": product,
        "input": [name for name, method in methods.items() if not method.uses_layer and name not in product],
    }


def test_methods_along_depth_are_refused_for_layers(classifier, cli, photo):
    """A layer of a network has no f(t, z)."""
    assert set(registry.DEPTH_METHODS) - set(registry.LAYER_METHODS) == {"flow"}
    with pytest.raises(UsageError, match=r"method: expected one of gradcam, .* got 'flow'"):
        prepare_run(classifier, ExplainConfig(methods=("flow",)))
    assert cli(photo(), "--model", "mini", "--method", "flow").status == 2


def test_cam_methods_share_one_pass(classifier):
    """CAM methods and baselines together use one forward pass."""
    prepared = prepare_run(
        classifier, ExplainConfig(layers=("conv2",), methods=registry.names_of_kind("cam", "baseline"))
    )
    passes, original = [], prepared.gradient_function
    object.__setattr__(prepared, "gradient_function", lambda *arguments: passes.append(1) or original(*arguments))
    (records,) = explain_images(prepared, [LoadedImage("photo", PIXELS)])
    assert [record.method for record in records] == list(registry.names_of_kind("cam", "baseline"))
    assert len(passes) == 1


def test_counterfactual_negates_the_gradient(classifier):
    """The weights are negated, and the two maps do not overlap."""
    (plain,) = explained(classifier)
    (negated,) = explained(classifier, counterfactual=True)
    np.testing.assert_array_equal(negated.alpha, -plain.alpha)
    assert not (plain.cam * negated.cam).any()
    assert plain.cam.any() or negated.cam.any()
    assert negated.settings.counterfactual


def test_counterfactual_of_unsupported_methods_is_refused(cli, photo):
    with pytest.raises(UsageError, match="eigencam"):
        registry.require_negatable(["gradcam", "eigencam"], "--counterfactual")
    done = cli(photo(), "--method", "scorecam", "--counterfactual", "--model", "mini")
    assert done.status == 2
    assert "--counterfactual" in done.stderr


def test_aug_smooth_is_the_mean_of_six_maps(classifier):
    """The mean of six Grad-CAMs: upright and mirrored (and mirrored back), at 0.9, 1 and 1.1 of the brightness."""
    (smooth,) = explained(classifier, aug_smooth=True)
    network = classifier.traced.gradient_function(("conv2",), "logit")
    L, alpha = [], []
    for mirrored in (False, True):
        for light in (0.9, 1, 1.1):
            pixels = np.minimum(PIXELS.astype(np.float32) * light, 255)
            x = classifier.preprocess((pixels[:, ::-1] if mirrored else pixels)[None])
            passed = network(x, np.array([[1]], np.int32))
            weights = passed.dA[0][0, 0].mean((0, 1))
            made = np.maximum(passed.A[0][0] @ weights, 0)
            L.append(made[:, ::-1] if mirrored else made)
            alpha.append(weights)
    np.testing.assert_allclose(smooth.cam, np.mean(L, 0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(smooth.alpha, np.mean(alpha, 0), rtol=1e-4, atol=1e-7)


def oracle(model, x, c):
    """Independent float64 implementation of the papers' formulas for layer conv2 of the small network."""
    W = [[np.float64(weight.numpy()) for weight in layer.weights] for layer in model.layers]
    conv1, conv2, hidden, out = (pair for pair in W if pair)

    def convolve(x, kernel, bias):
        rows, columns = x.shape[0] - 2, x.shape[1] - 2
        patches = np.stack([x[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])  # (9, r, c, k)
        return np.maximum(np.einsum("prck,pkf->rcf", patches, kernel.reshape(9, *kernel.shape[2:])) + bias, 0)

    def front(x):
        return convolve(np.pad(convolve(x, *conv1), ((1, 1), (1, 1), (0, 0))), *conv2)

    def back(A):
        pooled = A.reshape(5, 2, 5, 2, -1).max((1, 3)).ravel()
        return (np.maximum(pooled @ hidden[0] + hidden[1], 0) @ out[0] + out[1])[c]

    A = front(x)
    y = back(A)
    ablated = []
    for k in range(A.shape[2]):
        without = A.copy()
        without[:, :, k] = 0
        ablated.append((y - back(without)) / y)
    masked = []
    for k in range(A.shape[2]):
        grid = np.clip((np.arange(12) + 0.5) * 10 / 12 - 0.5, 0, 9)
        low = np.minimum(grid.astype(int), 8)
        rows = A[low, :, k] * (1 - (grid - low))[:, None] + A[low + 1, :, k] * (grid - low)[:, None]
        H = rows[:, low] * (1 - (grid - low)) + rows[:, low + 1] * (grid - low)
        H = (H - H.min()) / np.ptp(H) if np.ptp(H) else H * 0
        masked.append(back(front(x * H[:, :, None])) - back(front(x * 0)))
    weights = np.exp(masked) / np.exp(masked).sum()
    dA = np.zeros_like(A)
    active = A.reshape(5, 2, 5, 2, -1).max((1, 3)).ravel() @ hidden[0] + hidden[1] > 0
    pooled = (hidden[0] @ (out[0][:, c] * active)).reshape(5, 5, -1)
    for i, j, k in np.ndindex(*pooled.shape):  # to the first maximum of each window
        row, column = divmod(int(A[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, k].argmax()), 2)
        dA[2 * i + row, 2 * j + column, k] = pooled[i, j, k]
    plus_plus, shares = np.zeros(A.shape[2]), np.zeros(A.shape[2])
    for i, j, k in np.ndindex(*A.shape):
        g, total = dA[i, j, k], A[:, :, k].sum()
        if g > 0:
            plus_plus[k] += g**2 / (2 * g**2 + total * g**3) * g
        if total:
            shares[k] += A[i, j, k] / total * g
    first = np.linalg.eigh(A.reshape(-1, 5).T @ A.reshape(-1, 5))[1][
        :, -1
    ]  # eigenvector of the largest eigenvalue of A^T A
    return {
        "gradcam": np.maximum(A @ dA.mean((0, 1)), 0),
        "gradcam++": np.maximum(A @ plus_plus, 0),
        "xgradcam": np.maximum(A @ shares, 0),
        "eigencam": np.maximum(A @ first * np.sign((A @ first).sum()), 0),
        "ablationcam": np.maximum(A @ np.array(ablated), 0),
        "scorecam": A @ weights,
    }


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "xgradcam", "eigencam", "scorecam", "ablationcam"])
def test_map_equals_that_of_an_independent_program(classifier, method):
    """The map equals that of `oracle` to 1e-3 of its norm."""
    model = classifier.model
    keras.utils.set_random_seed(7)
    x = np.float64(classifier.preprocess(PIXELS[None])[0])
    (record,) = explained(classifier, methods=(method,))
    expected = oracle(model, x, 1)[method]
    assert np.linalg.norm(record.cam - expected) < 1e-3 * np.linalg.norm(expected)
