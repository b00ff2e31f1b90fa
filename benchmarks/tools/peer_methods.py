"""Time one method of pytorch-grad-cam on one photo: `peer_methods.py WEIGHTS METHOD PHOTO` prints seconds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from harness import Setting, read_photo
from peer_pytorch_grad_cam import stand_in_for_torchvision
from torch_vgg19 import as_input, load_vgg19, target_layer

BATCH_SIZE = 32
"""Of the masked inputs; the tool's own default is 16 for Score-CAM and 32 for Ablation-CAM."""


def main(weights: str, method: str, photo: str) -> None:
    """Explain the photo and print the seconds."""
    from pytorch_grad_cam import AblationCAM, ScoreCAM

    model = load_vgg19(Setting(Path(weights), [], Path(), "float32", "npz", 1))
    layers = [target_layer(model)]
    if method == "ablationcam":
        cam = AblationCAM(model=model, target_layers=layers, batch_size=BATCH_SIZE)
    else:
        cam = ScoreCAM(model=model, target_layers=layers)
        cam.batch_size = BATCH_SIZE
    x = as_input(read_photo(Path(photo)).x[None], "float32")
    model(x)  # whatever is done once
    start = time.perf_counter()
    cam(input_tensor=x, targets=None)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    stand_in_for_torchvision()
    main(*sys.argv[1:])
