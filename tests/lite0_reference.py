"""EfficientNet-Lite0 in NumPy: batch normalization is not folded, and padding follows TensorFlow's rule for `SAME`.

The weights have PyTorch's names and axes: kernels (out, in, row, column), depthwise kernels (channel, 1, row, column).
"""

import numpy as np

EPSILON = 1e-3
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Strides of the sixteen depthwise convolutions."""


def pad_same(x, kernel, stride):
    """Pad (h, w, c) so that the output has ceil(h / stride) rows; of an odd number, the last row is padded more."""
    totals = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[:2]]
    return np.pad(x, [*((total // 2, total - total // 2) for total in totals), (0, 0)])


def convolve(x, kernel, stride):
    """Convolve (h, w, in) with (out, in, row, column)."""
    side = kernel.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(pad_same(x, side, stride), (side, side), (0, 1))
    return np.tensordot(windows[::stride, ::stride], kernel, ((2, 3, 4), (1, 2, 3)))


def convolve_depthwise(x, kernel, stride):
    """Convolve each channel of (h, w, c) with its own kernel of (c, 1, row, column)."""
    side = kernel.shape[2]
    padded, y = pad_same(x, side, stride), 0
    rows, columns = (-(-length // stride) for length in x.shape[:2])
    for i in range(side):
        for j in range(side):
            y = (
                y
                + padded[i : i + rows * stride : stride, j : j + columns * stride : stride][:rows, :columns]
                * (kernel[:, 0, i, j])
            )
    return y


def normalize(x, state, name, epsilon):
    gamma, beta, mean, variance = (
        state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def relu6(x):
    return np.clip(x, 0, 6)


def logits(state, pixels, epsilon=EPSILON):
    """Return the logits (1000,) of an image (224, 224, 3) of 0 to 255."""
    x = (np.float64(pixels) - 127) / 128
    x = relu6(normalize(convolve(x, state["_conv_stem.weight"], 2), state, "_bn0", epsilon))
    for number, stride in enumerate(STRIDES):
        x = block(x, state, f"_blocks.{number}.", stride, epsilon)
    x = relu6(normalize(convolve(x, state["_conv_head.weight"], 1), state, "_bn1", epsilon))
    return state["_fc.weight"] @ x.mean((0, 1)) + state["_fc.bias"]


def block(x, state, prefix, stride, epsilon=EPSILON):
    """An inverted residual block; without an expansion if the state has none."""
    y = x
    if f"{prefix}_expand_conv.weight" in state:
        y = relu6(normalize(convolve(y, state[f"{prefix}_expand_conv.weight"], 1), state, f"{prefix}_bn0", epsilon))
    y = convolve_depthwise(y, state[f"{prefix}_depthwise_conv.weight"], stride)
    y = relu6(normalize(y, state, f"{prefix}_bn1", epsilon))
    y = normalize(convolve(y, state[f"{prefix}_project_conv.weight"], 1), state, f"{prefix}_bn2", epsilon)
    return x + y if x.shape == y.shape else y
