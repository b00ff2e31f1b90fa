"""Maps along depth, compared with closed forms, the main program and the discrete gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ode_networks import tanh_conv
from scipy.linalg import expm

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.methods import cam
from gradcam_cli.models.classifier import load_model
from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.neuralode.explain.depth import adjoint_norms, compile_depth_gradients, parse_depths, prepare_depth_run
from gradcam_cli.neuralode.explain.head import compile_head
from gradcam_cli.neuralode.explain.run import on_one_scale
from gradcam_cli.neuralode.layers.find_block import find_block
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.layers.odenet import build_odenet
from gradcam_cli.neuralode.solver.odeint import odeint
from gradcam_cli.neuralode.training.config import TrainingConfig
from gradcam_cli.neuralode.training.datasets import load_data
from gradcam_cli.neuralode.training.solver_check import solver_options_scope
from gradcam_cli.neuralode.training.trainer import Trainer
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.stages import explain_images

M = np.array([[-0.3, 1.1, 0.2], [-0.9, 0.1, 0.4], [0.3, -0.6, -0.5]], np.float32)


class Linear(keras.Layer):
    """f(t, z) = z M, for each cell."""

    def call(self, t, z):
        return z @ tf.constant(M)


def linear_classifier(t=(0.0, 2.0)):
    """z(t) = z0 exp(M t) in each cell; the logits are the spatial mean times W."""
    keras.utils.set_random_seed(1)
    image = keras.Input((4, 5, 3))
    z = ODEBlock(Linear(), t_span=t, name="ode", rtol=1e-3, atol=1e-3)(image)
    z = keras.layers.GlobalAveragePooling2D()(z)
    return keras.Model(image, keras.layers.Dense(2, name="scores")(z))


def gradcam_map(result, depth, image):
    return cam.gradcam(result.A[depth][image], result.dA[depth][0, image]).map


def assert_close(actual, expected, rtol):
    """Compare the norm of the difference with that of the expected array."""
    assert np.linalg.norm(actual - expected) <= rtol * np.linalg.norm(expected)


def images(n=3):
    return np.random.default_rng(0).normal(size=(n, 4, 5, 3)).astype(np.float32)


def test_linear_network_matches_closed_form():
    """z(t) = z0 e^{Mt} and a(t) = W_c e^{M^T (t1 - t)} / Z; alpha, the map and ||a|| follow."""
    model, x, depths = linear_classifier(), images(), [0.0, 0.5, 1.3, 2.0]
    result = compile_depth_gradients(model, find_block(model), depths, tol=1e-6)(x, np.array([[0, 1]] * 3))
    W = model.get_layer("scores").get_weights()[0]  # (3, 2)
    for i, t in enumerate(depths):
        z = x @ expm(M * t)
        np.testing.assert_allclose(result.A[i], z, atol=2e-5)
        for c in range(2):
            alpha = expm(M * (2 - t)) @ W[:, c] / 20
            np.testing.assert_allclose(result.dA[i][c], np.broadcast_to(alpha, z.shape), atol=1e-6)
            np.testing.assert_allclose(
                cam.gradcam(result.A[i][1], result.dA[i][c, 1]).pre_relu, z[1] @ alpha, atol=1e-5
            )
            np.testing.assert_allclose(adjoint_norms(result)[c, :, i], np.sqrt(20) * np.linalg.norm(alpha), rtol=1e-4)


def test_flow_of_a_linear_network_matches_closed_form():
    """The autonomous f = z M acts in each cell: a f = z(t) M e^{M (2 - t)} W_c / Z is the same at all depths."""
    model, x, depths = linear_classifier(), images(), [0.0, 0.7, 2.0]
    result = compile_depth_gradients(model, find_block(model), depths, tol=1e-6)(x, np.array([[1]] * 3))
    W = model.get_layer("scores").get_weights()[0]
    expected = np.abs(x @ expm(2 * M) @ M @ W[:, 1] / 20)  # (n, u, v)
    for i, t in enumerate(depths):
        np.testing.assert_allclose(result.f[i], x @ expm(M * t) @ M, atol=2e-5)
        for n in range(3):
            np.testing.assert_allclose(
                cam.flow(result.A[i][n], result.dA[i][0, n], result.f[i][n]).map, expected[n], atol=1e-5
            )


def test_flow_of_an_autonomous_layer():
    """A Dense layer is f(z), without t."""
    image = keras.Input((4, 5, 3))
    z = ODEBlock(keras.layers.Dense(3, use_bias=False), name="ode")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(z)))
    block, x = find_block(model), images()
    result = compile_depth_gradients(model, block, [0.0, 1.0], tol=1e-6)(x, np.array([[0]] * 3))
    for z, f in zip(result.A, result.f, strict=True):
        np.testing.assert_allclose(f, z @ block.f.get_weights()[0], atol=1e-5)


def test_f_is_that_of_each_depth_and_image():
    """A single call of f serves all depths and images; each has its own t and z(t)."""
    f = tanh_conv(3, "float32")
    image = keras.Input((4, 5, 3))
    z = ODEBlock(f, name="ode")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(z)))
    depths = [0.0, 0.3, 1.0]
    result = compile_depth_gradients(model, find_block(model), depths)(images(), np.array([[0]] * 3))
    for t, z, found in zip(depths, result.A, result.f, strict=True):
        for n in range(3):
            np.testing.assert_allclose(found[n], f(tf.constant(t), tf.constant(z[n : n + 1]))[0], atol=1e-6)
    assert not np.allclose(f(tf.constant(0.3), tf.constant(result.A[0])), result.f[0], atol=1e-2)


@pytest.mark.parametrize("cell", [(0, 0), (2, 3)])
def test_flow_is_the_effect_of_skipping_the_layer(cell):
    """A convolutional f that depends on t: if a cell stays at z(t) until t + h, the score falls by a f h."""
    f, h, depth = tanh_conv(3, "float32"), 1e-3, 0.4
    image = keras.Input((4, 5, 3))
    z = ODEBlock(f, name="ode")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(keras.ops.tanh(z))))
    block, x = find_block(model), images(1)
    result = compile_depth_gradients(model, block, [depth], tol=1e-7)(x, np.array([[0]]))
    head = keras.Model(block.output, model.outputs)
    before, after = odeint(f, tf.constant(result.A[0]), (depth, depth + h), rtol=1e-7, atol=1e-7).z
    skipped = after.numpy()
    skipped[0][cell] = before[0][cell]
    scores = [
        head(odeint(f, tf.constant(state), (depth + h, 1.0), rtol=1e-7, atol=1e-7).z[-1])[0, 0]
        for state in (after.numpy(), skipped)
    ]
    expected = abs(float(scores[0] - scores[1])) / h
    assert cam.flow(result.A[0][0], result.dA[0][0, 0], result.f[0][0]).map[cell] == pytest.approx(expected, rel=0.02)


def test_head_is_applied_to_the_state():
    """The probability at t is the softmax of the scores of the mean of z(t)."""
    model, x = linear_classifier(), images()
    block = find_block(model)
    W, b = model.get_layer("scores").get_weights()
    for t in (0.0, 2.0):
        z = x @ expm(M * t)
        logits = z.mean(axis=(1, 2)) @ W + b
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(compile_head(model, block)(z), expected, rtol=1e-5)


def test_decreasing_time_matches_closed_form():
    model, x = linear_classifier((1.0, -1.0)), images()
    block = find_block(model)
    assert parse_depths(block, num_times=3) == [1, 0, -1]
    result = compile_depth_gradients(model, block, [0.0], tol=1e-6)(x, np.zeros((3, 1), int))
    np.testing.assert_allclose(result.A[0], x @ expm(-M), atol=2e-5)
    W = model.get_layer("scores").get_weights()[0]
    np.testing.assert_allclose(result.dA[0][0, 0, 0, 0], expm(-M) @ W[:, 0] / 20, atol=1e-6)


def test_map_at_t1_is_that_of_the_main_program():
    """At t1 the map differs from that of the layer `ode` by at most 1e-5."""
    model, x = linear_classifier(), images()
    find_block(model).options = {"rtol": 1e-6, "atol": 1e-6}
    selectors = np.array([[-1]] * 3)
    expected = compile_gradient_function(model, ["ode"])(x, selectors)
    result = compile_depth_gradients(model, find_block(model), [2.0], tol=1e-6)(x, selectors)
    np.testing.assert_array_equal(result.classes, expected.classes)
    np.testing.assert_allclose(result.logits, expected.logits, atol=1e-5)
    for i in range(3):
        assert_close(gradcam_map(result, 0, i), gradcam_map(expected, 0, i), 1e-5)


@pytest.fixture(scope="session")
def trained():
    """An ODE-Net trained on the digits for one epoch, and six test images."""
    data = load_data("digits")
    keras.utils.set_random_seed(0)
    model = build_odenet((8, 8, 1), data.labels)
    list(Trainer(model, data, TrainingConfig(epochs=1, batch_size=16, learning_rate=0.05)).epochs())
    return model, data.x_test[:6].astype(np.float32)


@pytest.mark.extended
@pytest.mark.slow
def test_map_at_t1_of_a_trained_network(trained):
    """At t1 the map of a trained, convolutional f differs from that of the main program by at most 1e-5."""
    model, x = trained
    block = find_block(model)
    selectors = np.array([[-1]] * 6)
    with solver_options_scope(block, rtol=1e-5, atol=1e-5):
        expected = compile_gradient_function(model, ["ode"])(x, selectors)
    result = compile_depth_gradients(model, block, [1.0])(x, selectors)
    for i in range(6):
        assert_close(gradcam_map(result, 0, i), gradcam_map(expected, 0, i), 1e-5)


@pytest.mark.slow
def test_maps_agree_with_the_discrete_gradient(trained):
    """Inside the block, the maps of the adjoint and of the discrete gradient differ by less than 1 %."""
    model, x = trained
    block, depths = find_block(model), [0.0, 0.25, 0.6]
    result = compile_depth_gradients(model, block, depths)(x, np.array([[-1]] * 6))
    downstream = keras.Model(block.output, model.outputs)
    for i, t in enumerate(depths):
        z = tf.constant(result.A[i])
        with tf.GradientTape() as tape:
            tape.watch(z)
            end = odeint(block.f, z, (t, 1.0), rtol=1e-5, atol=1e-5, per_sample_steps=True, gradient="discrete").z[-1]
            y_c = tf.gather(downstream(end), result.classes[:, 0], batch_dims=1)
        dA = tape.gradient(y_c, z).numpy()
        for n in range(6):
            expected = cam.gradcam(result.A[i][n], dA[n]).pre_relu
            assert_close(cam.gradcam(result.A[i][n], result.dA[i][0, n]).pre_relu, expected, 1e-2)


@pytest.mark.slow
def test_maps_do_not_depend_on_the_batch(trained):
    model, x = trained
    gradient_function = compile_depth_gradients(model, find_block(model), [0.5])
    batch = gradient_function(x, np.array([[3]] * 6))
    for i in range(2):
        single = gradient_function(x[i : i + 1], np.array([[3]]))
        assert_close(batch.dA[0][0, i], single.dA[0][0, 0], 1e-4)
        np.testing.assert_allclose(single.A[0][0], batch.A[0][i], atol=1e-4)


def test_run_has_depths_as_layers():
    classifier = load_model(linear_classifier())
    block = find_block(classifier.model)
    run = prepare_depth_run(classifier, ExplainConfig(batch_size=2), parse_depths(block, [1.5, 0]), block)
    assert run.layers == {"ode@0": "0", "ode@1.5": "1.5"}
    assert len(run.maps) == 2


def test_maps_of_a_report_have_one_scale():
    """The heatmap at the depth with the largest map has the maximum 1, the others their fraction of it."""
    classifier = load_model(linear_classifier())
    block = find_block(classifier.model)
    run = prepare_depth_run(classifier, ExplainConfig(batch_size=1, methods=("eigencam",)), [0.0, 1.0, 2.0], block)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    (explanations,) = explain_images(run, [LoadedImage("a.png", pixels)])
    raw = np.array([explanation.cam.max() for explanation in explanations])
    assert raw.min() < 0.9 * raw.max()
    scaled = on_one_scale(explanations)
    np.testing.assert_allclose([each.heatmap.max() for each in scaled], raw / raw.max(), rtol=1e-5)
    np.testing.assert_allclose(scaled[0].heatmap, explanations[0].cam / raw.max(), rtol=1e-5)


def test_methods_without_maps_along_depth_are_refused():
    classifier = load_model(linear_classifier())
    block = find_block(classifier.model)
    with pytest.raises(UsageError, match=r"method: expected one of gradcam, .* got 'occlusion'"):
        prepare_depth_run(classifier, ExplainConfig(methods=("occlusion",)), [0.0], block)


def test_depth_outside_the_interval_is_refused():
    block = find_block(linear_classifier())
    assert parse_depths(block) == [0, 0.5, 1, 1.5, 2]
    assert parse_depths(block, [2, 0.5, 0.5]) == [0.5, 2]
    with pytest.raises(UsageError, match=r"expected depths from 0 to 2, got 2.5"):
        parse_depths(block, [1, 2.5])


def test_missing_and_ambiguous_blocks_are_refused():
    with pytest.raises(ModelError, match="stem_only has no ODEBlock"):
        find_block(build_odenet((8, 8, 1), ("a", "b"), "stem-only"))
    image = keras.Input((4, 5, 3))
    two = keras.Model(image, ODEBlock(Linear(), name="second")(ODEBlock(Linear(), name="first")(image)))
    with pytest.raises(UsageError, match="expected one of first, second, got none"):
        find_block(two)
    assert find_block(two, "second").name == "second"
    with pytest.raises(UsageError, match="got third"):
        find_block(two, "third")
    inner = linear_classifier()
    with pytest.raises(ModelError, match="inside a nested model"):
        compile_depth_gradients(keras.Sequential([keras.Input((4, 5, 3)), inner]), find_block(inner), [1.0])


def test_thirty_depths_cost_the_evaluations_of_five():
    """Both solves interpolate, and f of all maps is a single call: a further depth costs no call of f."""
    evaluations = []

    class Counted(keras.Layer):
        def call(self, t, z):
            tf.numpy_function(lambda _: evaluations.append(1), [t], [])
            return tf.sin(3 * z[..., ::-1])

    image = keras.Input((4, 5, 3))
    z = ODEBlock(Counted(), name="ode")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(z)))
    counts = []
    for num_times in (5, 30):
        depths = parse_depths(find_block(model), num_times=num_times)
        gradient_function = compile_depth_gradients(model, find_block(model), depths)
        evaluations.clear()
        result = gradient_function(images(), np.zeros((3, 1), int))
        counts.append(len(evaluations))
    assert len(result.A) == len(result.dA) == 30
    assert counts[0] > 50
    assert counts[1] == counts[0]
