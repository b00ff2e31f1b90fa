"""Write the maps of pytorch-grad-cam and torch-cam for small vision transformers: tests/network/vit_reference.npz.

    pip install torch grad-cam==1.5.7 torchcam==0.5.0
    python benchmarks/make_vit_reference.py tests/network/vit_reference.npz

The file contains the random weights, so that the tests build the same networks in Keras, one image, the scores, and the
maps before normalization and upsampling: (6, 6), of class 1. pytorch-grad-cam drops the class token with its
`reshape_transform` and explains the normalization before the last attention. torch-cam explains only layers with output
(n, k, u, v), so the tokens of the other network, which averages them, pass a layer that arranges them so.

Grad-CAM++ is left out: pytorch-grad-cam adds 1e-6 to its denominator, which is of the size of the squares of these
gradients, and torch-cam 0.5.0 does not divide by it.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torchcam.methods as torchcam
from pytorch_grad_cam import (
    GradCAM,
    HiResCAM,
    LayerCAM,
    XGradCAM,
)
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

SIZE, PATCH, WIDTH, HEADS, CLASSES, CLASS = 24, 4, 12, 2, 3, 1
CELLS = SIZE // PATCH


class Block(nn.Module):
    """Attention of the normalized tokens, and a perceptron, each added to the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Any) -> Any:
        """Return the tokens (n, tokens, k) after the block."""
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class ToMap(nn.Module):
    """Arranges tokens (n, u v, k) as (n, k, u, v)."""

    def forward(self, x: Any) -> Any:
        """Return the map."""
        return x.transpose(1, 2).reshape(len(x), WIDTH, CELLS, CELLS)


class Transformer(nn.Module):
    """Three blocks; it classifies by its class token, or by the mean of its patches."""

    def __init__(self, class_token: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.token = nn.Parameter(torch.randn(1, int(class_token), WIDTH))
        self.positions = nn.Parameter(torch.randn(1, CELLS**2, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.norm, self.to_map, self.head = nn.LayerNorm(WIDTH), ToMap(), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Any) -> Any:
        """Return the logits of images (n, 3, h, w)."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 0] if self.token.shape[1] else self.to_map(x).mean((2, 3)))


def tokens_to_map(x: Any) -> Any:
    """Drop the class token."""
    return ToMap()(x[:, 1:])


def maps_of_pytorch_grad_cam(network: Any, x: Any) -> dict[str, np.ndarray]:
    """Return the weighted sums before the ReLU."""
    methods = {
        "gradcam": GradCAM, "hirescam": HiResCAM, "layercam": LayerCAM,
        "xgradcam": XGradCAM,
    }  # fmt: skip
    layer, found = network.blocks[-1].norm1, {}
    for name, method in methods.items():
        with method(network, [layer], tokens_to_map) as cam:
            cam(x, [ClassifierOutputTarget(CLASS)])
            A, dA = (group[0].cpu().numpy() for group in (cam.activations_and_grads.activations,
                                                          cam.activations_and_grads.gradients))  # fmt: skip
            found[name] = cam.get_cam_image(x, layer, [ClassifierOutputTarget(CLASS)], A, dA, False)[0]
    return found


def maps_of_torch_cam(network: Any, x: Any) -> dict[str, np.ndarray]:
    """Return the maps after the ReLU."""
    methods = {
        "gradcam": torchcam.GradCAM, "layercam": torchcam.LayerCAM,
        "xgradcam": torchcam.XGradCAM,
    }  # fmt: skip
    found = {}
    for name, method in methods.items():
        with method(network, "to_map") as cam:
            found[name] = cam(CLASS, network(x.requires_grad_()), normalized=False)[0][0].detach().numpy()
    return found


def main() -> None:
    """Run both programs and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    torch.manual_seed(0)
    image = np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    x = torch.from_numpy(image[None].transpose(0, 3, 1, 2) / np.float32(255))
    arrays = {"image": image}
    for pooling, program in (("class_token", maps_of_pytorch_grad_cam), ("mean", maps_of_torch_cam)):
        network = Transformer(pooling == "class_token").eval()
        with torch.no_grad():
            for name, weights in network.named_parameters():
                if "bias" in name:
                    weights.normal_(0, 0.1)
                arrays[f"{pooling}/{name}"] = weights.numpy().copy()
        arrays[f"{pooling}/logits"] = network(x).detach().numpy()[0]
        arrays |= {f"{pooling}/maps/{name}": cam for name, cam in program(network, x).items()}
    np.savez_compressed(parser.parse_args().file, **arrays)


if __name__ == "__main__":
    main()
