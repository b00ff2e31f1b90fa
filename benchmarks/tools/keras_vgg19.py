"""Keras's VGG19 for the Keras peers.

`python keras_vgg19.py WEIGHTS PHOTO LOGITS.npy` writes its logits, with which torch_vgg19.py compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from harness import read_photo


def load_vgg19(weights: Path) -> keras.Model:
    """Return the network with logits as its output."""
    return keras.applications.VGG19(weights=str(weights), classifier_activation=None)


def highest_score(model: keras.Model) -> keras.Model:
    """Return the network with one output, the highest of the logits.

    For libraries that have to be told the class: told to explain output 0 of this network, they
    explain each photo's own class, and need no second forward pass to find it.
    """
    return keras.Model(model.inputs, keras.ops.max(model.output, axis=1, keepdims=True))


if __name__ == "__main__":
    weights, photo, logits = map(Path, sys.argv[1:])
    np.save(logits, load_vgg19(weights)(read_photo(photo).x[None]).numpy())
