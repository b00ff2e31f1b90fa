"""Copies of an image whose maps `--aug-smooth` averages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcam_cli.network.gradients import ForwardBackward
from gradcam_cli.pipeline.run import PreparedRun

BRIGHTNESS = (0.9, 1.0, 1.1)


def augmented_passes(
    run: PreparedRun, pixels: np.ndarray, result: ForwardBackward
) -> Iterator[tuple[ForwardBackward, bool]]:
    """Run the network on copies, mirrored or not, at three levels of brightness, for the classes of the first pass.

    Args:
        run: the prepared run.
        pixels: (n, h, w, c), uint8 or, of images of bands, float32; uint8 values are clipped to 0..255.
        result: of the first pass, which is not repeated; its batch may be padded.

    Yields:
        The result, and whether the copies are mirrored.
    """
    classes = result.classes
    padded = np.concatenate([pixels, np.repeat(pixels[-1:], len(classes) - len(pixels), 0)])
    for mirrored in (False, True):
        for brightness in BRIGHTNESS:
            if mirrored or brightness != 1:
                copies = padded[:, :, ::-1] if mirrored else padded
                limit = 255 / brightness if pixels.dtype == np.uint8 else np.inf
                copies = np.clip(copies, -limit, limit) * np.float32(brightness)
                yield run.forward_backward(run.classifier.preprocess(copies), classes, result.against), mirrored
