"""Figure 1 of the paper: paths and evaluations of both networks, and their initial states."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.neuralode.demos.flow import (
    TOY_SOLVER_OPTIONS,
    first_principal_component,
    ode_paths,
    residual_paths,
    toy_dynamics,
)
from gradcam_cli.neuralode.demos.initial_states import block_inputs, random_states
from gradcam_cli.neuralode.demos.plots import draw_flow
from gradcam_cli.neuralode.layers.find_block import find_block
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.layers.spiral_net import SpiralNetwork

Z0 = tf.constant([0.5], tf.float64)
W = np.ones(1)


def test_residual_path_by_hand():
    """A residual network evaluates f once per layer, at the layer's start."""
    [path] = residual_paths(lambda t, z: t + z, [Z0], (0, 3), 3, W)
    np.testing.assert_allclose(path.t, [0, 1, 2, 3])
    np.testing.assert_allclose(path.z, [0.5, 1.0, 3.0, 8.0])
    np.testing.assert_allclose(path.eval_t, [0, 1, 2])
    np.testing.assert_allclose(path.eval_z, [0.5, 1.0, 3.0])
    np.testing.assert_allclose(path.eval_slopes, [0.5, 2.0, 5.0])


def test_ode_path_is_the_closed_form():
    """The recorded slopes are those of f, from the first to the last depth."""
    [path] = ode_paths(lambda t, z: -z * tf.cos(t), [Z0], (0, 5), W, **TOY_SOLVER_OPTIONS)
    np.testing.assert_allclose(path.z, 0.5 * np.exp(-np.sin(path.t)), rtol=1e-4)
    assert (path.eval_t.min(), path.eval_t.max()) == (0, 5)
    np.testing.assert_allclose(path.eval_slopes, -path.eval_z * np.cos(path.eval_t), rtol=1e-12)


def test_states_are_projected_onto_w():
    [path] = residual_paths(
        lambda t, z: 2 * z, [tf.constant([[1.0, 10.0]], tf.float64)], (0, 1), 1, np.array([0.5, 1.0])
    )
    np.testing.assert_allclose(path.z, [10.5, 31.5])


def test_diverging_residual_path_ends_at_its_last_finite_state():
    """With f = 1e200 z^2 the state overflows after two layers; the figure clips the path."""
    paths = residual_paths(lambda t, z: 1e200 * z * z, [tf.constant([1.0], tf.float64)], (0, 5), 5, W)
    np.testing.assert_allclose(paths[0].eval_z, [1.0], rtol=1e-12)
    assert np.isfinite(paths[0].z).all()
    ode = ode_paths(lambda t, z: -z, [Z0], (0, 5), W, **TOY_SOLVER_OPTIONS)
    assert "1 of 1 paths clipped" in draw_flow(paths, ode).axes[0].get_title()


def test_first_principal_component():
    """For states on the line along (3, 4), it is (0.6, 0.8) and explains all variance."""
    field = tf.constant([[3.0, 4.0]], tf.float64)
    w, share = first_principal_component(lambda t, z: field + 0 * z, [0 * field, 2 * field], (0, 1))
    np.testing.assert_allclose((*w, share), (0.6, 0.8, 1.0), rtol=1e-6)


def make_model(**options):
    keras.utils.set_random_seed(0)
    block = ODEBlock(SpiralNetwork(), name="ode", **options)
    inner = keras.Sequential([keras.Input((2,)), block, keras.layers.Dense(3)])
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), inner]), block


def test_block_inputs_are_the_outputs_of_the_previous_layer():
    """The block is inside a nested model."""
    model, block = make_model()
    assert find_block(model) is block
    x = np.ones((2, 4), np.float32) * [[1.0], [2.0]]
    states = block_inputs(model, block, x)
    np.testing.assert_allclose(tf.concat(states, 0), model.layers[0](x), rtol=1e-6)
    assert "call" not in vars(block)
    with pytest.raises(ModelError, match="ODEBlock"):
        find_block(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))


def test_random_states_are_seeded():
    _, block = make_model()
    a, b, c = (tf.concat(random_states(block, 3, seed), 0).numpy() for seed in (1, 1, 2))
    assert a.shape == (3, 2)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_figure_has_a_dot_for_each_evaluation():
    """Both panels have the same depth axis."""
    residual, ode = (
        residual_paths(toy_dynamics, [Z0], (0, 5), 5, W),
        ode_paths(toy_dynamics, [Z0], (0, 5), W, **TOY_SOLVER_OPTIONS),
    )
    for f in (toy_dynamics, None):
        figure = draw_flow(residual, ode, f)
        left, right = figure.axes
        assert [len(axes.lines[1].get_xdata()) for axes in (left, right)] == [5, len(ode[0].eval_t)]
        assert left.get_ylim() == right.get_ylim()
        figure.canvas.draw()
