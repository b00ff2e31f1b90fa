"""Classifiers of keras-hub: the map of the layer that `auto` chooses is that of an independent tape."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli import explain, load_model
from gradcam_cli.network.layers import find_layer

models = pytest.importorskip("keras_hub.models", reason="keras-hub is not installed")
pytestmark = pytest.mark.extended

SHAPE = (64, 64, 3)
MOBILENET = {
    "stackwise_expansion": [[16, 16], [24, 24]],
    "stackwise_num_blocks": [2, 2],
    "stackwise_num_filters": [[8, 8], [16, 16]],
    "stackwise_kernel_size": [[3, 3], [5, 5]],
    "stackwise_num_strides": [[2, 1], [2, 1]],
    "stackwise_se_ratio": [[None, None], [0.25, 0.25]],
    "stackwise_activation": [["relu", "relu"], ["hard_swish", "hard_swish"]],
    "stackwise_padding": [[1, 1], [2, 2]],
    "output_num_filters": 32,
    "input_num_filters": 8,
    "depthwise_filters": 8,
    "depthwise_stride": 2,
    "depthwise_residual": False,
    "last_layer_filter": 32,
    "squeeze_and_excite": 0.5,
}
EFFICIENTNET = {
    "stackwise_kernel_sizes": [3, 3],
    "stackwise_num_repeats": [1, 1],
    "stackwise_input_filters": [8, 8],
    "stackwise_output_filters": [8, 16],
    "stackwise_expansion_ratios": [1, 4],
    "stackwise_squeeze_and_excite_ratios": [0.25, 0.25],
    "stackwise_strides": [1, 2],
    "stackwise_block_types": ["v1", "v1"],
    "stackwise_force_input_filters": [0, 0],
    "stackwise_nores_option": [False, False],
    "stackwise_width_coefficients": [1.0, 1.0],
    "stackwise_depth_coefficients": [1.0, 1.0],
    "num_features": 32,
}
CSPNET = {"bottle_ratio": [0.5, 1], "block_ratio": [1, 0.5], "expand_ratio": [2, 1], "stem_padding": "same"}
HGNET = {
    "depths": [1, 2],
    "embedding_size": 8,
    "hidden_sizes": [16, 32],
    "stem_channels": [3, 8, 16],
    "hidden_act": "relu",
    "use_learnable_affine_block": False,
    "stackwise_stage_filters": [(16, 8, 16, 1, 1, 3), (16, 8, 32, 1, 2, 3)],
    "apply_downsample": [False, True],
    "use_lightweight_conv_block": [False, False],
}


def classifier(kind, *arguments, head=None, **options):
    """A classifier of five classes with a small backbone."""
    backbone = getattr(models, f"{kind}Backbone")(*arguments, **options)
    return getattr(models, f"{kind}ImageClassifier")(backbone=backbone, num_classes=5, **(head or {}))


CLASSIFIERS = {
    "ViT": lambda: classifier("ViT", SHAPE, (8, 8), 3, 2, 24, 48),
    "ViT, mean of the tokens": lambda: classifier("ViT", SHAPE, (8, 8), 3, 2, 24, 48, head={"pooling": "gap"}),
    "DeiT": lambda: classifier("DeiT", SHAPE, (8, 8), 3, 2, 24, 48),
    "Swin": lambda: classifier("SwinTransformer", SHAPE, 12, (2, 2), (2, 4), 4),
    "MiT": lambda: classifier(
        "MiT", [2, 2], 2, [1, 2], [4, 2], 0.0, [7, 3], [4, 2], image_shape=SHAPE, hidden_dims=[16, 32]
    ),
    "ResNet": lambda: classifier("ResNet", [64], [7], [64, 64], [1, 1], [1, 2], "basic_block", image_shape=SHAPE),
    "ResNetV2": lambda: classifier(
        "ResNet", [64], [7], [64, 64], [1, 1], [1, 2], "bottleneck_block", use_pre_activation=True, image_shape=SHAPE
    ),
    "DenseNet": lambda: classifier("DenseNet", [2, 2, 2], image_shape=SHAPE, growth_rate=8),
    "VGG": lambda: classifier("VGG", [1, 1, 2], [8, 8, 16], image_shape=SHAPE, head={"pooling_hidden_dim": 16}),
    "Xception": lambda: classifier("Xception", [[32, 64], [64, 64]], [True, False], image_shape=SHAPE),
    "CSPNet": lambda: classifier(
        "CSPNet", 8, 3, 1, [1, 2], [1, 2], [8, 16], "dark_block", stage_type="csp", image_shape=SHAPE, **CSPNET
    ),
    "EfficientNet": lambda: classifier("EfficientNet", input_shape=SHAPE, **EFFICIENTNET),
    "MobileNet": lambda: classifier("MobileNet", image_shape=SHAPE, head={"num_features": 32}, **MOBILENET),
    "HGNetV2": lambda: classifier("HGNetV2", image_shape=SHAPE, head={"preprocessor": None}, **HGNET),
}


def independent_map(model, layer, grid, x, c, monkeypatch):
    """Grad-CAM before its ReLU, by an eager tape that watches the output of the layer's own `call`."""
    outputs, original = [], layer.call
    with tf.GradientTape() as tape:

        def call(*args, **kwargs):
            output = original(*args, **kwargs)
            tape.watch(output)
            outputs.append(output)
            return output

        monkeypatch.setattr(layer, "call", call)
        y = model(x, training=False)[0, c]
    A, dA = outputs[-1].numpy()[0], tape.gradient(y, outputs[-1]).numpy()[0]
    if grid.prefix is not None:
        cells = slice(grid.prefix, grid.prefix + grid.num_cells)
        A, dA = (values[cells].reshape(*grid.cells, -1) for values in (A, dA))
    return (dA.mean((0, 1)) * A).sum(-1)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_map_of_the_default_layer_is_that_of_an_independent_tape(kind, monkeypatch):
    keras.utils.set_random_seed(0)
    model = CLASSIFIERS[kind]()
    model.set_weights([w + 0.05 * np.random.default_rng(1).normal(size=w.shape) for w in model.get_weights()])
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    explained = load_model(model, preprocess="0..1")
    found = explained.find_layer("auto")
    result = explain(image, explained, "auto")
    assert found.grid.edges == ((0, 64), (0, 64))
    _, layer = find_layer(model, found.path)
    x = image[None].astype(np.float32) / 255
    expected = independent_map(model, layer, found.grid, x, result.prediction.index, monkeypatch)
    assert expected.any()
    assert np.linalg.norm(result.cam_pre_relu - expected) < 1e-5 * np.linalg.norm(expected)
