"""Options, clock and record of the runners. Each runner is one process, measures one tool and prints one JSON line.

The peers are libraries: their loop over images is `explain_all`, in which a thread pool decodes the next batch and
writes the files of the last one while the network computes.
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
from PIL import Image as Pillow

SIDE = 224
LAYER = "block5_conv4"
MEANS = np.array([103.939, 116.779, 123.68], np.float32)
"""ImageNet's mean blue, green and red, which VGG19's preprocessing subtracts."""
THREADS = len(os.sched_getaffinity(0))

Explain = Callable[[np.ndarray], Sequence[np.ndarray]]
"""From x (n, 224, 224, 3) float32 to n maps of any size."""
Overlay = Callable[[np.ndarray, np.ndarray], Any]
"""From an image (H, W, 3) uint8 and its map to a figure of the same size."""
Save = Callable[[Path, Any], None]


class Setting(NamedTuple):
    """The options of a runner for images; `images` is a directory of JPEG files or one file."""

    weights: Path
    images: Path
    out: Path
    case: str
    precision: str
    batch_size: int
    method: str
    reference: Path | None

    def paths(self) -> list[Path]:
        """Return the files in order."""
        return sorted(self.images.glob("*.jpg")) if self.images.is_dir() else [self.images]


class Image(NamedTuple):
    """A decoded image: its path, (H, W, 3) uint8, and the model input (224, 224, 3) float32."""

    path: Path
    pixels: np.ndarray
    x: np.ndarray


def read_setting() -> Setting:
    """Parse the options of a runner for images."""
    parser = argparse.ArgumentParser()
    for name in ("weights", "images", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--case", default="overlay")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--reference", type=Path, help="a directory of gradcam's float32 maps, for the agreement")
    setting = Setting(**vars(parser.parse_args()))
    setting.out.mkdir(parents=True, exist_ok=True)
    return setting


def report(ms: float, extras: dict[str, float]) -> None:
    """Print the record; bench.py adds the version and the memory of the process."""
    print(json.dumps({"ms": ms, "extras": extras}), flush=True)


def read_image(path: Path) -> Image:
    """Decode an image, resize it to 224x224 and subtract the means in BGR order."""
    with Pillow.open(path) as file:
        image = file.convert("RGB")
    resized = image.resize((SIDE, SIDE), Pillow.Resampling.BILINEAR)
    return Image(path, np.asarray(image), np.asarray(resized, np.float32)[:, :, ::-1] - MEANS)


def upsample(heatmap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a map bilinearly to (H, W), with its negative values set to 0 and its maximum to 1."""
    image = Pillow.fromarray(np.ascontiguousarray(heatmap, np.float32))
    resized = np.maximum(np.asarray(image.resize(shape[::-1], Pillow.Resampling.BILINEAR)), 0)
    return resized / max(resized.max(), np.float32(1e-12))


@functools.cache
def jet() -> bytes:
    """Return the 256 colors of matplotlib's jet as a palette."""
    return matplotlib.colormaps["jet"](np.arange(256), bytes=True)[:, :3].tobytes()


def blend(pixels: np.ndarray, heatmap: np.ndarray) -> Any:
    """Blend an image and its colored map at one half; for peers without such a function or with a slow one."""
    colored = Pillow.fromarray(np.round(upsample(heatmap, pixels.shape[:2]) * 255).astype(np.uint8))
    colored.putpalette(jet())
    return Pillow.blend(Pillow.fromarray(pixels), colored.convert("RGB"), 0.5)


def save_with_pillow(path: Path, figure: Any) -> None:
    """Write a PNG file with little compression."""
    figure.save(path, compress_level=1)


def save_with_opencv(path: Path, figure: np.ndarray) -> None:
    """Write a PNG file as the peers do that require OpenCV; faster than Pillow."""
    import cv2

    cv2.imwrite(str(path), cv2.cvtColor(figure, cv2.COLOR_RGB2BGR))


def measure_images(
    prepare: Callable[[Setting], Explain], overlay: Overlay = blend, save: Save = save_with_pillow
) -> None:
    """Explain all images with one tool and print the record.

    Args:
        prepare: loads the network and returns the function that explains a batch.
        overlay: the tool's own function, or `blend`.
        save: writes the result of `overlay`.
    """
    setting = read_setting()
    explain = prepare(setting)

    def write(image: Image, heatmap: np.ndarray) -> None:
        target = setting.out / image.path.stem
        if setting.case == "npz":
            np.savez(target.with_suffix(".npz"), heatmap=upsample(heatmap, image.pixels.shape[:2]))
        else:
            save(target.with_suffix(".png"), overlay(image.pixels, heatmap))

    report(explain_all(setting, explain, write), agreement(setting))


def explain_all(setting: Setting, explain: Explain, write: Callable[[Image, np.ndarray], None]) -> float:
    """Explain batch by batch; return the milliseconds per image, without the first batch if there are several."""
    size, paths = setting.batch_size, setting.paths()
    batches = [paths[i : i + size] for i in range(0, len(paths), size)]
    with ThreadPoolExecutor(THREADS) as pool:
        start = time.perf_counter()
        reading = [pool.submit(read_image, path) for path in batches[0]]
        writing: list[Future[None]] = []
        for number in range(len(batches)):
            images = results_of(reading)
            if number + 1 < len(batches):
                reading = [pool.submit(read_image, path) for path in batches[number + 1]]
            heatmaps = explain(np.stack([image.x for image in images]))
            results_of(writing)
            writing = [pool.submit(write, *pair) for pair in zip(images, heatmaps, strict=True)]
            if number == 0 and len(batches) > 1:
                results_of(writing)
                start = time.perf_counter()
        results_of(writing)
    return 1000 * (time.perf_counter() - start) / max(len(paths) - size, 1)


def results_of(futures: Sequence[Future[Any]]) -> list[Any]:
    """Wait for all, and raise the first error among them."""
    return [future.result() for future in futures]


def agreement(setting: Setting) -> dict[str, float]:
    """Return the median over the images of the correlation between the tool's map and gradcam's, if there are both."""
    if not setting.reference:
        return {}
    pairs = zip(sorted(setting.out.rglob("*.npz")), sorted(setting.reference.rglob("*.npz")), strict=True)
    return {"agreement": float(np.median([np.corrcoef(load_map(a), load_map(b))[0, 1] for a, b in pairs]))}


def load_map(path: Path) -> np.ndarray:
    """Return a map, flattened; older checkouts of gradcam write it under another key."""
    with np.load(path) as file:
        return file["heatmap" if "heatmap" in file else "map"].ravel()
