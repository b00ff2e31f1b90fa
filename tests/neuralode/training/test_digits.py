"""The built-in digits."""

from importlib import resources

import numpy as np

from gradcam_cli.neuralode.training.digits import load_digits


def test_digits_are_those_of_uci():
    """1,797 different images with the pixel range and the class counts of UCI."""
    (x_train, y_train), (x_test, y_test) = load_digits()
    assert x_train.shape == (1438, 8, 8)
    assert x_test.shape == (359, 8, 8)
    assert x_train.dtype == y_train.dtype == np.uint8
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    assert (x.min(), x.max()) == (0, 16)
    np.testing.assert_array_equal(np.bincount(y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert len(np.unique(x.reshape(1797, -1), axis=0)) == 1797
    # The first digit of the repository's test file, a zero.
    np.testing.assert_array_equal(x[0, 0], [0, 0, 5, 13, 9, 1, 0, 0])
    assert y[0] == 0


def test_labels_match_the_images():
    """A nearest-neighbor classifier is correct for more than 95 % of the test images."""
    (x_train, y_train), (x_test, y_test) = load_digits()
    train, test = x_train.reshape(-1, 64).astype(float), x_test.reshape(-1, 64).astype(float)
    nearest = ((test[:, None] - train[None]) ** 2).sum(2).argmin(1)
    assert (y_train[nearest] == y_test).mean() > 0.95


def test_file_is_small():
    assert resources.files("gradcam_cli.neuralode.training").joinpath("data/digits.npz").stat().st_size < 200_000
