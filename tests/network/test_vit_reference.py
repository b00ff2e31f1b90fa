"""Maps on tokens against pytorch-grad-cam and torch-cam with the same weights (benchmarks/make_vit_reference.py)."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from transformer_kinds import Prefix

from gradcam_cli import load_model
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

with np.load(Path(__file__).with_name("vit_reference.npz")) as arrays:
    REFERENCE = dict(arrays)


def weights_of(pooling):
    prefix = f"{pooling}/"
    return {name.removeprefix(prefix): value for name, value in REFERENCE.items() if name.startswith(prefix)}


def normalization(W, name):
    layer = L.LayerNormalization(epsilon=1e-5)
    layer.build((None, None, len(W[f"{name}.bias"])))
    layer.set_weights([W[f"{name}.weight"], W[f"{name}.bias"]])
    return layer


def dense(W, name, **options):
    out, inside = W[f"{name}.weight"].shape
    layer = L.Dense(out, **options)
    layer.build((None, inside))
    layer.set_weights([W[f"{name}.weight"].T, W[f"{name}.bias"]])
    return layer


def attend(W, name, x, heads=2):
    """Self-attention; torch stacks the rows of queries, keys and values."""
    width = x.shape[-1]
    layer = L.MultiHeadAttention(heads, width // heads)
    y = layer(x, x)
    matrices = W[f"{name}.in_proj_weight"].reshape(3, heads, -1, width).transpose(0, 3, 1, 2)
    biases = W[f"{name}.in_proj_bias"].reshape(3, heads, -1)
    out = W[f"{name}.out_proj.weight"].T.reshape(heads, -1, width)
    projections = [array for pair in zip(matrices, biases, strict=True) for array in pair]
    layer.set_weights([*projections, out, W[f"{name}.out_proj.bias"]])
    return y


def transformer(pooling):
    """The network of the reference, built in Keras, and the normalization of its last block or its end."""
    W = weights_of(pooling)
    x = keras.Input((24, 24, 3))
    patches, prefix = L.Conv2D(12, 4, 4), Prefix(W["token"].shape[1])
    z = prefix(L.Reshape((36, 12))(patches(x)))
    patches.set_weights([W["patches.weight"].transpose(2, 3, 1, 0), W["patches.bias"]])
    prefix.set_weights([W["positions"], W["token"]])
    for i in range(3):
        block = f"blocks.{i}"
        before_attention = normalization(W, f"{block}.norm1")
        z = L.Add()([z, attend(W, f"{block}.attention", before_attention(z))])
        y = dense(W, f"{block}.mlp.0", activation="gelu")(normalization(W, f"{block}.norm2")(z))
        z = L.Add()([z, dense(W, f"{block}.mlp.2")(y)])
    norm = normalization(W, "norm")
    z = norm(z)
    pooled = z[:, 0] if pooling == "class_token" else L.GlobalAveragePooling1D()(z)
    expected = before_attention if pooling == "class_token" else norm
    return keras.Model(x, dense(W, "head")(pooled)), expected.name


@pytest.mark.parametrize(("pooling", "program"), [("class_token", "pytorch-grad-cam"), ("mean", "torch-cam")])
def test_maps_equal_those_of_the_program(pooling, program):
    """The same layer, without being named, gives the same maps to 1e-4 of their norm; torch-cam's after the ReLU."""
    model, layer = transformer(pooling)
    expected = {
        name.rpartition("/")[2]: value for name, value in REFERENCE.items() if name.startswith(f"{pooling}/maps/")
    }
    assert len(expected) == (4 if program == "pytorch-grad-cam" else 3)
    run = prepare_run(load_model(model, preprocess="0..1"), ExplainConfig(methods=tuple(expected), classes=(1,)))
    (results,) = explain_images(run, [LoadedImage("image", REFERENCE["image"])])
    for result in results:
        assert result.layer == layer
        assert result.prediction.logit == pytest.approx(REFERENCE[f"{pooling}/logits"][1], rel=1e-4)
        got = result.cam_pre_relu if program == "pytorch-grad-cam" else result.cam
        difference = np.linalg.norm(got - expected[result.method])
        assert difference <= 1e-4 * np.linalg.norm(expected[result.method]), result.method
