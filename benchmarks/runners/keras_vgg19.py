"""VGG19 for the Keras peers."""

from __future__ import annotations

from pathlib import Path

import keras


def load_vgg19(weights: Path) -> keras.Model:
    """Return the network with logits as its output."""
    return keras.applications.VGG19(weights=str(weights), classifier_activation=None)


def highest_logit(model: keras.Model) -> keras.Model:
    """Return the network with one output, the highest of the logits.

    For libraries that require a class: output 0 of this network is each image's top class, without a second forward
    pass to find it.
    """
    return keras.Model(model.inputs, keras.ops.max(model.output, axis=1, keepdims=True))
