"""Transformers of KerasHub with random weights: the layer of `auto`, and attention between all tokens."""

import keras
import numpy as np
import pytest

from gradcam_cli import explain, load_model
from gradcam_cli.errors import ModelError

hub = pytest.importorskip("keras_hub").models
pytestmark = pytest.mark.extended

SIZE, CLASSES = 32, 3
ENCODER = {"num_layers": 3, "num_heads": 2, "hidden_dim": 16}


def vit(pooling, class_token=True):
    backbone = hub.ViTBackbone((SIZE, SIZE, 3), (8, 8), mlp_dim=32, use_class_token=class_token, **ENCODER)
    return hub.ViTImageClassifier(backbone, num_classes=CLASSES, pooling=pooling)


def deit():
    return hub.DeiTImageClassifier(hub.DeiTBackbone((SIZE, SIZE, 3), 8, intermediate_dim=32, **ENCODER), CLASSES)


def dinov2():
    backbone = hub.DINOV2Backbone(
        8, intermediate_dim=32, num_register_tokens=4, image_shape=(SIZE, SIZE, 3),
        position_embedding_shape=(SIZE, SIZE, 3), apply_layernorm=True, **ENCODER,
    )  # fmt: skip
    x = keras.Input((SIZE, SIZE, 3))
    return keras.Model(x, keras.layers.Dense(CLASSES)(backbone({"images": x})[:, 0]))


def swin():
    backbone = hub.SwinTransformerBackbone((64, 64, 3), 16, depths=(2, 2), num_heads=(2, 2), window_size=4)
    return hub.SwinTransformerImageClassifier(backbone, num_classes=CLASSES)


def mit():
    backbone = hub.MiTBackbone(
        layerwise_depths=[1, 1], num_layers=2, layerwise_num_heads=[1, 2], layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1, layerwise_patch_sizes=[7, 3], layerwise_strides=[4, 2],
        image_shape=(SIZE, SIZE, 3), hidden_dims=[16, 32],
    )  # fmt: skip
    return hub.MiTImageClassifier(backbone, CLASSES)


KINDS = {
    "ViT by its class token": (lambda: vit("token"), "vit_encoder/transformer_block_3/ln_1", 1, True),
    "ViT by the mean": (lambda: vit("gap"), "vit_encoder/ln", 1, True),
    "ViT without class token": (lambda: vit("gap", False), "vit_encoder/ln", 0, True),
    "DeiT": (deit, "deit_encoder/transformer_block_3/ln_1", 2, True),
    "DINOv2 with registers": (dinov2, "encoder/layers_2/norm1", 5, True),
    "Swin": (swin, "backbone/norm", 0, False),
    "MiT": (mit, "layer_normalization", 0, False),
}


@pytest.mark.parametrize("name", KINDS)
def test_transformer_of_keras_hub(name):
    """`auto` is the last normalization whose patches affect the score; Swin and MiT have no rollout."""
    make, layer, prefix, full_attention = KINDS[name]
    keras.utils.set_random_seed(1)
    classifier = load_model(make(), preprocess="0..1")
    chosen = classifier.find_layer("auto")
    assert layer in chosen.path
    assert chosen.grid.prefix == prefix
    assert chosen.grid.num_cells + prefix == chosen.shape[0]
    image = np.random.default_rng(0).integers(0, 256, classifier.input_shape, np.uint8)
    for method in ("rollout", "legrad"):
        if full_attention:
            result = explain(image, classifier.model, preprocess="0..1", method=method, target_class=1)
            assert result.cam.shape == chosen.grid.cells
            assert result.cam.any()
        else:
            with pytest.raises(ModelError, match="not between all its tokens"):
                explain(image, classifier.model, preprocess="0..1", method=method)
