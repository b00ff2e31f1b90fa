"""Write model files with TensorFlow 2.12 or 2.15, and what that TensorFlow computes with them.

Run it with an old TensorFlow, not with that of this project (`pip install tensorflow-cpu==2.15.1`, Python 3.11):

    python tests/models/keras2/write_files.py files_2.15.tar.xz

`test_old_files.py` opens the files. The archive contains one `.h5` or `.keras` file a model, and `expected.npz` with
the inputs and outputs.
"""

import os
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

keras = tf.keras
L = keras.layers
SUFFIX = ".keras" if tf.__version__.startswith("2.15") else ".h5"
IMAGE, SEQUENCE = (8, 8, 4), (6, 4)

RNG = np.random.default_rng(0)
INPUTS = {
    "image": RNG.normal(size=(2, *IMAGE)).astype("float32"),
    "sequence": RNG.normal(size=(2, *SEQUENCE)).astype("float32"),
    "second": RNG.normal(size=(2, *SEQUENCE)).astype("float32"),
}

ACTIVATIONS = "hard_sigmoid swish gelu elu selu softplus softsign exponential linear relu sigmoid tanh".split()
IMAGE_LAYERS = {
    **{f"Activation_{name}": lambda name=name: L.Activation(name) for name in ACTIVATIONS},
    "ActivityRegularization": lambda: L.ActivityRegularization(0.1),
    **{name: lambda name=name: getattr(L, name)(0.1) for name in "AlphaDropout Dropout GaussianDropout".split()},
    **{name: lambda name=name: getattr(L, name)(0.1) for name in "GaussianNoise SpatialDropout2D".split()},
    **{
        name: lambda name=name: getattr(L, name)()
        for name in """
            AveragePooling2D MaxPooling2D GlobalAveragePooling2D GlobalMaxPooling2D BatchNormalization
            LayerNormalization UnitNormalization ELU LeakyReLU PReLU ReLU Softmax Flatten Cropping2D ZeroPadding2D
            UpSampling2D Masking RandomFlip Identity Normalization""".split()
    },
    **{name: lambda name=name: getattr(L, name)(4, 3) for name in "Conv2D Conv2DTranspose SeparableConv2D".split()},
    **{name: lambda name=name: getattr(L, name)(4, 4) for name in "Resizing CenterCrop RandomCrop".split()},
    **{name: lambda name=name: getattr(L, name)(0.1) for name in "RandomRotation RandomZoom RandomContrast".split()},
    **{name: lambda name=name: getattr(L, name)(0.1) for name in "RandomBrightness RandomHeight RandomWidth".split()},
    "RandomTranslation": lambda: L.RandomTranslation(0.1, 0.1),
    "ThresholdedReLU": lambda: L.ThresholdedReLU(0.1),
    "LeakyReLU_alpha": lambda: L.LeakyReLU(0.1),
    "ReLU_6": lambda: L.ReLU(6.0, 0.1, 0.2),
    "GroupNormalization": lambda: L.GroupNormalization(2),
    "Permute": lambda: L.Permute((2, 1, 3)),
    "Reshape": lambda: L.Reshape((16, 16)),
    "Rescaling": lambda: L.Rescaling(0.5, 1.0),
    "Dense": lambda: L.Dense(3),
    "Conv2D_groups": lambda: L.Conv2D(4, 3, groups=2, padding="same", activation="relu", kernel_regularizer="l2"),
    "Conv2D_options": lambda: L.Conv2D(
        3,
        3,
        dilation_rate=2,
        kernel_initializer=keras.initializers.HeNormal(),
        kernel_constraint=keras.constraints.MaxNorm(2),
        activity_regularizer=keras.regularizers.l1(0.1),
    ),
    "Conv2DTranspose_padding": lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1),
    "DepthwiseConv2D": lambda: L.DepthwiseConv2D(3, depth_multiplier=2, activation=tf.nn.relu6),
    "EinsumDense": lambda: L.EinsumDense("abcd,de->abce", (None, None, 5), bias_axes="e"),
    "BatchNormalization_synchronized": lambda: L.experimental.SyncBatchNormalization(),
    "BatchNormalization_axes": lambda: L.BatchNormalization(axis=[1, 3]),
    "LocallyConnected2D": lambda: L.LocallyConnected2D(3, (2, 3), strides=(2, 1), activation="tanh"),
    "BatchNormalization_frozen": lambda: L.BatchNormalization(trainable=False),
    "UpSampling2D_bilinear": lambda: L.UpSampling2D((2, 3), interpolation="bilinear"),
    "TimeDistributed": lambda: L.TimeDistributed(L.Dense(3, activation="hard_sigmoid")),
    "mixed_policy": lambda: L.Activation("tanh", dtype=keras.mixed_precision.Policy("float32")),
}
if SUFFIX == ".keras":  # Keras 3 looks for its weights by the class name
    del IMAGE_LAYERS["BatchNormalization_synchronized"]
SEQUENCE_LAYERS = {
    **{name: lambda name=name: getattr(L, name)(4, 3) for name in "Conv1D Conv1DTranspose SeparableConv1D".split()},
    **{name: lambda name=name: getattr(L, name)(3) for name in "DepthwiseConv1D LSTM GRU SimpleRNN".split()},
    "Bidirectional_LSTM": lambda: L.Bidirectional(L.LSTM(3, return_sequences=True)),
    "Bidirectional_GRU": lambda: L.Bidirectional(L.GRU(3)),
    "RNN": lambda: L.RNN(L.LSTMCell(3, recurrent_activation="hard_sigmoid")),
    **{
        name: lambda name=name: getattr(L, name)()
        for name in """
            GlobalAveragePooling1D GlobalMaxPooling1D MaxPooling1D AveragePooling1D Cropping1D ZeroPadding1D
            UpSampling1D""".split()
    },
    "SpatialDropout1D": lambda: L.SpatialDropout1D(0.1),
}
PAIR_LAYERS = {
    **{
        name: lambda name=name: getattr(L, name)()
        for name in "Add Subtract Multiply Average Maximum Minimum Concatenate Attention AdditiveAttention".split()
    },
    "Dot": lambda: L.Dot(2),
    "MultiHeadAttention": lambda: L.MultiHeadAttention(2, 3),
    "MultiHeadAttention_axes": lambda: L.MultiHeadAttention(2, 3, 5, output_shape=6, attention_axes=(1,)),
}


def operations():
    """A model with all translated operations of TensorFlow."""
    image = keras.Input((16, 16, 3))
    x = 1.0 - image / 255.0
    x = x * 2.0 - 0.5 + [0.1, 0.2, 0.3] - tf.constant([0.1, 0.2, 0.3])
    x = tf.sqrt((-x) ** 2 + 1.0)
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])[:, 1:-1, 1:-1, ::-1][..., ::-1]
    x = tf.image.resize(tf.image.resize(x, (20, 20)), (16, 16), method="nearest")
    x = tf.nn.relu(L.Conv2D(8, 3, padding="same")(x) + 0.3)
    first, second, third = tf.split(x, [2, 2, 4], axis=-1)
    x = tf.nn.relu6(tf.concat([third, second, first], -1))
    x = tf.nn.selu(tf.nn.elu(tf.nn.gelu(tf.nn.swish(tf.nn.leaky_relu(x - 0.1, 0.1)))))
    x = tf.sigmoid(x) * tf.tanh(tf.nn.softplus(x))
    x = tf.clip_by_value(tf.minimum(tf.maximum(x, 0.01), 0.9), 0.02, 0.8)
    x = tf.math.rsqrt(tf.square(tf.abs(tf.math.log(tf.exp(x)))) + 1.0)
    x = tf.nn.avg_pool2d(tf.identity(tf.cast(x, "float32")), 2, 2, "SAME")
    x = tf.reverse(tf.nn.max_pool2d(x, 2, 1, "VALID"), [1])
    x = tf.transpose(tf.image.flip_left_right(x), [0, 2, 1, 3])
    x = tf.nn.space_to_depth(tf.nn.depth_to_space(x, 2), 2)
    mean, maximum = tf.reduce_mean(x, [1, 2]), tf.squeeze(tf.reduce_max(x, axis=[1, 2], keepdims=True), [1, 2])
    other = [tf.reduce_sum(x, [1, 2]) / 49.0, tf.reduce_min(x, [1, 2]), tf.math.reduce_std(x, [1, 2])]
    tokens = tf.reshape(x, (-1, 49, 8))
    scores = tf.nn.softmax(tf.linalg.matmul(tokens, tf.transpose(tokens, [0, 2, 1])))
    row = tf.tile(tf.expand_dims(scores[:, 0, :3], 1), [1, 2, 1])
    unit = tf.math.truediv(tf.nn.l2_normalize(mean, axis=-1), mean + 1.0)
    small = tf.nn.l2_normalize(1e-4 * mean, axis=-1, epsilon=1e-4)
    row = L.Flatten()(tf.stack([row, row], axis=1))
    joined = tf.concat([mean, maximum, *other, row, tf.stop_gradient(unit), small], 1)
    return keras.Model(image, L.Dense(3)(joined))


def nested(trainable):
    """Four equal convolutions, of which some are frozen, with a normalization, inside a model."""
    inner = keras.Sequential([keras.Input(IMAGE), L.Normalization(name="scaled")], name="inner")
    for i, value in enumerate(trainable):
        inner.add(L.Conv2D(4, 3, padding="same", activation="tanh", name=f"block{i}/conv"))
        inner.add(L.BatchNormalization(name=f"block{i}/norm"))
        inner.layers[-2].trainable = inner.layers[-1].trainable = value
    image = keras.Input(IMAGE)
    return keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(inner(image, training=False))))


def one_container_frozen():
    """A frozen model, one layer of which is trainable again."""
    model = nested([True, True, True, True])
    model.layers[1].trainable = False
    model.layers[1].layers[-2].trainable = True
    return model


def deferred():
    """A model whose file has no input shape."""
    model = keras.Sequential([L.Conv2D(3, 3, activation="hard_sigmoid"), L.Flatten(), L.Dense(2)])
    model(INPUTS["image"])
    return model


def models():
    for name, make in IMAGE_LAYERS.items():
        image = keras.Input(IMAGE)
        yield f"image_{name}", keras.Model(image, make()(image)), ["image"]
    for name, make in SEQUENCE_LAYERS.items():
        sequence = keras.Input(SEQUENCE)
        yield f"sequence_{name}", keras.Model(sequence, make()(sequence)), ["sequence"]
    for name, make in PAIR_LAYERS.items():
        pair = [keras.Input(SEQUENCE), keras.Input(SEQUENCE)]
        output = make()(*pair) if "Head" in name else make()(pair)
        yield f"pair_{name}", keras.Model(pair, output), ["sequence", "second"]
    if SUFFIX == ".h5":  # TensorFlow cannot write some of its operations to `.keras` files
        yield "operations", operations(), ["photo"]
    yield "partly_frozen", nested([False, True, False, True]), ["image"]
    yield "one_container_frozen", one_container_frozen(), ["image"]
    yield "deferred", deferred(), ["image"]


def set_weights(model):
    for weight in model.weights:
        if weight.dtype.is_floating:
            value = RNG.normal(size=weight.shape)
            weight.assign(np.abs(value) + 0.1 if "variance" in weight.name else value)
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def main(archive):
    expected = {f"input_{name}": value for name, value in INPUTS.items()}
    expected["input_photo"] = RNG.uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    with tempfile.TemporaryDirectory() as directory:
        for name, model, inputs in models():
            set_weights(model)
            arrays = [expected[f"input_{key}"] for key in inputs]
            expected[f"inputs_{name}"] = np.array(inputs)
            expected[name] = model(arrays if len(arrays) > 1 else arrays[0], training=False).numpy()
            model.save(Path(directory, name + SUFFIX))
            keras.backend.clear_session()
        np.savez(Path(directory, "expected.npz"), **expected)
        with tarfile.open(archive, "w:xz", preset=9) as tar:
            for file in sorted(os.listdir(directory)):
                tar.add(Path(directory, file), file)


if __name__ == "__main__":
    main(sys.argv[1])
