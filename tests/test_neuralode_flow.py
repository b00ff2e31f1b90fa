"""Figure 1 of the paper: where both networks evaluate f."""

import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode.flow import draw_flow, ode_path, residual_path, toy

Z0 = tf.constant([0.5], tf.float64)
W = np.ones(1)


def test_the_residual_network_by_hand():
    """It evaluates f once a layer, at its beginning, and adds what it answers."""
    path = residual_path(lambda t, z: t + z, Z0, 3, W)
    np.testing.assert_allclose(path.t, [0, 1, 2, 3])
    np.testing.assert_allclose(path.z, [0.5, 1.0, 3.0, 8.0])
    np.testing.assert_allclose(path.at, [0, 1, 2])
    np.testing.assert_allclose(path.where, [0.5, 1.0, 3.0])
    np.testing.assert_allclose(path.slopes, [0.5, 2.0, 5.0])


def test_the_equation():
    """Its path is the closed form; it is evaluated from the first depth to the last, where the slopes are f's."""
    path = ode_path(lambda t, z: -z * tf.cos(t), Z0, 5.0, W)
    np.testing.assert_allclose(path.z, 0.5 * np.exp(-np.sin(path.t)), rtol=1e-4)
    assert (path.at.min(), path.at.max()) == (0, 5)
    np.testing.assert_allclose(path.slopes, -path.where * np.cos(path.at), rtol=1e-12)


def test_a_state_of_many_dimensions_is_seen_along_one():
    path = residual_path(lambda t, z: 2 * z, tf.constant([[1.0, 10.0]], tf.float64), 1, np.array([0.5, 1.0]))
    np.testing.assert_allclose(path.z, [10.5, 31.5])


def test_drawn():
    """Two panels with the same depths; a dot for every evaluation."""
    residual, ode = residual_path(toy, Z0, 5, W), ode_path(toy, Z0, 5.0, W)
    for f in (toy, None):
        figure = draw_flow([residual], [ode], f)
        left, right = figure.axes
        assert [len(axes.lines[1].get_xdata()) for axes in (left, right)] == [5, len(ode.at)]
        assert left.get_ylim() == right.get_ylim()
        figure.canvas.draw()
