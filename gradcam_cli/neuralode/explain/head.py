"""The layers after an ODEBlock, applied to the states z(t) inside it: at which depth is the class decided?"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.network.logits import find_logits
from gradcam_cli.network.scores import scores_of
from gradcam_cli.neuralode.layers.ode_block import ODEBlock

Head = Callable[[np.ndarray], np.ndarray]
"""Returns the class probabilities, (n, classes), of states (n, u, v, k)."""


def compile_head(model: keras.Model, block: ODEBlock) -> Head:
    """Compile the layers after an ODEBlock to a function of states.

    Args:
        model: a model with the block among its layers.
        block: the ODEBlock.

    Returns:
        A function that returns the class probabilities, (n, classes), of states (n, u, v, k); NaN if the output of the
        model is not a probability.
    """
    downstream = keras.Model(block.output, model.outputs)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(z: tf.Tensor) -> tf.Tensor:
        return scores_of(find_logits(downstream(z, training=False), z), "logit").probabilities

    def head(z: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = run(tf.constant(z, tf.float32)).numpy()
        return probabilities

    return head
