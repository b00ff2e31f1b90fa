"""A short training of a small network on random images, and its maps by another program: Grad-CAM by hand."""

import re
import zipfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L  # noqa: N812

from gradcam_cli.callbacks.record import read_epochs, read_run

SHAPE, CLASSES = (16, 16, 3), 4


def images(count=24, shape=SHAPE):
    """Images in -1..1 with a bright corner for each class, and their classes."""
    rng = np.random.default_rng(3)
    y = np.arange(count) % CLASSES
    x = rng.uniform(-1, 0.2, (count, *shape)).astype(np.float32)
    for image, c in zip(x, y, strict=True):
        image[8 * (c // 2) : 8 * (c // 2) + 6, 8 * (c % 2) : 8 * (c % 2) + 6] = 1
    return x, y


def network(shape=SHAPE):
    """A network with noise, batch normalization and dropout, all of which draw or change in training."""
    return keras.Sequential(
        [
            keras.Input(shape),
            L.GaussianNoise(0.1),
            L.Conv2D(6, 3, padding="same", name="conv1"),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(),
            L.Conv2D(8, 3, padding="same", activation="relu", name="conv2"),
            L.GlobalAveragePooling2D(),
            L.Dropout(0.4),
            L.Dense(CLASSES, name="logits"),
            L.Activation("softmax", dtype="float32"),
        ],
        name="small",
    )


def train(callbacks=(), epochs=2, model=None, fit=None, data=None, **compiled):
    """Train from a fixed seed; return the model."""
    keras.utils.set_random_seed(1)
    model = model or network()
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", **compiled})
    x, y = data or images()
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=list(callbacks), **(fit or {}))
    return model


def grad_cam(model, x, classes, layer="conv2"):
    """Maps of a sequential model by its definition: relu of the sum of A_k times the mean of d logit / dA_k."""
    names = [each.name for each in model.layers]
    split, last = names.index(layer) + 1, names.index("logits") + 1
    A = tf.convert_to_tensor(x)
    for each in model.layers[:split]:
        A = each(A, training=False)
    with tf.GradientTape() as tape:
        tape.watch(A)
        y = A
        for each in model.layers[split:last]:
            y = each(y, training=False)
        score = tf.reduce_sum(tf.gather(tf.cast(y, tf.float32), np.asarray(classes), batch_dims=1))
    dA = tape.gradient(score, A)
    alpha = tf.reduce_mean(tf.cast(dA, tf.float32), (1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(alpha * tf.cast(A, tf.float32), -1)).numpy()


def recorded(directory):
    """The epochs of a record."""
    return list(read_epochs(directory, read_run(directory)))


def cams(maps):
    """The maps (n, u, v) of an epoch."""
    return np.stack([each.saved.cam for each in maps.images])


def saved_parts(model, path):
    """The configuration of a saved model as it is in its file, without addresses, and the size of its weights."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        config = re.sub(rb'"shared_object_id": \d+', b"", archive.read("config.json"))
        return config, len(archive.read("model.weights.h5"))
