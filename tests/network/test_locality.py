"""Locality: transformers whose tokens are places, and arrangements that are not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models.classifier import load_model
from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.layer_trace import trace_layers
from gradcam_cli.network.locality import Locality, measure_locality

SIZE, PATCH, DIM = 32, 4, 16
TOKENS = (SIZE // PATCH) ** 2


class ClassToken(L.Layer):
    """Adds a class token before all others, and position embeddings."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, DIM), name="token")
        self.positions = self.add_weight(shape=(1, TOKENS + 1, DIM), name="positions")

    def call(self, x):
        return keras.ops.concatenate([keras.ops.repeat(self.token, keras.ops.shape(x)[0], 0), x], 1) + self.positions


class FirstToken(L.Layer):
    def call(self, x):
        return x[:, 0]


def transformer(*, class_token, depth=2):
    """A vision transformer with random weights."""
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = L.Reshape((TOKENS, DIM))(L.Conv2D(DIM, PATCH, PATCH, name="patches")(x))
    x = ClassToken()(x) if class_token else x
    for i in range(depth):
        y = L.LayerNormalization(name=f"block{i}_norm1")(x)
        x = L.Add()([x, L.MultiHeadAttention(2, DIM // 2, name=f"block{i}_attention")(y, y)])
        y = L.LayerNormalization(name=f"block{i}_norm2")(x)
        x = L.Add(name=f"block{i}")([x, L.Dense(DIM)(L.Dense(2 * DIM, activation="gelu")(y))])
    x = L.LayerNormalization(name="norm")(x)
    x = FirstToken()(x) if class_token else L.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, L.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize(("class_token", "expected"), [(False, "norm"), (True, "block1_norm1")])
def test_auto_chooses_tokens_of_a_transformer(class_token, expected):
    """With a class token, the last tokens that affect the score are those before the last attention."""
    classifier = load_model(transformer(class_token=class_token), preprocess="0..1")
    assert classifier.find_layer("auto").path == expected


def test_gradients_of_tokens_against_an_independent_tape():
    """A and dA of tokens are those of a tape over the second half of the network, without the class token."""
    model = transformer(class_token=True)
    classifier = load_model(model, preprocess="0..1")
    layer = classifier.find_layer("block1_norm1")
    x = np.random.default_rng(0).uniform(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    result = compile_gradient_function(model, [layer])(x, np.full((2, 1), 2, np.int32))
    norm, head = model.get_layer("block1_norm1"), model.layers[-1]
    before = keras.Model(model.inputs, norm.input)(x)
    with tf.GradientTape() as tape:
        tokens = norm(before)
        tape.watch(tokens)
        z = before + model.get_layer("block1_attention")(tokens, tokens)
        hidden = model.get_layer("block1").input[1]._keras_history[0]
        first = hidden._inbound_nodes[0].input_tensors[0]._keras_history[0]
        z = z + hidden(first(model.get_layer("block1_norm2")(z)))
        y = tf.linalg.matmul(model.get_layer("norm")(z)[:, 0], head.kernel) + head.bias
        y_c = y[:, 2]
    dA = tape.gradient(y_c, tokens)[:, 1:]
    u = SIZE // PATCH
    np.testing.assert_allclose(result.A[0], tf.reshape(tokens[:, 1:], (2, u, u, DIM)), rtol=1e-4, atol=1e-6)
    expected = tf.reshape(dA, (2, u, u, DIM)).numpy()
    assert np.linalg.norm(result.dA[0][0] - expected) < 1e-5 * np.linalg.norm(expected)
    np.testing.assert_allclose(result.logits, y, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["query", "key", "value"])
def test_heads_of_an_attention_are_refused_by_name(name):
    classifier = load_model(transformer(class_token=False), preprocess="0..1")
    with pytest.raises(UsageError, match="expected rows and columns of the image"):
        classifier.find_layer(f"block0_attention/{name}")


def test_tokens_without_effect_on_the_score_are_refused_by_name():
    classifier = load_model(transformer(class_token=True), preprocess="0..1")
    with pytest.raises(UsageError, match="only on its class token"):
        classifier.find_layer("norm")


class Shuffled(L.Layer):
    """Permutes tokens."""

    def call(self, x):
        return tf.gather(x, np.random.default_rng(0).permutation(x.shape[1]), axis=1)


def with_tokens(*layers):
    """A network whose 8x8 patches pass through layers as tokens, and become 8x8 cells again."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = L.Reshape((TOKENS, DIM))(L.Conv2D(DIM, PATCH, PATCH, name="patches")(x))
    for layer in layers:
        x = layer(x)
    x = L.Reshape((8, 8, DIM), name="cells")(x)
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(4, 1, name="last")(x))))


def test_shuffled_cells_are_refused():
    """`auto` goes back to the convolution before; by name, the layer is refused with the reason."""
    classifier = load_model(with_tokens(Shuffled()), preprocess="0..1")
    assert classifier.find_layer("auto").path == "patches"
    with pytest.raises(UsageError, match="not places of the input"):
        classifier.find_layer("last")


def test_cells_that_mix_all_places_evenly_are_refused():
    mixed = L.Permute((2, 1)), L.Dense(TOKENS, kernel_initializer="ones"), L.Permute((2, 1))
    with pytest.raises(UsageError):
        load_model(with_tokens(*mixed), preprocess="0..1").find_layer("last")


class Rolled(L.Layer):
    """Moves all rows by a constant number, as shifted windows do."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def call(self, x):
        return tf.roll(x, self.rows, 1)


@pytest.mark.parametrize("rows", [0, 4])
def test_rolled_cells_are_refused_unless_they_are_rolled_back(rows):
    """The geometry is measured: cells half an image away from their places are refused."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = Rolled(rows - 3)(Rolled(3)(L.Conv2D(DIM, PATCH, PATCH)(x)))
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(4, 1, name="last")(x))))
    classifier = load_model(model, preprocess="0..1")
    assert (classifier.check_layer(classifier.layer_outputs[-1]) is None) == (rows == 0)


def test_measured_centers_are_those_of_the_cells():
    """For patches without overlap, the gradient of a cell fills its patch: centers and density by hand."""
    model = with_tokens(L.LayerNormalization())
    (layer,) = [output for output in trace_layers(model, (SIZE, SIZE, 3)) if output.path == "cells"]
    found = measure_locality(model, layer, np.random.default_rng(0).uniform(size=(1, SIZE, SIZE, 3)).astype("f"))
    first = np.array([1, 4, 6]) * PATCH + (PATCH - 1) / 2
    np.testing.assert_allclose(found.centers[..., 0], np.broadcast_to(first[:, None], (3, 3)), atol=1)
    np.testing.assert_allclose(found.centers[..., 1], np.broadcast_to(first, (3, 3)), atol=1)
    np.testing.assert_allclose(found.density, SIZE**2 / (2 * PATCH) ** 2, rtol=1e-3)
    assert found.is_local


def test_centers_in_the_wrong_order_are_not_local():
    y, x = np.mgrid[5:25:3j, 5:25:3j]
    right = Locality(np.stack([y, x], -1), np.full((3, 3), 4.0))
    assert right.is_local
    assert not right._replace(centers=right.centers[::-1]).is_local
    assert not right._replace(centers=right.centers[:, ::-1]).is_local
    assert not right._replace(density=np.ones((3, 3))).is_local


def test_no_layer_of_a_perceptron_is_chosen():
    """`Rescaling` of a network without convolutions is no feature map."""
    model = keras.Sequential([keras.Input((8, 8, 3)), L.Rescaling(1 / 255), L.Flatten(), L.Dense(3)])
    with pytest.raises(ModelError, match="no layer whose output is a grid"):
        load_model(model).find_layer("auto")
