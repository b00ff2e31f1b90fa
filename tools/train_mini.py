"""Train mini, a slim VGG19 for 32x32 images, on CIFAR-10 and ship it as plain convolutions.

Usage:
    python tools/train_mini.py --data cifar10_jpeg.zip --out DIR [--epochs 75] [--seed 7] [--resume] [--note TEXT]

The archive holds train/<class>/*.jpg and test/<class>/*.jpg; only the training half is read here, and 2,000 of its
images are held out for the accuracy in log.csv. Sixteen plain convolutions learn slowly; three things that leave no
trace in the network make them learn fast: batch normalization, a kernel that starts from the identity (the Dirac
parametrization of Zagoruyko and Komodakis, 2017, arXiv:1706.00388), and steps of equal size in all directions (Muon,
Jordan et al., 2024). Identity and normalization are folded into the convolutions at the end: what is written has the
layers of VGG19 and nothing else. The batches are drawn anew each epoch with the object at varied scale, place and
background, so that a class map has something to find.

Written to DIR: checkpoint.npz (after every epoch, for --resume), log.csv, mini.npz (float16) and mini.json, its card.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import platform
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image
from scipy import ndimage

from gradcam_cli.models.labels import CIFAR10
from gradcam_cli.models.mini import BLOCKS, POOLED, SIDE, build_mini, features
from gradcam_cli.network.precision import has_bfloat16

CLASSES = CIFAR10.names
EARLY_SIDE, EARLY_SHARE = 24, 0.55  # the first epochs see smaller images, at half the cost
HELD_OUT = 2000
BATCH = 256
PEAK_RATE, WARM_UP = 0.08, 0.15
ADAM_SHARE = 0.04  # of the rate, for what is no convolution
SMOOTHING = 0.05
EPSILON, NORM_MOMENTUM = 1e-3, 0.98


class Shares(NamedTuple):
    """How many of the objects are shown small, zoomed, and partly hidden."""

    small: float
    zoomed: float
    occluded: float


VARIED, GENTLE = Shares(0.1, 0.25, 0.2), Shares(0.05, 0.15, 0.0)
GENTLE_EPOCHS = 8  # the last ones, so that the network fits what it is tested on


def unit_filters(kernel: keras.Variable) -> tf.Tensor:
    """Scale a kernel, (9 c, k), so that the root mean square of its filters' norms is one."""
    return kernel * (float(kernel.shape[1]) ** 0.5 / keras.ops.norm(kernel))


class DiracConv2D(layers.Layer):  # type: ignore[misc]
    """A 3x3 convolution whose kernel is a learned one, of fixed norm, plus the identity times a learned share.

    The kernel is kept as a matrix (9 c, k), as Muon takes it. Where the width changes there is no identity to add.
    """

    def __init__(self, width: int, name: str) -> None:
        super().__init__(name=name)
        self.width = width

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the learned kernel and, where the width stays, the identity's shares."""
        self.shape = (3, 3, input_shape[-1], self.width)
        self.kernel = self.add_weight(
            name="kernel", shape=(9 * self.shape[2], self.width), initializer="he_normal", constraint=unit_filters
        )
        self.identity = np.zeros(self.shape, np.float32)
        if self.shape[2] == self.width:
            self.identity[1, 1] = np.eye(self.width)
            self.share = self.add_weight(name="share", shape=(self.width,), initializer="ones")

    def plain_kernel(self) -> tf.Tensor:
        """Compute the kernel of the convolution that this is, (3, 3, c, k)."""
        kernel = tf.reshape(self.kernel, self.shape)
        return kernel + tf.cast(self.identity, kernel.dtype) * self.share if self.identity.any() else kernel

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolve."""
        return tf.nn.conv2d(x, tf.cast(self.plain_kernel(), x.dtype), 1, "SAME")


class FusedNorm(layers.Layer):  # type: ignore[misc]
    """Batch normalization by TensorFlow's fused kernel, in bfloat16 twice as fast on a CPU as Keras' own layer."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make scale, offset and the moving statistics, all float32."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False, dtype="float32")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False, dtype="float32")
        kept = {"shape": shape, "trainable": False, "autocast": False, "dtype": "float32"}
        self.mean = self.add_weight(name="mean", initializer="zeros", **kept)
        self.variance = self.add_weight(name="variance", initializer="ones", **kept)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalize with the batch's statistics in training, with the moving ones otherwise."""
        kept = ([], []) if training else (self.mean.value, self.variance.value)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=self.gamma.value, offset=self.beta.value, mean=kept[0], variance=kept[1],
            epsilon=EPSILON, is_training=training,
        )  # fmt: skip
        if training:
            self.mean.assign(self.mean * NORM_MOMENTUM + mean * (1 - NORM_MOMENTUM))
            self.variance.assign(self.variance * NORM_MOMENTUM + variance * (1 - NORM_MOMENTUM))
        return y


def normalized(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Add one 3x3 convolution with its normalization and ReLU."""
    return layers.ReLU(name=f"{name}_relu")(FusedNorm(name=f"{name}_norm")(DiracConv2D(width, name)(x)))


def build_trained() -> keras.Model:
    """Build the network as it is trained: normalized, for images of any size, to logits."""
    x = keras.Input((None, None, 3), name="image")
    y = layers.Dense(len(CLASSES), dtype="float32", name="predictions")(features(x, normalized))
    return keras.Model(x, y, name="mini_trained")


def fold(trained: keras.Model) -> dict[str, np.ndarray]:
    """Fold identity and normalization into each convolution and return the arrays build_mini() takes."""
    arrays: dict[str, np.ndarray] = {}
    for layer in trained.layers:
        if isinstance(layer, DiracConv2D):
            norm = trained.get_layer(f"{layer.name}_norm")
            gamma, beta, mean, variance = (np.float64(w.numpy()) for w in norm.weights)
            factor = gamma / np.sqrt(variance + EPSILON)
            arrays[f"{layer.name}/kernel"] = (layer.plain_kernel().numpy() * factor).astype(np.float32)
            arrays[f"{layer.name}/bias"] = (beta - mean * factor).astype(np.float32)
    arrays["predictions/kernel"], arrays["predictions/bias"] = trained.get_layer("predictions").get_weights()
    return arrays


def logits(mini: keras.Model, x: np.ndarray) -> np.ndarray:
    """Compute what the shipped network's softmax is taken of."""
    kernel, bias = mini.get_layer("predictions").get_weights()
    pooled = keras.Model(mini.input, mini.get_layer("avg_pool").output).predict(x, verbose=0)
    return np.asarray(pooled @ kernel + bias)


def read_images(archive: Path, half: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode one half ("train" or "test") of the archive into uint8 images and class numbers."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(n for n in files.namelist() if n.startswith(f"{half}/") and n.endswith(".jpg"))
        images = [np.asarray(Image.open(io.BytesIO(files.read(n))).convert("RGB")) for n in names]
    return np.stack(images), np.array([CLASSES.index(n.split("/")[1]) for n in names], np.int32)


def patterns(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Draw plain planes, gradients, stripes, checks and smooth or fine noise, from 0 to 1."""
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    angle, waves, phase = rng.uniform(0, 2 * np.pi, (3, count, 1, 1)).astype(np.float32)
    along = np.cos(angle) * ramp[:, None] + np.sin(angle) * ramp
    across = np.sin(angle) * ramp[:, None] - np.cos(angle) * ramp
    stripes, checks = (np.sin((1 + 3 * waves) * line + phase) for line in (along, across))
    sharp = rng.uniform(1, 20, (count, 1, 1)).astype(np.float32)
    checks, stripes = np.tanh(sharp * stripes * checks), np.tanh(sharp * stripes)
    smooth = [(grid, rng.normal(0, 0.8, (count // 3 + 1, grid, grid)).astype(np.float32)) for grid in (4, 10, side)]
    noise = np.concatenate([ndimage.zoom(v, (1, side / g, side / g), order=1) for g, v in smooth])[:count]
    kinds = np.stack([np.zeros_like(along), along, stripes, checks, noise])
    return np.clip(kinds[rng.integers(0, len(kinds), count), np.arange(count)] / 2 + 0.5, 0, 1)


def make_canvases(rng: np.random.Generator, images: np.ndarray, count: int, side: int) -> np.ndarray:
    """Draw backgrounds: patterns between two colours, blurred images, sums of both, some with colour noise on top."""
    first, second = rng.uniform(0, 255, (2, count, 1, 1, 3)).astype(np.float32)
    drawn = first + patterns(rng, count, side)[..., None] * (second - first)
    picked = images[rng.integers(0, len(images), count)].reshape(count, 4, 8, 4, 8, 3).mean((2, 4), dtype=np.float32)
    blurred = ndimage.zoom(picked, (1, side / 4, side / 4, 1), order=1, grid_mode=True, mode="nearest")
    share = np.clip(rng.uniform(-1.2, 1.6, (count, 1, 1, 1)), 0, 1).astype(np.float32)
    strength = np.clip(rng.uniform(-60, 60, (count, 1, 1, 1)), 0, None).astype(np.float32)
    grain = rng.standard_normal((count, side, side, 3), np.float32) * strength
    canvases: np.ndarray = np.clip(drawn + share * (blurred - drawn) + grain, 0, 255)
    return canvases.astype(np.uint8)


def coverage(left: tf.Tensor, length: tf.Tensor, side: int) -> tf.Tensor:
    """Compute how much of each pixel lies in a box, from its corner and side lengths (n, 2), as (n, side, side, 1)."""
    pixel = tf.range(side, dtype=tf.float32)[None, :, None]
    low, high = left[:, None, :], (left + length)[:, None, :]
    inside = tf.clip_by_value(tf.minimum(pixel + 1, high) - tf.maximum(pixel, low), 0, 1)
    return (inside[:, :, 1, None] * inside[:, None, :, 0])[..., None]


def draw_boxes(u: tf.Tensor, side: int, shares: Shares) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Choose where the object lies: small inside the picture, filling it, or cut by its borders.

    Args:
        u: uniform numbers, (n, 5).
        side: the picture's side in pixels.
        shares: how many are small and zoomed.

    Returns:
        Which objects are small (n, 1), and corner and side lengths of the boxes (n, 2) in pixels, x before y.
    """
    small, zoomed = u[:, :1] < shares.small, u[:, :1] > 1 - shares.zoomed
    scale = tf.where(small, 0.35 + 0.55 * u[:, 1:2], tf.where(zoomed, 1 + 0.6 * u[:, 1:2], 1.0))
    aspect = tf.where(small | zoomed, tf.exp(0.3 * (u[:, 2:3] - 0.5)), 1.0)
    length = side * tf.concat([scale * aspect, scale / aspect], 1)
    spare, border = side - length, tf.where(small, 0.0, side / 8)
    left = tf.minimum(spare, 0) - border + u[:, 3:5] * (tf.abs(spare) + 2 * border)
    return small, left, length


def project(images: tf.Tensor, left: tf.Tensor, length: tf.Tensor, side: int) -> tf.Tensor:
    """Resample square images so that each fills its box, smoothed first by as much as it shrinks."""
    source = images.shape[1]
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    smooth = tf.nn.avg_pool2d(tf.nn.avg_pool2d(padded, 2, 1, "VALID"), 2, 1, "VALID")
    step = source / length
    share = tf.clip_by_value(tf.reduce_mean(step, 1) - 1, 0, 1)[:, None, None, None]
    start, none = (0.5 - left) * step - 0.5, tf.zeros_like(step[:, 0])
    rows = [step[:, 0], none, start[:, 0], none, step[:, 1], start[:, 1], none, none]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images + share * (smooth - images), transforms=tf.stack(rows, 1), output_shape=[side, side],
        interpolation="BILINEAR", fill_mode="REFLECT", fill_value=0.0,
    )  # fmt: skip


def jitter(x: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
    """Change saturation, contrast and brightness a little, with uniform numbers (n, 3)."""
    saturation, contrast, light = tf.split(u[:, None, None, :], 3, -1)
    grey = tf.reduce_mean(x, -1, keepdims=True)
    x = grey + (x - grey) * (0.7 + 0.6 * saturation) - 127.5
    return tf.clip_by_value(x * (0.8 + 0.4 * contrast) + 127.5 + 50 * (light - 0.5), 0, 255)


def augment(images: tf.Tensor, canvases: tf.Tensor, u: tf.Tensor, side: int, shares: Shares) -> tf.Tensor:
    """Make one training batch from uint8 images and backgrounds with uniform numbers (n, 13)."""
    images, canvases = tf.cast(images, tf.float32), tf.cast(canvases, tf.float32)
    images = tf.where(u[:, :1, None, None] < 0.5, images, images[:, :, ::-1])
    small, left, length = draw_boxes(u[:, 1:6], side, shares)
    shown = tf.where(small[..., None, None], coverage(left, length, side), 1.0)
    hidden = tf.where(u[:, 6:7] < shares.occluded, side * (0.15 + 0.25 * u[:, 9:10]), 0.0)
    shown *= 1 - coverage(side * u[:, 7:9] - hidden / 2, tf.tile(hidden, [1, 2]), side)
    x = canvases + shown * (project(images, left, length, side) - canvases)
    return jitter(x, u[:, 10:13]) / 127.5 - 1


class Trainer:
    """The network, its optimizer and the epochs done; each epoch's random numbers follow from seed and epoch alone."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(images))
        self.held, self.used = order[:HELD_OUT], order[HELD_OUT:]
        self.images, self.labels = images, labels
        self.epochs, self.seed, self.done = epochs, seed, 0
        self.log: list[tuple[float, ...]] = []
        self.steps = len(self.used) // BATCH
        self.model = build_trained()
        self.optimizer = keras.optimizers.Muon(
            0.0, weight_decay=None, adam_weight_decay=0.0, adam_lr_ratio=ADAM_SHARE, exclude_layers=["predictions"],
            momentum=0.6, ns_steps=4, rms_rate=None,
        )  # fmt: skip
        self.optimizer.build(self.model.trainable_variables)
        self.loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
        self.pixels = tf.constant(images)

    @tf.function  # type: ignore[untyped-decorator]
    def step(self, x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Take one step down the loss and return it."""
        with tf.GradientTape() as tape:
            loss = self.loss(tf.one_hot(labels, len(CLASSES)), self.model(x, training=True))
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def batches(self, side: int) -> tf.data.Dataset:
        """Prepare the epoch's augmented batches, one ahead of the network."""
        rng = np.random.default_rng((self.seed, self.done))
        canvases = tf.constant(make_canvases(rng, self.images, 2048, side))
        shares = VARIED if self.done < self.epochs - GENTLE_EPOCHS else GENTLE
        chosen = rng.permutation(self.used)[: self.steps * BATCH].reshape(-1, BATCH)

        def make(step: tf.Tensor, chosen: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            u = tf.random.stateless_uniform((BATCH, 14), tf.stack([tf.constant(self.seed, tf.int64), step]))
            behind = tf.gather(canvases, tf.cast(u[:, 13] * len(canvases), tf.int32))
            return augment(tf.gather(self.pixels, chosen), behind, u[:, :13], side, shares), labels

        first = self.done * self.steps
        data = tf.data.Dataset.from_tensor_slices((np.arange(first, first + self.steps), chosen, self.labels[chosen]))
        return data.map(make).prefetch(2)

    def rate(self, step: int) -> float:
        """Compute the learning rate of a step: a linear rise, then a linear fall to nothing."""
        share = (self.done * self.steps + step + 1) / (self.epochs * self.steps + 1)
        return PEAK_RATE * min(share / WARM_UP, (1 - share) / (1 - WARM_UP))

    def accuracy(self) -> float:
        """Measure the share of held-out images classified correctly."""
        found = [self.model(self.images[i] / np.float32(127.5) - 1) for i in np.split(self.held, 8)]
        return float(np.mean(np.argmax(np.concatenate(found), 1) == self.labels[self.held]))

    def epoch(self) -> None:
        """Train one epoch and log it."""
        begun, losses = time.monotonic(), []
        side = EARLY_SIDE if self.done < EARLY_SHARE * self.epochs else SIDE
        for step, (x, labels) in enumerate(self.batches(side)):
            self.optimizer.learning_rate.assign(self.rate(step))
            losses.append(self.step(x, labels))
        self.done += 1
        seconds = time.monotonic() - begun
        self.log.append((self.done, round(seconds, 1), round(float(np.mean(losses)), 4), round(self.accuracy(), 4)))

    def variables(self) -> list[keras.Variable]:
        """List all that a checkpoint keeps."""
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, path: Path) -> None:
        """Write a checkpoint beside the old one and put it in its place."""
        arrays = {f"{number:03d}": v.numpy() for number, v in enumerate(self.variables())}
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, seed=self.seed, epochs=self.epochs, log=np.array(self.log), **arrays)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Take up a checkpoint."""
        with np.load(path) as kept:
            if int(kept["seed"]) != self.seed:
                raise SystemExit(f"{path} was written with --seed {kept['seed']}")
            for number, v in enumerate(self.variables()):
                v.assign(kept[f"{number:03d}"])
            self.log = [(int(row[0]), *map(float, row[1:])) for row in kept["log"]]
        self.done = len(self.log)


def write_log(path: Path, log: list[tuple[float, ...]]) -> None:
    """Write a line an epoch."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("epoch", "seconds", "train_loss", "held_out_accuracy"), *log])


def fold_difference(model: keras.Model, mini: keras.Model, images: np.ndarray) -> float:
    """Compute the largest difference of logits between the trained network and the folded one, both in float32."""
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("float32")
    plain = build_trained()
    keras.mixed_precision.set_global_policy(policy)
    plain.set_weights(model.get_weights())
    x = images / np.float32(127.5) - 1
    return float(np.abs(plain.predict(x, verbose=0) - logits(mini, x)).max())


def describe(trainer: Trainer, mini: keras.Model, weights: Path, difference: float, note: str) -> dict[str, object]:
    """Say in the card what the weights are and where they come from."""
    return {
        "name": "mini",
        "data": "CIFAR-10 as JPEG files, 40,000 training images of which 2,000 were held out",
        "licence": "CIFAR-10: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. "
        "The weights were made by this project with train_mini.py and carry its licence.",
        "classes": CLASSES,
        "input": {"side": SIDE, "resize": "bilinear with antialiasing, squashed", "pixels": "x / 127.5 - 1"},
        "channels": [width for width, _ in BLOCKS],
        "poolings": [f"block{block}_pool" for block in POOLED],
        "parameters": mini.count_params(),
        "epochs": trainer.done,
        "seconds": round(sum(row[1] for row in trainer.log)),
        "seed": trainer.seed,
        "precision": trainer.model.get_layer("block1_conv1").dtype_policy.name,
        "held_out_accuracy": trainer.log[-1][3],
        "fold_difference": difference,
        "stored_as": "float16",
        "note": note,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__,
                     "keras": keras.__version__, "numpy": np.__version__},
    }  # fmt: skip


def ship(trainer: Trainer, out: Path, note: str) -> None:
    """Fold the network, compare it with the unfolded one, and write weights and card."""
    keras.mixed_precision.set_global_policy("float32")
    weights = out / "mini.npz"
    arrays = fold(trainer.model)
    np.savez(weights, allow_pickle=False, **arrays)
    exact = build_mini(weights)
    difference = fold_difference(trainer.model, exact, trainer.images[trainer.held[:64]])
    print(f"largest difference of logits, folded and unfolded, on 64 images: {difference:.2e}")
    np.savez(weights, allow_pickle=False, **{name: array.astype(np.float16) for name, array in arrays.items()})
    card = describe(trainer, exact, weights, difference, note)
    (out / "mini.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Train, from the start or from a checkpoint, and write what is shipped."""
    parser = argparse.ArgumentParser(description="train mini, a slim VGG19, on CIFAR-10")
    parser.add_argument("--data", type=Path, required=True, help="the archive cifar10_jpeg.zip")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--epochs", type=int, default=75)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true", help="go on from DIR/checkpoint.npz")
    parser.add_argument("--note", default="", help="a remark for the card")
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if has_bfloat16() else "float32")
    trainer = Trainer(*read_images(given.data, "train"), given.epochs, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.resume:
        trainer.load(given.out / "checkpoint.npz")
    while trainer.done < given.epochs:
        trainer.epoch()
        trainer.save(given.out / "checkpoint.npz")
        write_log(given.out / "log.csv", trainer.log)
        print("epoch {}: {} s, loss {}, held-out accuracy {}".format(*trainer.log[-1]), flush=True)
    ship(trainer, given.out, given.note)


if __name__ == "__main__":
    main()
