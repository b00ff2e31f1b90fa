"""Train the built-in model `mini`, a slim VGG19 for 32x32 images, on CIFAR-10.

Usage:
    python tools/train_mini.py --data cifar10_jpeg.zip --out DIR [--epochs 75] [--seed 7] [--resume] [--note TEXT]

The archive contains train/<class>/*.jpg and test/<class>/*.jpg. Only the training images are read; 2,000 of them are
held out for the accuracy in log.csv. The optimizer is Muon (Jordan et al., 2024). `mini_network` describes the model
during training, `mini_augmentation` the inputs.

Writes to DIR: checkpoint.npz after every epoch, log.csv, the weights mini.npz in float16, and the model card mini.json.
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

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from mini_augmentation import STRONG, WEAK, augment, draw_backgrounds
from mini_network import build_training_model, fold, fold_difference
from PIL import Image

from gradcam_cli.models.labels import CIFAR10
from gradcam_cli.models.mini import BLOCKS, POOLED, SIDE, build_mini
from gradcam_cli.network.precision import has_bfloat16

CLASSES = CIFAR10.names
EARLY_SIDE, EARLY_FRACTION = 24, 0.55  # the first epochs use smaller images, at half the cost
NUM_HELD_OUT = 2000
BATCH_SIZE = 256
NUM_BACKGROUNDS = 2048
PEAK_LEARNING_RATE, WARM_UP = 0.08, 0.15
ADAM_RATIO = 0.04  # learning rate of the variables that are not kernels, relative to Muon's
LABEL_SMOOTHING = 0.05
WEAK_EPOCHS = 8  # the last epochs, with inputs similar to the test images


def read_images(archive: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode the split `train` or `test` of the archive: images (n, 32, 32, 3) uint8 and class indices (n,)."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(n for n in files.namelist() if n.startswith(f"{split}/") and n.endswith(".jpg"))
        images = [np.asarray(Image.open(io.BytesIO(files.read(n))).convert("RGB")) for n in names]
    return np.stack(images), np.array([CLASSES.index(n.split("/")[1]) for n in names], np.int32)


class Trainer:
    """Model, optimizer and completed epochs. The random numbers of an epoch depend on its number and the seed only."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(images))
        self.held_out, self.training = order[:NUM_HELD_OUT], order[NUM_HELD_OUT:]
        self.images, self.labels = images, labels
        self.epochs, self.seed, self.epochs_done = epochs, seed, 0
        self.log: list[tuple[float, ...]] = []
        self.steps_per_epoch = len(self.training) // BATCH_SIZE
        self.model = build_training_model()
        self.optimizer = keras.optimizers.Muon(
            0.0, weight_decay=None, adam_weight_decay=0.0, adam_lr_ratio=ADAM_RATIO, exclude_layers=["predictions"],
            momentum=0.6, ns_steps=4, rms_rate=None,
        )  # fmt: skip
        self.optimizer.build(self.model.trainable_variables)
        self.loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING)
        self.pixels = tf.constant(images)

    @tf.function  # type: ignore[untyped-decorator]
    def train_step(self, x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Update the weights by one batch and return its loss."""
        with tf.GradientTape() as tape:
            loss = self.loss(tf.one_hot(labels, len(CLASSES)), self.model(x, training=True))
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def batches(self, side: int) -> tf.data.Dataset:
        """Return the augmented batches of the next epoch, prefetched."""
        rng = np.random.default_rng((self.seed, self.epochs_done))
        backgrounds = tf.constant(draw_backgrounds(rng, self.images, NUM_BACKGROUNDS, side))
        fractions = STRONG if self.epochs_done < self.epochs - WEAK_EPOCHS else WEAK
        indices = rng.permutation(self.training)[: self.steps_per_epoch * BATCH_SIZE].reshape(-1, BATCH_SIZE)

        def make_batch(step: tf.Tensor, indices: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            u = tf.random.stateless_uniform((BATCH_SIZE, 14), tf.stack([tf.constant(self.seed, tf.int64), step]))
            background = tf.gather(backgrounds, tf.cast(u[:, 13] * len(backgrounds), tf.int32))
            return augment(tf.gather(self.pixels, indices), background, u[:, :13], side, fractions), labels

        first = self.epochs_done * self.steps_per_epoch
        steps = np.arange(first, first + self.steps_per_epoch)
        return tf.data.Dataset.from_tensor_slices((steps, indices, self.labels[indices])).map(make_batch).prefetch(2)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step of the epoch: linear warm-up, then linear decay to zero."""
        progress = (self.epochs_done * self.steps_per_epoch + step + 1) / (self.epochs * self.steps_per_epoch + 1)
        return PEAK_LEARNING_RATE * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))

    def held_out_accuracy(self) -> float:
        """Return the top-1 accuracy on the held-out images, 0 to 1."""
        logits = [self.model(self.images[i] / np.float32(127.5) - 1) for i in np.split(self.held_out, 8)]
        return float(np.mean(np.argmax(np.concatenate(logits), 1) == self.labels[self.held_out]))

    def train_epoch(self) -> None:
        """Train one epoch and append its row to the log."""
        start, losses = time.monotonic(), []
        side = EARLY_SIDE if self.epochs_done < EARLY_FRACTION * self.epochs else SIDE
        for step, (x, labels) in enumerate(self.batches(side)):
            self.optimizer.learning_rate.assign(self.learning_rate(step))
            losses.append(self.train_step(x, labels))
        self.epochs_done += 1
        seconds, loss = time.monotonic() - start, float(np.mean(losses))
        self.log.append((self.epochs_done, round(seconds, 1), round(loss, 4), round(self.held_out_accuracy(), 4)))

    def variables(self) -> list[keras.Variable]:
        """Return the variables of a checkpoint."""
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, path: Path) -> None:
        """Replace the checkpoint atomically."""
        arrays = {f"{number:03d}": variable.numpy() for number, variable in enumerate(self.variables())}
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, seed=self.seed, epochs=self.epochs, log=np.array(self.log), **arrays)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Restore a checkpoint; exits if its seed differs."""
        with np.load(path) as checkpoint:
            if int(checkpoint["seed"]) != self.seed:
                raise SystemExit(f"{path} was written with --seed {checkpoint['seed']}")
            for number, variable in enumerate(self.variables()):
                variable.assign(checkpoint[f"{number:03d}"])
            self.log = [(int(row[0]), *map(float, row[1:])) for row in checkpoint["log"]]
        self.epochs_done = len(self.log)


def write_csv_log(path: Path, log: list[tuple[float, ...]]) -> None:
    """Write one row per epoch."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("epoch", "seconds", "train_loss", "held_out_accuracy"), *log])


def model_card(trainer: Trainer, mini: keras.Model, weights: Path, difference: float, note: str) -> dict[str, object]:
    """Return the model card: data, architecture, training and versions."""
    return {
        "name": "mini",
        "data": "CIFAR-10 as JPEG files, 40,000 training images of which 2,000 were held out",
        "license": "CIFAR-10: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. "
        "The weights were trained by this project with tools/train_mini.py and have its license.",
        "classes": CLASSES,
        "input": {"side": SIDE, "resize": "bilinear with antialiasing, squashed", "pixels": "x / 127.5 - 1"},
        "channels": [channels for channels, _ in BLOCKS],
        "poolings": [f"block{block}_pool" for block in POOLED],
        "parameters": mini.count_params(),
        "epochs": trainer.epochs_done,
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


def write_model(trainer: Trainer, out: Path, note: str) -> None:
    """Fold the model, compare its logits with the training model, and write mini.npz and mini.json."""
    keras.mixed_precision.set_global_policy("float32")
    weights = out / "mini.npz"
    arrays = fold(trainer.model)
    np.savez(weights, allow_pickle=False, **arrays)
    mini = build_mini(weights)
    difference = fold_difference(trainer.model, mini, trainer.images[trainer.held_out[:64]])
    print(f"maximum difference of logits after folding, 64 images: {difference:.2e}")
    np.savez(weights, allow_pickle=False, **{name: array.astype(np.float16) for name, array in arrays.items()})
    card = model_card(trainer, mini, weights, difference, note)
    (out / "mini.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Train from scratch or from a checkpoint, and write the model."""
    parser = argparse.ArgumentParser(description="Train mini, a slim VGG19, on CIFAR-10.")
    parser.add_argument("--data", type=Path, required=True, help="the archive cifar10_jpeg.zip")
    parser.add_argument("--out", type=Path, required=True, help="output directory")
    parser.add_argument("--epochs", type=int, default=75)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true", help="resume from checkpoint.npz of the output directory")
    parser.add_argument("--note", default="", help="remark for the model card")
    args = parser.parse_args()
    keras.utils.set_random_seed(args.seed)
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if has_bfloat16() else "float32")
    trainer = Trainer(*read_images(args.data, "train"), args.epochs, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.resume:
        trainer.load(args.out / "checkpoint.npz")
    while trainer.epochs_done < args.epochs:
        trainer.train_epoch()
        trainer.save(args.out / "checkpoint.npz")
        write_csv_log(args.out / "log.csv", trainer.log)
        print("epoch {}: {} s, loss {}, held-out accuracy {}".format(*trainer.log[-1]), flush=True)
    write_model(trainer, args.out, args.note)


if __name__ == "__main__":
    main()
