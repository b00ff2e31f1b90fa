"""A network cut at a layer: the part behind it gives what the whole pass gives, and nothing before it runs again."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import CLASSES, FEATURES, HEADS, POOLED_TOKENS, SIZE
from ode_networks import TanhConv
from small_models import small_network

from gradcam_cli.errors import ModelError
from gradcam_cli.network import split_network
from gradcam_cli.network.contrast import Contrast
from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.layer_trace import trace_layers
from gradcam_cli.network.split_network import SplitNetwork
from gradcam_cli.neuralode import ODEBlock

X = np.random.default_rng(5).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
EXTENDED = pytest.mark.extended
HEAD_OF = {**dict.fromkeys(POOLED_TOKENS, "tokens"), "attention in windows": "average"}


def network(kind):
    keras.utils.set_random_seed(4)
    image = keras.Input((SIZE, SIZE, 3))
    y = HEADS[HEAD_OF.get(kind, "flat")]()(FEATURES[kind]()(image))
    return keras.Model(image, L.Softmax()(y))


def usable(model):
    shape = model.input_shape[1:]
    return [layer for layer in trace_layers(model, shape) if layer.grid and layer.affects_score and not layer.reason]


def split(model, layers=None, **options):
    return SplitNetwork(model, model.input_shape[1:], model.output_shape[-1], layers or usable(model), **options)


def assert_equal_passes(part, whole):
    for name in ("y", "logits", "probabilities", "ranked_by", "classes"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name), rtol=1e-5, atol=1e-6)
    scale = max(np.abs(whole.dA[0]).max(), 1e-6)
    np.testing.assert_allclose(part.A[0], whole.A[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(part.dA[0], whole.dA[0], atol=1e-5 * scale)


FAST = ("three convolutions", "residual", "dense blocks", "U-Net", "one layer called twice", "transformer")


@pytest.mark.parametrize("kind", [kind if kind in FAST else pytest.param(kind, marks=EXTENDED) for kind in FEATURES])
def test_the_part_behind_a_layer_gives_what_the_whole_pass_gives(kind):
    model = network(kind)
    layers = usable(model)
    layers = [layers[i] for i in sorted({0, len(layers) // 3, len(layers) - 1})]
    cut = split(model, layers)
    kept = cut.forward(X)
    for layer in layers:
        whole = compile_gradient_function(model, [layer])
        assert_equal_passes(cut.gradients(kept, [layer.path], [[1]]), whole(X, [[1]]))


def test_a_layer_that_returns_its_input_has_only_its_own_paths():
    """The output of an identity is that of the convolution before it, which a second branch takes, too."""
    image = keras.Input((12, 12, 3))
    before = L.Conv2D(4, 3, name="before")(image)
    both = L.Concatenate()([L.Identity(name="same")(before), L.Conv2D(4, 3, padding="same")(before)])
    model = keras.Model(image, L.Dense(3)(L.Flatten()(both)))
    layers = [layer for layer in trace_layers(model, (12, 12, 3)) if layer.path in ("before", "same")]
    assert len(layers) == 2
    cut = split(model, layers)
    kept = cut.forward(X[:, :12, :12])
    for layer in layers:
        whole = compile_gradient_function(model, [layer])(X[:, :12, :12], [[1]])
        assert_equal_passes(cut.gradients(kept, [layer.path], [[1]]), whole)


@pytest.mark.parametrize("selector", [0, 2, -1, -3])
@pytest.mark.parametrize("score", ["logit", "probability", "output"])
def test_a_class_or_a_rank_of_each_score_is_that_of_the_whole_pass(selector, score):
    model = network("residual")
    layer = usable(model)[1]
    cut = split(model, score=score)
    part = cut.gradients(cut.forward(X), [layer.path], np.array([[selector]], np.int32))
    assert_equal_passes(part, compile_gradient_function(model, [layer], score)(X, [[selector]]))


@pytest.mark.parametrize("against", [[0], [-1], [-1, -2]])
def test_a_contrast_is_that_of_the_whole_pass(against):
    model = network("dense blocks")
    layer = usable(model)[0]
    contrast = Contrast(np.array([[against]], np.int32), 0.6)
    cut = split(model)
    part = cut.gradients(cut.forward(X), [layer.path], [[1]], contrast)
    whole = compile_gradient_function(model, [layer])(X, [[1]], contrast)
    assert_equal_passes(part, whole)
    np.testing.assert_array_equal(part.against, whole.against)


def test_several_layers_come_in_the_order_in_which_they_are_named():
    model = network("three convolutions")
    paths = [layer.path for layer in usable(model)][::-2]
    cut = split(model)
    result = cut.gradients(cut.forward(X), paths, [[0]])
    for path, A, dA in zip(paths, result.A, result.dA, strict=True):
        whole = compile_gradient_function(model, [path])(X, [[0]])
        np.testing.assert_allclose(A, whole.A[0], rtol=1e-5)
        np.testing.assert_allclose(dA, whole.dA[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "solver", [{"solver": "rk4", "step_size": 0.25}, pytest.param({"solver": "dopri5"}, marks=EXTENDED)], ids=str
)
def test_the_state_of_an_ode_is_a_layer_as_others(solver):
    image = keras.Input((12, 12, 3))
    z = ODEBlock(TanhConv(4), **solver, name="ode")(L.Conv2D(4, 3, 2)(image))
    model = keras.Model(image, L.Dense(3)(L.Flatten()(z)))
    x = X[:, :12, :12]
    cut = split(model)
    kept = cut.forward(x)
    for layer in usable(model):
        whole = compile_gradient_function(model, [layer])(x, [[2]])
        assert_equal_passes(cut.gradients(kept, [layer.path], [[2]]), whole)


class Counting(L.Layer):
    """Passes its input on, and counts how often it is computed."""

    count = 0

    def call(self, x):
        def counted(values):
            Counting.count += 1
            return values

        y = tf.numpy_function(counted, [x], tf.float32, stateful=False)
        return tf.ensure_shape(y, x.shape)


@pytest.mark.parametrize("with_branch", [False, True], ids=["chain", "branch around the layer"])
def test_the_part_before_the_layer_is_computed_once_an_image(with_branch):
    """Classes, contrasts and layers of one image need one forward pass; with a branch around a layer, too."""
    image = keras.Input((12, 12, 3))
    before = Counting(name="before")(L.Conv2D(4, 3, padding="same", name="first")(image))
    A = L.Conv2D(4, 3, padding="same", activation="relu", name="inner")(before)
    A = L.Add(name="sum")([A, before]) if with_branch else A
    model = keras.Model(image, L.Dense(3)(L.Flatten()(L.Conv2D(4, 3, name="last")(A))))
    layers = [layer for layer in trace_layers(model, (12, 12, 3)) if layer.path in ("inner", "last")]
    cut = split(model, layers)
    Counting.count = 0
    kept = cut.forward(X[:, :12, :12])
    assert Counting.count == 1
    for path in ("last", "inner"):
        for c in range(3):
            cut.gradients(kept, [path], [[c]])
    assert Counting.count == 1 + with_branch  # the start of the branch is no kept layer: it is computed once more
    cut.gradients(kept, ["inner"], [[-1]], Contrast(np.array([[[-1]]], np.int32), 0.5))
    assert Counting.count == 1 + with_branch


def test_the_model_is_traced_once_for_all_layers_and_classes(monkeypatch):
    model = network("three convolutions")
    traces = []
    trace = split_network.target_scores
    monkeypatch.setattr(split_network, "target_scores", lambda *arguments: traces.append(1) or trace(*arguments))
    cut = split(model)
    kept = cut.forward(X)
    for layer in usable(model):
        for c in range(CLASSES):
            cut.gradients(kept, [layer.path], [[c]])
    cut.forward(-X)
    assert len(traces) == 1


def test_layers_that_are_not_kept_are_computed_when_they_are_needed(monkeypatch):
    """With room for the last layers only, the first one is computed at its first use, and then kept."""
    model = network("three convolutions")
    first, last = usable(model)[0], usable(model)[-1]
    monkeypatch.setattr(split_network, "MAX_KEPT_BYTES", 4 * np.prod(last.shape))
    cut = split(model)
    kept = cut.forward(X)
    small = kept.nbytes
    assert small == 4 * np.prod(last.shape)
    whole = compile_gradient_function(model, [first])(X, [[1]])
    assert_equal_passes(cut.gradients(kept, [first.path], [[1]]), whole)
    assert kept.nbytes == small + 3 * 4 * np.prod(first.shape)  # A as a tensor, and the result: A and dA


def test_another_method_of_the_same_class_and_layer_needs_no_pass(monkeypatch):
    model = network("residual")
    first, last = usable(model)[0].path, usable(model)[-1].path
    cut = split(model)
    kept = cut.forward(X)
    passes = []
    behind = SplitNetwork._pass_behind
    monkeypatch.setattr(SplitNetwork, "_pass_behind", lambda *a: passes.append(1) or behind(*a))
    contrast = Contrast(np.array([[[-1]]], np.int32), 0.5)
    for arguments in ([first], [[1]]), ([first], [[1]]), ([last], [[1]]), ([last], [[2]]), ([last], [[2]], contrast):
        expected = compile_gradient_function(model, arguments[0])(X, *arguments[1:])
        np.testing.assert_allclose(cut.gradients(kept, *arguments).dA[0], expected.dA[0], rtol=1e-4, atol=1e-7)
    assert len(passes) == 4


def test_weights_that_change_are_read_by_the_next_pass():
    model = small_network(size=SIZE)
    cut = split(model)
    before = cut.forward(X).scores[0].numpy()
    model.layers[-1].bias.assign_add([1.0, 2.0, 3.0])
    np.testing.assert_allclose(cut.forward(X).scores[0].numpy() - before, [[1, 2, 3]], rtol=1e-5)


def test_a_probability_that_is_none_is_refused():
    image = keras.Input((12, 12, 3))
    model = keras.Model(image, L.Lambda(lambda y: tf.nn.relu(y) * 3)(L.Dense(3)(L.Flatten()(L.Conv2D(4, 3)(image)))))
    cut = split(model, score="probability")
    with pytest.raises(ModelError, match="expected probabilities"):
        cut.forward(X[:, :12, :12])
