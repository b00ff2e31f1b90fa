"""gradcam's ODE-Net, trained with the loss and the tape of `gradcam neuralode train`."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from ode_harness import MOMENTUM, RATE, THREADS, TOLERANCE, Arrays, Training, measure_training

from gradcam_cli.neuralode import ODEBlock
from gradcam_cli.neuralode.layers.odenet import build_odenet

LABELS = [str(digit) for digit in range(10)]


def build_network(name: str) -> keras.Model:
    """Return the classifier for MNIST: dopri5 and the adjoint method, or the stem and the head alone."""
    if name == "stem-only":
        return build_odenet((28, 28, 1), LABELS, name)
    options = {"solver": "dopri5", "rtol": TOLERANCE, "atol": TOLERANCE, "gradient": "adjoint"}
    return build_odenet((28, 28, 1), LABELS, activation=name, **options)


def prepare(name: str, weights: Arrays) -> Training:
    """Return the training of a network with these weights."""
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    model = build_network(name)
    for weight in model.trainable_weights:
        weight.assign(weights[weight.path])
    block = next((layer for layer in model.layers if isinstance(layer, ODEBlock)), None)
    optimizer = keras.optimizers.SGD(RATE, MOMENTUM)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return loss

    def nfe() -> tuple[int, int]:
        return (int(block.nfe_forward), int(block.nfe_backward)) if block else (0, 0)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        return float(train_step(tf.constant(x, tf.float32), tf.constant(y)))

    return Training(step, nfe)


if __name__ == "__main__":
    measure_training(prepare)
