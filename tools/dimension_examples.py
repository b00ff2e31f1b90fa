"""Write the examples of docs/dimensions.md: a signal, a volume and a film, each with a network trained on such.

Usage:
    python tools/dimension_examples.py [DIR]

All three are made by formulas. The signal is like an electrocardiogram in which one beat comes too early and is wide;
the volume is like a scan of a chest in which one lung has a ball; in the film, one of several squares moves. Each
network learns whether there is such an event, not where it is. Writes ecg.wav, scan.nii.gz and walk.gif into
DIR, by default examples, with ecg.keras, scan.keras, walk.keras and the names of their classes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import nibabel
import numpy as np
from PIL import Image
from scipy.io import wavfile

SEED = 0
RATE, SIGNAL_SIDE, RECORDING = 125, 512, 2500
"""Samples per second, of an input of the network and of the recording: 4 and 20 s."""
VOLUME_SIDE, SPACING = 24, (1.5, 1.5, 3.0)
"""Voxels along each axis of an input, and the millimeters along the columns, rows and slices of the scan."""
FRAMES, FILM_SIDE, SQUARE = 12, 32, 5
"""Frames of an input and of the film, their sides, and those of a square, in pixels."""
FPS = 8


def main() -> None:
    """Train the networks and write the files."""
    target = Path(sys.argv[1] if sys.argv[1:] else "examples")
    target.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    for name, classes, write in (
        ("ecg", ("regular", "early beat"), write_signal),
        ("scan", ("no ball", "ball"), write_volume),
        ("walk", ("still", "moving"), write_film),
    ):
        network, accuracy = write(target, rng)
        network.save(target / f"{name}.keras")
        (target / f"{name}.labels.txt").write_text("\n".join(classes) + "\n")
        print(f"{name}: accuracy {accuracy:.3f} on new inputs")


def write_signal(target: Path, rng: np.random.Generator) -> tuple[keras.Model, float]:
    """Write the recording; return the network and its accuracy on new inputs."""
    recording, _ = electrocardiogram(rng, RECORDING, early=True, place=0.62)
    wavfile.write(target / "ecg.wav", RATE, np.round(recording * 16384).astype(np.int16))
    layers = [keras.Input((SIGNAL_SIDE, 1))]
    for filters in (16, 32, 32):
        layers += [keras.layers.Conv1D(filters, 9, padding="same", activation="relu"), keras.layers.MaxPooling1D()]
    return trained(layers, lambda n: signals(rng, n), 3000, 15)


def signals(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n inputs (n, T, 1) and whether a beat is early."""
    early = rng.integers(0, 2, n)
    made = [electrocardiogram(rng, SIGNAL_SIDE, early=bool(each), place=rng.uniform(0.15, 0.85))[0] for each in early]
    return np.stack(made)[..., None], early


def electrocardiogram(rng: np.random.Generator, T: int, *, early: bool, place: float) -> tuple[np.ndarray, float]:
    """Return T samples in about -1..1 with a beat every 0.7 to 0.9 s, and the time of the early beat in s."""
    seconds = np.arange(T) / RATE
    period = rng.uniform(0.7, 0.9)
    beats = np.arange(rng.uniform(-period, 0), seconds[-1] + period, period)
    beats += rng.normal(0, 0.015, len(beats))
    signal = 0.03 * np.sin(2 * np.pi * 0.25 * seconds + rng.uniform(0, 6)) + rng.normal(0, 0.015, T)
    hit = int(np.argmin(np.abs(beats - place * seconds[-1])))
    for i, beat in enumerate(beats):
        if early and i == hit:
            beat -= 0.3 * period
            signal += bump(seconds, beat, 0.045, 0.75) - bump(seconds, beat + 0.13, 0.06, 0.45)
            continue
        signal += bump(seconds, beat - 0.17, 0.025, 0.1)  # P, then Q, R, S and T
        signal += bump(seconds, beat, 0.011, 0.7) - bump(seconds, beat - 0.025, 0.008, 0.1)
        signal += bump(seconds, beat + 0.27, 0.045, 0.2) - bump(seconds, beat + 0.028, 0.009, 0.18)
    return signal.astype(np.float32), float(beats[hit] - 0.3 * period)


def bump(seconds: np.ndarray, center: float, width: float, height: float) -> np.ndarray:
    """Return a Gaussian curve."""
    curve: np.ndarray = height * np.exp(-0.5 * ((seconds - center) / width) ** 2)
    return curve


def write_volume(target: Path, rng: np.random.Generator) -> tuple[keras.Model, float]:
    """Write the scan; return the network and its accuracy on new inputs."""
    scan = chest(rng, (40, 96, 120))
    add_ball(scan, (22, 40, 82), 4.5)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -np.array(SPACING) * (120, 96, 40) / 2
    image = nibabel.Nifti1Image(np.round(scan.transpose(2, 1, 0)).astype(np.int16), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, target / "scan.nii.gz")
    layers = [keras.Input((VOLUME_SIDE,) * 3 + (1,)), keras.layers.Rescaling(1 / 500, 1)]
    for filters in (8, 16, 32):
        layers += [keras.layers.Conv3D(filters, 3, padding="same", activation="relu")]
        layers += [keras.layers.MaxPooling3D()] if filters < 32 else []
    return trained(layers, lambda n: volumes(rng, n), 1200, 20)


def volumes(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n parts (n, D, H, W, 1) of scans in Hounsfield units, and whether they have a ball."""
    found = rng.integers(0, 2, n)
    scans = [chest(rng, (40, 96, 120)) for _ in range(24)]
    parts = []
    for has_ball in found:
        scan = scans[rng.integers(len(scans))]
        lung = np.argwhere((scan > -900) & (scan < -700))
        lung = lung[rng.integers(len(lung))]
        starts = [
            np.clip(place - rng.integers(4, VOLUME_SIDE - 4), 0, length - VOLUME_SIDE)
            for place, length in zip(lung, scan.shape, strict=True)
        ]
        part = scan[tuple(slice(start, start + VOLUME_SIDE) for start in starts)].copy()
        if has_ball:
            add_ball(part, lung - starts, rng.uniform(3, 5.5))
        parts.append(part + rng.normal(0, 15, part.shape))
    return np.stack(parts)[..., None].astype(np.float32), found


def chest(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Return a scan (D, H, W) in Hounsfield units: air, a body, two lungs, a spine, and vessels that are long."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    scan = np.where((x / 0.92) ** 2 + (y / 0.85) ** 2 < 1, 40.0, -1000.0)
    for side in (-1, 1):
        scan[((x - 0.42 * side) / 0.34) ** 2 + (y / 0.6) ** 2 + (z / 1.3) ** 2 < 1] = -800
    scan[(x / 0.1) ** 2 + ((y - 0.62) / 0.13) ** 2 < 1] = 500
    for _ in range(14):
        start, direction = rng.uniform(-0.7, 0.7, 3), rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        offsets = np.stack([z, y, x]) - start[:, None, None, None]
        along = np.tensordot(direction, offsets, 1)
        distance = ((offsets - direction[:, None, None, None] * along) ** 2).sum(0)
        scan[(distance < rng.uniform(0.02, 0.045) ** 2) & (scan == -800)] = 20
    return scan + rng.normal(0, 15, shape)


def add_ball(scan: np.ndarray, center: np.ndarray | tuple[float, ...], radius: float) -> None:
    """Add a ball of 60 Hounsfield units, in place."""
    places = np.stack(np.meshgrid(*(np.arange(length) for length in scan.shape), indexing="ij"))
    scan[((places - np.reshape(center, (3, 1, 1, 1))) ** 2).sum(0) < radius**2] = 60


def write_film(target: Path, rng: np.random.Generator) -> tuple[keras.Model, float]:
    """Write the film; return the network and its accuracy on new inputs."""
    frames = [Image.fromarray(frame).resize((128, 128), Image.Resampling.NEAREST) for frame in film(rng, moving=True)]
    frames[0].save(target / "walk.gif", save_all=True, append_images=frames[1:], duration=1000 // FPS, loop=0)
    layers = [keras.Input((FRAMES, FILM_SIDE, FILM_SIDE, 3)), keras.layers.Rescaling(1 / 127.5, -1)]
    for filters in (8, 16, 16):
        layers += [keras.layers.Conv3D(filters, 3, padding="same", activation="relu")]
        layers += [keras.layers.MaxPooling3D((1, 2, 2))] if filters == 8 else []
    return trained(layers, lambda n: films(rng, n), 1200, 20)


def films(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n films (n, T, H, W, 3) of 0..255, and whether a square moves."""
    moving = rng.integers(0, 2, n)
    return np.stack([film(rng, moving=bool(each)) for each in moving]).astype(np.float32), moving


def film(rng: np.random.Generator, *, moving: bool) -> np.ndarray:
    """Return the frames (T, H, W, 3) uint8 of four squares on a gray ground, of which one may move over four frames."""
    frames = np.full((FRAMES, FILM_SIDE, FILM_SIDE, 3), 110.0)
    walker, first = rng.integers(4) if moving else -1, rng.integers(1, FRAMES - 5)
    for i in range(4):
        y, x = (4 + 16 * (i // 2) + rng.integers(-2, 5), 4 + 16 * (i % 2) + rng.integers(-2, 5))
        color, step = rng.choice([20, 230], 3), 2 if x < FILM_SIDE // 2 else -2
        for t in range(FRAMES):
            moved = step * np.clip(t - first, 0, 4) if i == walker else 0
            frames[t, y : y + SQUARE, x + moved : x + moved + SQUARE] = color
    return np.clip(frames + rng.normal(0, 5, frames.shape), 0, 255).astype(np.uint8)


def trained(layers: list[keras.layers.Layer], make: object, count: int, epochs: int) -> tuple[keras.Model, float]:
    """Return a network with two classes that was trained on new inputs, and its accuracy on others."""
    rank = len(layers[0].shape) - 2
    pooling = getattr(keras.layers, f"GlobalAveragePooling{rank}D")
    network = keras.Sequential([*layers, pooling(), keras.layers.Dense(2, activation="softmax")])
    network.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = make(count)  # type: ignore[operator]
    network.fit(x, y, 32, epochs, verbose=0)
    x, y = make(200)  # type: ignore[operator]
    return network, network.evaluate(x, y, verbose=0)[1]


if __name__ == "__main__":
    main()
