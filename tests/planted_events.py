"""Signals, volumes and films of noise with one planted event, and small networks that are trained to classify it."""

import keras
import numpy as np
from keras import layers as L  # noqa: N812

NOISE, HEIGHT = 0.3, 1.5
SPIKE = np.float32([0.5, 1, 1, 1, 0.5])
BALL = sum(x**2 for x in np.meshgrid(*(np.arange(-2, 3),) * 3, indexing="ij")) <= 5
SQUARE, FRAMES, STEP = 4, 3, 2


def spikes(count, seed):
    """Signals (64, 1) with a spike, down (class 0) or up (class 1)."""
    return _planted((64,), [-SPIKE, SPIKE], count, seed)


def balls(count, seed):
    """Volumes (12, 14, 16, 1) with a ball, darker (class 0) or brighter (class 1) than the noise."""
    return _planted((12, 14, 16), [-1.0 * BALL, 1.0 * BALL], count, seed)


def moving_squares(count, seed):
    """Films (6, 14, 16, 1) with a dark (class 0) or a bright square (class 1) that moves for three frames."""
    moving = np.zeros((FRAMES, SQUARE, SQUARE + STEP * (FRAMES - 1)))
    for frame in range(FRAMES):
        moving[frame, :, STEP * frame : STEP * frame + SQUARE] = 1
    return _planted((6, 14, 16), [-moving, moving], count, seed)


def _planted(shape, events, count, seed):
    """Return inputs (n, *shape, 1), their classes (n,), and where the events are, (n, *shape) bool.

    A third of the inputs has class 2, without an event: so a high score of a class shows its event, not the absence of
    the other one.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(0, NOISE, (count, *shape)).astype(np.float32)
    classes, places = np.arange(count) % (len(events) + 1), np.zeros(x.shape, bool)
    for i in np.flatnonzero(classes < len(events)):
        event = events[classes[i]]
        starts = [rng.integers(0, side - length + 1) for side, length in zip(shape, event.shape, strict=True)]
        part = (i, *(slice(first, first + length) for first, length in zip(starts, event.shape, strict=True)))
        x[part] += HEIGHT * event
        places[part] = event != 0
    return x[..., None], classes, places


def trained_classifier(layers, sample, count=384, epochs=12, seed=0):
    """A network of the layers that a function returns, with a logit for each class, trained on planted events."""
    x, classes, _ = sample(count, 1)
    keras.utils.set_random_seed(seed)  # before the layers exist, which take the seeds of their weights
    model = keras.Sequential([L.Input(x.shape[1:]), *layers(), L.Dense(2)])
    return _trained(model, x, np.eye(3, 2)[classes], keras.losses.BinaryCrossentropy(from_logits=True), epochs)


def trained_unet(sample, count=384, epochs=12):
    """A U-Net with scores for each voxel, dark, bright and noise, trained on samples of planted balls."""
    x, classes, places = sample(count, 1)
    keras.utils.set_random_seed(0)
    image = L.Input(x.shape[1:])
    down = L.Conv3D(4, 3, padding="same", activation="relu")(image)
    inner = L.Conv3D(8, 3, padding="same", activation="relu")(L.MaxPooling3D(2)(down))
    up = L.concatenate([down, L.Conv3DTranspose(4, 2, strides=2, activation="relu")(inner)])
    last = L.Conv3D(6, 3, padding="same", activation="relu", name="last")(up)
    model = keras.Model(image, L.Conv3D(3, 1)(last))
    classes = np.where(places, classes.reshape(-1, 1, 1, 1), 2)
    return _trained(model, x, classes, keras.losses.SparseCategoricalCrossentropy(from_logits=True), epochs)


def _trained(model, x, y, loss, epochs):
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model
