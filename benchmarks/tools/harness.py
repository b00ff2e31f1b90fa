"""What the peers' scripts share: photos in, overlays or arrays out, and the clock around them.

The peers are libraries, so that the loop around them has to be written. This one is quick: while the
network computes, a pool of threads decodes the next batch and writes the files of the last one.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from PIL import Image

SIDE = 224
LAYER = "block5_conv4"
MEANS = np.array([103.939, 116.779, 123.68], np.float32)
"""ImageNet's mean blue, green and red, which Keras's VGG19 wants subtracted."""

THREADS = len(os.sched_getaffinity(0))

Explain = Callable[[np.ndarray], Sequence[np.ndarray]]
"""From x (n, 224, 224, 3) float32 to n maps of any size."""
Overlay = Callable[[np.ndarray, np.ndarray], Any]
"""From a photo (H, W, 3) uint8 and its map to a picture of the same size."""
Save = Callable[[Path, Any], None]
"""Writes the picture that the overlay gave."""


class Setting(NamedTuple):
    """One measurement, as the command line gives it."""

    weights: Path
    photos: list[Path]
    out: Path
    precision: str
    kind: str
    batch_size: int


class Photo(NamedTuple):
    """A decoded photo: its path, (H, W, 3) uint8, and what the network sees, (224, 224, 3) float32."""

    path: Path
    pixels: np.ndarray
    x: np.ndarray


def read_setting() -> Setting:
    """Parse the options that every script has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="a directory of JPEGs, or one photo")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--kind", choices=["overlay", "npz", "figure", "forward"], default="overlay")
    parser.add_argument("--batch-size", type=int, default=8)
    found = parser.parse_args()
    found.photos = sorted(found.photos.glob("*.jpg")) if found.photos.is_dir() else [found.photos]
    found.out.mkdir(parents=True, exist_ok=True)
    return Setting(**vars(found))


def read_photo(path: Path) -> Photo:
    """Decode a photo, squash it to 224x224 and subtract the means in BGR order."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    seen = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return Photo(path, np.asarray(image), np.asarray(seen, np.float32)[:, :, ::-1] - MEANS)


def enlarge(map_: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a map to (H, W) bilinearly, without negative values and with a maximum of 1."""
    image = Image.fromarray(np.ascontiguousarray(map_, np.float32))
    enlarged = np.maximum(np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR)), 0)
    return enlarged / max(enlarged.max(), np.float32(1e-12))


@functools.cache
def jet() -> bytes:
    """Return the 256 colours of matplotlib's jet as a palette."""
    return matplotlib.colormaps["jet"](np.arange(256), bytes=True)[:, :3].tobytes()


def blend(photo: np.ndarray, map_: np.ndarray) -> Image.Image:
    """Lay the coloured map over the photo, half and half; for peers without such a function, or with a slow one."""
    levels = np.round(enlarge(map_, photo.shape[:2]) * 255).astype(np.uint8)
    coloured = Image.fromarray(levels)
    coloured.putpalette(jet())  # from grays to palette colours
    return Image.blend(Image.fromarray(photo), coloured.convert("RGB"), 0.5)


def save_with_pillow(path: Path, picture: Image.Image) -> None:
    """Write a PNG file quickly."""
    picture.save(path, compress_level=1)


def save_with_opencv(path: Path, picture: np.ndarray) -> None:
    """Write a PNG file as the peers do that need OpenCV anyway: quicker than Pillow."""
    import cv2

    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def measure(
    tool: str, prepare: Callable[[Setting], Explain], overlay: Overlay = blend, save: Save = save_with_pillow
) -> None:
    """Explain the photos with one tool and print the measurement.

    Args:
        tool: name in the table.
        prepare: loads the network and returns the function that explains a batch.
        overlay: the tool's own, or `blend`.
        save: writes what `overlay` gives.
    """
    setting = read_setting()
    explain = prepare(setting)

    def write(photo: Photo, map_: np.ndarray) -> None:
        target = setting.out / photo.path.stem
        if setting.kind == "npz":
            np.savez(target.with_suffix(".npz"), map=enlarge(map_, photo.pixels.shape[:2]))
        else:
            save(target.with_suffix(".png"), overlay(photo.pixels, map_))

    report(tool, setting, explain_all(setting, explain, write))


def explain_all(setting: Setting, explain: Explain, write: Callable[[Photo, np.ndarray], None]) -> float:
    """Explain batch by batch; return the seconds from the first batch's last file to the last file of all."""
    size = setting.batch_size
    batches = [setting.photos[i : i + size] for i in range(0, len(setting.photos), size)]
    with ThreadPoolExecutor(THREADS) as pool:
        reading = [pool.submit(read_photo, path) for path in batches[0]]
        writing: list[Future[None]] = []
        for number in range(len(batches)):
            photos = finish(reading)
            if number + 1 < len(batches):
                reading = [pool.submit(read_photo, path) for path in batches[number + 1]]
            maps = explain(np.stack([photo.x for photo in photos]))
            finish(writing)
            writing = [pool.submit(write, photo, map_) for photo, map_ in zip(photos, maps, strict=True)]
            if number == 0:
                finish(writing)
                start = time.perf_counter()
        finish(writing)
    return time.perf_counter() - start


def finish(futures: Sequence[Future[Any]]) -> list[Any]:
    """Wait for all, and raise what one of them raised."""
    return [future.result() for future in futures]


def report(tool: str, setting: Setting, seconds: float, **more: float) -> None:
    """Print the measurement as a line of JSON; bench.py adds the version, the process's time and its memory."""
    record = {
        "tool": tool,
        "precision": setting.precision,
        "kind": setting.kind,
        "images": len(setting.photos) - setting.batch_size,
        "seconds": seconds,
        "threads": THREADS,
        **more,
    }
    print(json.dumps(record), flush=True)
