"""The operation of Keras 3 for each function of TensorFlow that a file of Keras 2 may contain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

NUMPY, _NN = "keras.src.ops.numpy", "keras.src.ops.nn"
_CORE, _IMAGE, _MATH = "keras.src.ops.core", "keras.src.ops.image", "keras.src.ops.math"
_NONE: Mapping[str, Any] = MappingProxyType({})


def _same(value: Any) -> Any:
    return value


class Setting(NamedTuple):
    """An argument of an operation that is not a tensor.

    Attributes:
        name: its name in Keras 3.
        default: the value if the file has none.
        convert: returns Keras 3's value; it raises TypeError, ValueError or KeyError for one without counterpart.
    """

    name: str
    default: Any = None
    convert: Callable[[Any], Any] = _same


class Operation(NamedTuple):
    """An operation of Keras 3.

    Attributes:
        module: its module.
        name: its class.
        inputs: names of the arguments of TensorFlow that are tensors or constants, in the order of Keras's.
        settings: TensorFlow's arguments that are settings.
        neutral: TensorFlow's arguments that Keras does not have, with the values that change nothing.
        fixed: Keras's arguments that TensorFlow does not have.
    """

    module: str
    name: str
    inputs: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = _NONE
    neutral: Mapping[str, tuple[Any, ...]] = _NONE
    fixed: Mapping[str, Any] = _NONE


def _pair(value: Any) -> list[int]:
    """Return the sizes along rows and columns: `2`, `[2]`, `[2, 3]` or `[1, 2, 3, 1]` in TensorFlow."""
    sizes = [value] if isinstance(value, int) else list(value)
    if len(sizes) == 4 and sizes[0] == sizes[3] == 1:
        sizes = sizes[1:3]
    if len(sizes) not in (1, 2) or not all(isinstance(size, int) for size in sizes):
        raise ValueError
    return [sizes[0], sizes[-1]]


def _one_of(**values: str) -> Callable[[Any], str]:
    return lambda value: values[value]


def _sections(value: Any) -> Any:
    """Return the number of parts, or where they begin: TensorFlow's `[2, 3, 3]` is Keras's `[2, 5]`."""
    if isinstance(value, int):
        return value
    if not all(isinstance(size, int) and size >= 0 for size in value):
        raise ValueError
    return [sum(value[:end]) for end in range(1, len(value))]


_padding = _one_of(SAME="same", VALID="valid")
_border = _one_of(CONSTANT="constant", REFLECT="reflect", SYMMETRIC="symmetric")
_interpolation = _one_of(**{name: name for name in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")})

_NHWC = {"data_format": ("NHWC", "N...C")}
_AXIS = {"axis": Setting("axis")}
_LAST_AXIS = {"axis": Setting("axis", -1)}
_BLOCK = {"block_size": Setting("block_size")}
_REDUCTION = {"axis": Setting("axis"), "keepdims": Setting("keepdims", False)}
_PADDING = {"paddings": Setting("pad_width"), "mode": Setting("mode", "CONSTANT", _border)}
_SPLIT = {"num_or_size_splits": Setting("indices_or_sections", None, _sections), "axis": Setting("axis", 0)}
_POOLING = {
    "ksize": Setting("pool_size", None, _pair),
    "strides": Setting("strides", None, _pair),
    "padding": Setting("padding", None, _padding),
}
_RESIZING = {
    "size": Setting("size", None, _pair),
    "method": Setting("interpolation", "bilinear", _interpolation),
    "antialias": Setting("antialias", False),
}
_FLAGS = dict.fromkeys(("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"), (False,))
_NORMALIZATION = {"axis": Setting("axis"), "epsilon": Setting("epsilon", 1e-12, math.sqrt)}
"""TensorFlow divides by sqrt(max(sum x^2, epsilon)), Keras by max(||x||, epsilon)."""
_LAST_FORMAT = {"data_format": "channels_last"}

_BINARY = {
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "TrueDivide",
    "math.divide": "TrueDivide",
    "math.pow": "Power",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "__operators__.add": "Add",
    "__operators__.sub": "Subtract",
    "__operators__.mul": "Multiply",
    "__operators__.truediv": "TrueDivide",
    "__operators__.pow": "Power",
}
_UNARY = {
    "math.abs": "Abs",
    "math.sqrt": "Sqrt",
    "math.square": "Square",
    "math.exp": "Exp",
    "math.log": "Log",
    "math.negative": "Negative",
    "math.tanh": "Tanh",
    "nn.tanh": "Tanh",
    "math.sin": "Sin",
    "math.cos": "Cos",
    "math.log1p": "Log1p",
    "math.expm1": "Expm1",
    "math.reciprocal": "Reciprocal",
    "math.sign": "Sign",
    "math.floor": "Floor",
    "math.ceil": "Ceil",
}
_ACTIVATIONS = {
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "math.sigmoid": "Sigmoid",
    "nn.sigmoid": "Sigmoid",
    "nn.elu": "Elu",
    "nn.selu": "Selu",
    "math.softplus": "Softplus",
    "nn.softplus": "Softplus",
    "nn.softsign": "Softsign",
}
_REDUCTIONS = {
    "math.reduce_mean": "Mean",
    "math.reduce_sum": "Sum",
    "math.reduce_max": "Max",
    "math.reduce_min": "Min",
    "math.reduce_variance": "Var",
    "math.reduce_std": "Std",
}

_TRANSPOSE = Operation(NUMPY, "Transpose", (), {"perm": Setting("axes")}, {"conjugate": (False,)})
_SQUEEZE = Operation(NUMPY, "Squeeze", (), _AXIS)
_PAD = Operation(NUMPY, "Pad", (), _PADDING, {"constant_values": (0,)})
_SILU = Operation(_NN, "Silu", neutral={"beta": (1,)})
_NORMALIZE = Operation(_NN, "Normalize", (), _NORMALIZATION, fixed={"order": 2})

OPERATIONS: dict[str, Operation] = {
    **{name: Operation(NUMPY, kind, ("y",)) for name, kind in _BINARY.items()},
    **{name: Operation(NUMPY, kind) for name, kind in _UNARY.items()},
    **{name: Operation(_NN, kind) for name, kind in _ACTIVATIONS.items()},
    **{name: Operation(NUMPY, kind, (), _REDUCTION) for name, kind in _REDUCTIONS.items()},
    **dict.fromkeys(("nn.silu", "nn.swish"), _SILU),
    **dict.fromkeys(("math.l2_normalize", "linalg.l2_normalize", "nn.l2_normalize"), _NORMALIZE),
    **dict.fromkeys(("transpose", "compat.v1.transpose"), _TRANSPOSE),
    **dict.fromkeys(("squeeze", "compat.v1.squeeze"), _SQUEEZE),
    **dict.fromkeys(("pad", "compat.v1.pad"), _PAD),
    "math.rsqrt": Operation(_MATH, "Rsqrt"),
    "math.erf": Operation(_MATH, "Erf"),
    "nn.leaky_relu": Operation(_NN, "LeakyRelu", (), {"alpha": Setting("negative_slope", 0.2)}),
    "nn.gelu": Operation(_NN, "Gelu", (), {"approximate": Setting("approximate", False)}),
    "nn.softmax": Operation(_NN, "Softmax", (), _LAST_AXIS),
    "nn.log_softmax": Operation(_NN, "LogSoftmax", (), _LAST_AXIS),
    "nn.bias_add": Operation(NUMPY, "Add", ("bias",), neutral=_NHWC),
    "nn.avg_pool2d": Operation(_NN, "AveragePool", (), _POOLING, _NHWC, _LAST_FORMAT),
    "nn.max_pool2d": Operation(_NN, "MaxPool", (), _POOLING, _NHWC, _LAST_FORMAT),
    "nn.depth_to_space": Operation(_NN, "DepthToSpace", (), _BLOCK, _NHWC, _LAST_FORMAT),
    "nn.space_to_depth": Operation(_NN, "SpaceToDepth", (), _BLOCK, _NHWC, _LAST_FORMAT),
    "image.resize": Operation(_IMAGE, "Resize", (), _RESIZING, {"preserve_aspect_ratio": (False,)}, _LAST_FORMAT),
    "image.flip_left_right": Operation(NUMPY, "Flip", fixed={"axis": -2}),
    "image.flip_up_down": Operation(NUMPY, "Flip", fixed={"axis": -3}),
    "image.rgb_to_grayscale": Operation(_IMAGE, "RGBToGrayscale", fixed=_LAST_FORMAT),
    "reverse": Operation(NUMPY, "Flip", (), _AXIS),
    "reshape": Operation(NUMPY, "Reshape", (), {"shape": Setting("newshape")}),
    "expand_dims": Operation(NUMPY, "ExpandDims", (), _LAST_AXIS),
    "tile": Operation(NUMPY, "Tile", (), {"multiples": Setting("repeats")}),
    "split": Operation(NUMPY, "Split", (), _SPLIT),
    "linalg.matmul": Operation(NUMPY, "Matmul", ("b",), neutral=_FLAGS),
    "clip_by_value": Operation(
        NUMPY, "Clip", (), {"clip_value_min": Setting("x_min"), "clip_value_max": Setting("x_max")}
    ),
    "cast": Operation(_CORE, "Cast", (), {"dtype": Setting("dtype")}),
    "stop_gradient": Operation(_CORE, "StopGradient"),
    "identity": Operation("keras.layers", "Identity"),
}
"""The operation of Keras 3 for each function of TensorFlow."""
