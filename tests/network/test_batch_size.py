"""The default batch size, from the model's activations and the free memory."""

import types

import keras
import pytest

from gradcam_cli.network import batch_size


def convolution(side, channels):
    x = keras.Input((side, side, 3))
    return keras.Model(x, keras.layers.Conv2D(channels, 3, padding="same")(x))


@pytest.fixture
def free(monkeypatch):
    """Set the free memory, in bytes."""

    def set_free(available):
        monkeypatch.setattr(batch_size.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=available))

    set_free(2**40)
    return set_free


@pytest.mark.parametrize(
    ("side", "channels", "expected"),
    [
        (256, 256, 16),  # 64 MiB per image: 1 GiB is 16 images
        (256, 250, 16),  # rounded down to a power of two
        (8, 4, 64),  # 1 KiB per image: at most 64
        (2048, 128, 1),  # 2 GiB per image: at least one
    ],
)
def test_activations_fill_a_gigabyte(free, side, channels, expected):
    assert batch_size.default_batch_size(convolution(side, channels), (side, side, 3)) == expected


def test_little_memory_makes_small_batches(free):
    """With 1 GiB free, the target is an eighth of it: two images of 64 MiB."""
    free(2**30)
    assert batch_size.default_batch_size(convolution(256, 256), (256, 256, 3)) == 2


def test_variable_input_size_uses_the_given_size(free):
    x = keras.Input((None, None, 3))
    model = keras.Model(x, keras.layers.Conv2D(256, 3, padding="same")(x))
    assert batch_size.default_batch_size(model, (256, 256, 3)) == 16


def test_vgg19_gets_16(free):
    assert batch_size.default_batch_size(keras.applications.VGG19(weights=None), (224, 224, 3)) == 16


def test_subclassed_model_gets_8(free):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x[:, 0, 0])

    assert batch_size.default_batch_size(Subclassed(), (8, 8, 3)) == 8
