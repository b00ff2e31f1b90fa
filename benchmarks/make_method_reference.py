"""Write the maps of other programs for a small convolutional network: tests/network/method_reference.npz.

    pip install torch grad-cam==1.5.7 torchcam==0.5.0
    python benchmarks/make_method_reference.py tests/network/method_reference.npz

The file contains the random weights, so that the test builds the same network in Keras, one image, and the maps of
class 1: RefineCAM of torch-cam over Grad-CAM, of the size of the image, before the last normalization; Seg-Eigen-CAM of
pytorch-grad-cam before the ReLU; Recipro-CAM and FullGrad written down in PyTorch as in the papers, with the parts of
the score that belong to each bias, from PyTorch's own gradients.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
import torchcam.methods as torchcam
from pytorch_grad_cam import SegEigenCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

SIZE, CLASSES, CLASS = 24, 3, 1


class Network(nn.Module):
    """Two convolutions, the first with batch normalization, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.dense = nn.Conv2d(4, 6, 3, padding=1), nn.Linear(6, CLASSES)
        self.relu1, self.relu2, self.pool = nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2)

    def features(self, x: Any) -> Any:
        """Return the activations of the second convolution."""
        return self.relu2(self.conv2(self.pool(self.relu1(self.norm(self.conv1(x))))))

    def forward(self, x: Any) -> Any:
        """Return the logits of images (n, 3, h, w)."""
        return self.dense(self.features(x).mean((2, 3)))


def refinecam(network: Network, x: Any) -> Any:
    """RefineCAM of torch-cam over Grad-CAM."""
    with torchcam.RefineCAM(network, ["relu1", "relu2"], base_method=torchcam.GradCAM) as cam:
        scores = network(x.clone().requires_grad_())
        return cam(CLASS, scores, normalized=False, target_shape=(SIZE, SIZE))[0][0]


def segeigencam(network: Network, x: Any) -> Any:
    """Seg-Eigen-CAM of pytorch-grad-cam."""
    targets = [ClassifierOutputTarget(CLASS)]
    with SegEigenCAM(network, [network.relu2]) as cam:
        cam(x, targets)
        found = cam.activations_and_grads
        A, dA = (group[0].cpu().numpy() for group in (found.activations, found.gradients))
        return cam.get_cam_image(x, network.relu2, targets, A, dA, False)[0]


def reciprocam(network: Network, x: Any) -> Any:
    """The probability of the class from each cell of the last activations alone, less the minimum."""
    A = network.features(x)
    u, v = A.shape[2:]
    p = torch.empty(u, v)
    for i in range(u):
        for j in range(v):
            mask = torch.zeros(1, 1, u, v)
            mask[..., i, j] = 1
            p[i, j] = network.dense((A * mask).mean((2, 3))).softmax(1)[0, CLASS]
    return p - p.min()


def fullgrad(network: Network, x: Any) -> tuple[dict[str, Any], Any]:
    """The parts of the logit, and the map: rescaled over each layer, enlarged with half-pixel centers, summed."""
    x, outputs, layers = x.clone().requires_grad_(), [], [network.norm, network.conv2, network.dense]
    hooks = [layer.register_forward_hook(lambda _, __, output: outputs.append(output)) for layer in layers]
    y = network(x)[0, CLASS]
    dx, *dz = torch.autograd.grad(y, [x, *outputs])
    for hook in hooks:
        hook.remove()
    norm = network.norm
    implicit = norm.bias - norm.running_mean * norm.weight / torch.sqrt(norm.running_var + norm.eps)
    parts = {"input": dx * x}
    for name, bias, gradient in zip(
        ("norm", "conv2", "dense"), (implicit, network.conv2.bias, network.dense.bias), dz, strict=True
    ):
        parts[name] = gradient * bias.reshape(1, -1, *[1] * (gradient.ndim - 2))
    L = torch.zeros(SIZE, SIZE)
    for part in (parts["input"], parts["norm"], parts["conv2"]):
        a = part.abs()
        a = (a - a.min()) / (a.max() - a.min())
        L += F.interpolate(a, (SIZE, SIZE), mode="bilinear", align_corners=False).sum(1)[0]
    return {name: part[0] for name, part in parts.items()}, L


def main() -> None:
    """Run the programs and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    torch.manual_seed(3)
    image = np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    x = torch.from_numpy(image[None].transpose(0, 3, 1, 2) / np.float32(255))
    network = Network().eval()
    arrays = {"image": image}
    with torch.no_grad():
        for name, weights in network.state_dict().items():
            if "num_batches" not in name:
                weights.uniform_(0.5, 2) if "var" in name or name == "norm.weight" else weights.normal_(0, 0.4)
                arrays[f"weights/{name}"] = weights.numpy().copy()
    parts, saliency = fullgrad(network, x)
    maps = {
        "refinecam": refinecam(network, x),
        "segeigencam": segeigencam(network, x),
        "reciprocam": reciprocam(network, x),
        "fullgrad": saliency,
    }
    for name, value in {**{f"maps/{key}": value for key, value in maps.items()}, **parts}.items():
        arrays[name] = value if isinstance(value, np.ndarray) else value.detach().numpy()
    arrays["logits"] = network(x)[0].detach().numpy()
    np.savez_compressed(parser.parse_args().file, **arrays)


if __name__ == "__main__":
    main()
