"""gradcam's own classifier and trainer, with its defaults but for the optimizer."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from train_harness import MOMENTUM, RATE, THREADS, TOLERANCE, Arrays, Learner, Setting, measure

from gradcam_cli.neuralode.layers.odenet import build_classifier
from gradcam_cli.neuralode.training.config import Recipe
from gradcam_cli.neuralode.training.datasets import DIGITS, Data
from gradcam_cli.neuralode.training.trainer import Trainer


def prepare(setting: Setting) -> Learner:
    """Return a learner with these weights."""
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    model = network(setting)
    nothing = np.zeros((1, 28, 28, 1), np.uint8), np.zeros(1, np.int64)
    trainer = Trainer(model, Data(*nothing, *nothing, DIGITS), Recipe())
    trainer.optimizer = keras.optimizers.SGD(RATE, MOMENTUM)
    trainer.optimizer.build(model.trainable_variables)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        loss, _, _ = trainer.step(tf.constant(x, tf.float32), tf.constant(y))
        return float(loss)

    def evaluations() -> tuple[int, int]:
        block = trainer.block
        return (int(block.forward_evaluations), int(block.backward_evaluations)) if block else (0, 0)

    return Learner(step, evaluations, lambda x, y: gradient(model, x, y))


def network(setting: Setting) -> keras.Model:
    """Return the classifier, dopri5 at the tolerance, or its stem and head alone."""
    if setting.network == "stem":
        model = build_classifier((28, 28, 1), DIGITS, "stem")
    else:
        options = {"solver": "dopri5", "rtol": TOLERANCE, "atol": TOLERANCE, "gradient": "adjoint"}
        model = build_classifier((28, 28, 1), DIGITS, activation=setting.network, **options)
    for weight in model.trainable_weights:
        weight.assign(setting.weights[weight.path])
    return model


def gradient(model: keras.Model, x: np.ndarray, y: np.ndarray) -> Arrays:
    """Return the gradient of the loss."""
    weights = model.trainable_weights

    @tf.function(autograph=False)
    def differentiate(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            y_c = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, y_c))
        return tape.gradient(loss, [weight.value for weight in weights])

    found = differentiate(tf.constant(x, model.compute_dtype))
    return {weight.path: array.numpy() for weight, array in zip(weights, found, strict=True)}


if __name__ == "__main__":
    measure(prepare)
