"""The built-in data set: 1,797 handwritten digits of 8x8 pixels."""

from __future__ import annotations

from importlib import resources

import numpy as np

Split = tuple[np.ndarray, np.ndarray]


def load_digits() -> tuple[Split, Split]:
    """Return the digits as `(x_train, y_train), (x_test, y_test)`, like `keras.datasets`.

    Every fifth digit is a test image: 1,438 training images and 359 test images.

    Returns:
        x: (n, 8, 8) uint8, 0 (white) to 16 (black); y: (n,) uint8, 0 to 9.

    Source:
        E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, test part, UCI Machine
        Learning Repository, CC BY 4.0, as in scikit-learn 1.9; stored as bytes, otherwise unchanged.
    """
    with (
        resources.files("gradcam_cli.neuralode.training").joinpath("data/digits.npz").open("rb") as file,
        np.load(file) as arrays,
    ):
        x, y = arrays["x"], arrays["y"]
    test = np.arange(len(x)) % 5 == 4
    return (x[~test], y[~test]), (x[test], y[test])
