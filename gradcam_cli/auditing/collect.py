"""Activations of the images of an audit, from one forward and backward pass for each image. Imports TensorFlow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from gradcam_cli.images.load import Failure, LoadedImage, Unexplained, load_image
from gradcam_cli.images.memory import ACTIVE
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.source import Source
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.model_input import ModelInput, to_whole_input
from gradcam_cli.pipeline.parallel import available_cpus, ordered_map
from gradcam_cli.pipeline.reading import read_options_of
from gradcam_cli.pipeline.run import PreparedRun

MAX_BYTES = 2 << 30
"""Limit of the bytes that an audit keeps of all images: their model input as uint8, and A as float16."""
MAX_ACTIVATION = float(np.finfo(np.float16).max)


@dataclass
class Collection:
    """What an audit keeps of its images; all lists have one entry for each image.

    Attributes:
        names: names of the images.
        classes: index of the class under which each image is audited.
        pixels: the model inputs before preprocessing, (h, w, c) uint8.
        A: the activations of the layer, (u, v, k) float16.
        failures: the images that could not be used.
    """

    names: list[str] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)
    A: list[np.ndarray] = field(default_factory=list)
    failures: list[Unexplained] = field(default_factory=list)
    _alpha: dict[int, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(1)))

    def add(self, pixels: np.ndarray, result: stages.ForwardResult) -> None:
        """Add an image after its pass."""
        i, values = result.batch_index, result.batch_result
        A, dA, index = values.A[0][i], values.dA[0][0, i], int(values.classes[i, 0])
        if not (np.isfinite(dA).all() and np.abs(A).max() <= MAX_ACTIVATION):
            reason = f"the layer's output for this image is not finite, or above {MAX_ACTIVATION:g}"
            self.failures.append(Failure(result.image.name, reason))
            return
        self.names.append(result.image.name)
        self.classes.append(index)
        self.pixels.append(pixels)
        self.A.append(A.astype(np.float16))
        self._alpha[index] = self._alpha[index] + dA.mean((0, 1), dtype=np.float64)

    def alpha(self, index: int) -> np.ndarray:
        """Return the mean of dy_c/dA over the cells and images of a class, (k,)."""
        return np.asarray(self._alpha[index] / self.classes.count(index))


def images_in_memory(run: PreparedRun) -> int:
    """Return the number of images that `MAX_BYTES` holds for a model and a layer."""
    grid, (h, w, c) = run.layer_outputs[0].grid, run.classifier.input_shape
    k = run.layer_outputs[0].shape[-1]
    cells = grid.num_cells if grid else 1
    return max(MAX_BYTES // (h * w * c + 2 * cells * k), 1)


def draw_sources(sources: Sequence[Source], limit: int, seed: int) -> list[Source]:
    """Return at most `limit` sources, drawn at random and in their order."""
    if len(sources) <= limit:
        return list(sources)
    drawn = np.random.default_rng(seed).choice(len(sources), limit, replace=False)
    return [sources[i] for i in np.sort(drawn)]


def collect(
    run: PreparedRun,
    sources: Sequence[Source],
    *,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Collection:
    """Run the network on all images and keep their activations.

    Args:
        run: with one layer and one class, `top` or `truth`.
        sources: the images.
        max_pixels: larger images fail.
        threads: number of threads that read images; None for one per core.
        advance: called with 1 after each image.
    """
    collection, fitted = Collection(), []
    threads = threads or available_cpus()
    options = read_options_of(run.config, run.classifier.rank, max_pixels)

    def read(source: Source) -> ModelInput | Unexplained:
        with ACTIVE.task():
            return to_whole_input(run, _require_colors(load_image(source, options)))

    def model_inputs(pool: ThreadPoolExecutor) -> Iterator[ModelInput | Unexplained]:
        for item in ordered_map(pool, read, sources, run.batch_size + threads):
            fitted.append(item.pixels if isinstance(item, ModelInput) else None)
            yield item

    with ThreadPoolExecutor(threads) as pool:
        for number, result in enumerate(stages.run_batches(run, model_inputs(pool))):
            pixels, fitted[number] = fitted[number], None
            if isinstance(result, stages.ForwardResult) and pixels is not None:
                _add(collection, pixels, result)
            elif not isinstance(result, stages.ForwardResult):
                collection.failures.append(result)
            advance(1)
    return collection


def _add(collection: Collection, pixels: np.ndarray, result: stages.ForwardResult) -> None:
    if result.truth and result.truth.unknown:
        collection.failures.append(Failure(result.image.name, f"its true class is unknown: {result.truth.unknown}"))
    else:
        collection.add(pixels, result)


def _require_colors(image: LoadedImage | Failure) -> LoadedImage | Failure:
    if isinstance(image, LoadedImage) and image.decoded().bands:
        return Failure(image.name, "an audit compares colors, and this image has bands")
    return image
