"""Classification of the names that Keras exports: what a model file may contain.

A name is allowed only if it is listed here. A test classifies every name of the installed Keras, so that a new one is
added to either list on purpose; until then it is refused.
"""

from __future__ import annotations

import re

LAYER, OPERATION, ACTIVATION, INITIALIZER = "layer", "operation", "activation", "initializer"
REGULARIZER, CONSTRAINT, SETTING = "regularizer", "constraint", "setting"

_ALLOWED = {
    LAYER: {
        "keras": "Model Sequential",
        "keras.src.models.functional": "Functional",
        "keras.layers": """
            Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
            AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention
            AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization
            Bidirectional CategoryEncoding CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D
            Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D
            Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU
            EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
            GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
            GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell
            LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPooling1D MaxPooling2D MaxPooling3D Maximum
            MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline
            RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
            RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue
            RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness
            RandomShear RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding
            STFTSpectrogram SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization
            SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract
            TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
            ZeroPadding3D""",
        "keras._legacy.layers": "AlphaDropout RandomHeight RandomWidth ThresholdedReLU",
        "keras.src.applications.convnext": "LayerScale StochasticDepth",
        "keras.src.applications.inception_resnet_v2": "CustomScaleLayer",
    },
    OPERATION: {
        "keras.src.activations.activations": "Mish ReLU",
        "keras.src.ops.core": """
            Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate StopGradient Unstack""",
        "keras.src.ops.einops": "Rearrange",
        "keras.src.ops.image": """
            AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages
            PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM ScaleAndTranslate SobelEdges""",
        "keras.src.ops.linalg": """
            Cholesky CholeskyInverse Det Eig Eigh Inv Lstsq LuFactor MatrixRank Norm Pinv Qr SVD Solve
            SolveTriangular""",
        "keras.src.ops.math": """
            CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet Logsumexp RFFT Rsqrt STFT
            SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum TopK ViewAsComplex ViewAsReal""",
        "keras.src.ops.nn": """
            AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy CTCDecode CTCLoss
            CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace DepthwiseConv DotProductAttention Elu Fold Gelu
            Glu HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments
            MultiHot Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax
            Softplus Softsign SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Squareplus
            TanhShrink Threshold Unfold""",
        "keras.src.ops.numpy": """
            Abs Absolute Add All AllClose Amax Amin Angle Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2
            Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit Average Bincount BitwiseAnd BitwiseInvert
            BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo Cbrt Ceil Clip Concatenate
            Conj Conjugate Copy Corrcoef Correlate Cos Cosh CountNonzero Cross Cumprod Cumsum Deg2rad Diag Diagflat
            Diagonal Diff Digitize Divide DivideNoNan Dot Dsplit Dstack Einsum EmptyLike Equal Exp Exp2 ExpandDims Expm1
            Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Full FullLike Gcd Geomspace GetItem Greater
            GreaterEqual Heaviside Histogram Hsplit Hstack Hypot I0 Imag Inner IsIn Isclose Isfinite Isinf Isnan
            Isneginf Isposinf Isreal Kron Lcm Ldexp LeftShift Less LessEqual Linspace Log Log10 Log1p Log2 Logaddexp
            Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Matmul Max Maximum Mean Median Meshgrid Min
            Minimum Mod Moveaxis Multiply NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian
            Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter Nonzero NotEqual
            OnesLike Outer Pad Percentile Power Prod Ptp Quantile Rad2deg Ravel Real Reciprocal Repeat Reshape
            RightShift Roll Rot90 Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Slogdet Sort Split Sqrt
            Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace Transpose
            Trapezoid Tril Triu TrueDivide Trunc Unique UnravelIndex Vander Var Vdot View Vsplit Vstack Where
            ZerosLike""",
        "keras.src.quantizers.quantizers": "FakeQuantWithMinMaxVars",
    },
    ACTIVATION: {
        "keras.activations": """
            celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid
            log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
            sparse_sigmoid sparsemax squareplus tanh tanh_shrink threshold""",
    },
    INITIALIZER: {
        "keras.initializers": """
            Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal
            RandomNormal RandomUniform STFT TruncatedNormal VarianceScaling Zeros""",
    },
    REGULARIZER: {"keras.regularizers": "L1 L1L2 L2 OrthogonalRegularizer"},
    CONSTRAINT: {"keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm"},
    SETTING: {
        "keras": "DTypePolicy FloatDTypePolicy",
        "keras.dtype_policies": """
            AWQDTypePolicy DTypePolicyMap GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy
            QuantizedFloat8DTypePolicy""",
        "keras.quantizers": """
            AbsMaxQuantizer Float8QuantizationConfig Int4QuantizationConfig Int8QuantizationConfig
            QuantizationConfig""",
        "keras.random": "SeedGenerator",
    },
}

ALLOWED = {
    f"{module}.{name}": kind
    for kind, modules in _ALLOWED.items()
    for module, names in modules.items()
    for name in names.split()
}
"""Kind of each class and function that a model file may contain, by full name."""

_CODE, _FUNCTION = "runs code from outside Keras", "calls a function stored in the file"
_DATA, _BASE = "is not a part of an image classifier", "is an abstract class"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("keras.layers.Lambda", "keras.layers.__lambda__"), "runs Python code stored in the file"),
    **dict.fromkeys((f"keras.layers.{name}" for name in ("FlaxLayer", "JaxLayer", "TorchModuleWrapper")), _CODE),
    "keras.layers.TFSMLayer": "runs a TensorFlow SavedModel",
    **dict.fromkeys(
        (f"keras.layers.{name}" for name in ("IntegerLookup", "StringLookup", "TextVectorization")), "reads files"
    ),
    **dict.fromkeys((f"keras.layers.{name}" for name in ("Hashing", "HashedCrossing")), _DATA),
    **dict.fromkeys(
        (
            f"keras.src.ops.{name}"
            for name in (
                *("core.AssociativeScan", "core.Cond", "core.ForiLoop", "core.Map", "core.Scan", "core.Switch"),
                *("core.VectorizedMap", "core.WhileLoop", "linalg.JVP"),
            )
        ),
        _FUNCTION,
    ),
    **dict.fromkeys(
        (
            *("keras.layers.Wrapper", "keras.constraints.Constraint"),
            *(f"keras.{name}" for name in ("Initializer", "Layer", "Operation", "Quantizer", "Regularizer")),
        ),
        _BASE,
    ),
    **dict.fromkeys(("keras.quantizers.AWQConfig", "keras.quantizers.GPTQConfig"), "loads a data set"),
}
"""Classes of allowed namespaces that are refused, and why."""

REFUSED_IN_NAMESPACES = {
    "keras": "device remat version Function InputSpec KerasTensor Loss Metric Optimizer RematScope StatelessScope "
    "SymbolicScope Variable name_scope",
    "keras.layers": "Input add average concatenate deserialize dot maximum minimum multiply serialize subtract",
    **dict.fromkeys(
        (f"keras.{name}" for name in ("activations", "constraints", "dtype_policies", "initializers", "regularizers")),
        "deserialize get serialize",
    ),
    "keras.quantizers": "abs_max_quantize abs_max_quantize_grouped_with_zero_point compute_float8_amax_history "
    "compute_float8_scale deserialize fake_quant_with_min_max_vars get pack_int4 quantize_and_dequantize serialize "
    "unpack_int4",
    "keras.random": "beta binomial categorical dropout gamma normal randint shuffle truncated_normal uniform",
}
"""Other names of namespaces with allowed names: functions, scopes and classes that are not parts of a model."""

REFUSED_NAMESPACES = frozenset(
    f"keras.{name}"
    for name in (
        *("_legacy.backend", "_legacy.losses", "_legacy.preprocessing", "applications", "backend", "callbacks"),
        *("config", "datasets", "distillation", "distribution", "export", "legacy", "losses", "metrics", "models"),
        *("ops", "optimizers", "preprocessing", "saving", "tree", "utils", "visualization", "wrappers"),
        *("src.backend", "src.layers", "src.losses", "src.metrics", "src.optimizers", "src.trainers"),
    )
)
"""Namespaces of which nothing is allowed: none of their names is a part of a model for inference."""

ACTIVATION_LAYERS = frozenset({"Activation", "ELU", "Identity", "LeakyReLU", "PReLU", "ReLU", "Softmax"})
"""Layers that may be the activation of another layer."""

LAYER_FUNCTIONS = frozenset(REFUSED_IN_NAMESPACES["keras.layers"].split())
"""Functions that Keras substitutes for strings of these names in `.h5` files without module names."""


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()


def _kinds_by_name() -> dict[str, frozenset[str]]:
    kinds: dict[str, set[str]] = {}
    for path, kind in ALLOWED.items():
        name = path.rpartition(".")[2]
        if kind not in (OPERATION, ACTIVATION):
            for alias in (name, _snake_case(name)):
                kinds.setdefault(alias, set()).add(kind)
    return {name: frozenset(values) for name, values in kinds.items()}


_KINDS_BY_NAME = _kinds_by_name()


def classify(module: str | None, name: str) -> frozenset[str]:
    """Return the kinds of an allowed class or function; the empty set if it is not allowed.

    Args:
        module: the module in the configuration, or None if it has none, as in files of Keras 2.
        name: the name of the class or function.
    """
    if module is None:
        return _KINDS_BY_NAME.get(name, frozenset())
    kind = ALLOWED.get(f"{module}.{name}")
    return frozenset([kind] if kind else [])


def refusal(module: str | None, name: str) -> str | None:
    """Return why a class or function of Keras is refused, or None if this module does not list it."""
    path = f"{module or 'keras.layers'}.{name}"
    if path in REFUSED:
        return REFUSED[path]
    namespace = path.rpartition(".")[0]
    parents = [namespace[:end] for end, char in enumerate(namespace + ".") if char == "."]
    if name in REFUSED_IN_NAMESPACES.get(namespace, "").split() or REFUSED_NAMESPACES.intersection(parents):
        return _DATA
    return None
