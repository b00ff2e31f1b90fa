"""The functions `explain`, `explain_many` and `grid` of the Python package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.batches import count_images, read_images
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.keywords import python_function
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.output.grids import grid_figure
from gradcam_cli.output.notebook_progress import notebook_progress
from gradcam_cli.output.render_options import render_options
from gradcam_cli.pipeline.api_options import OPTIONS, prepare
from gradcam_cli.pipeline.captions import grid_color_bar, image_name, model_label
from gradcam_cli.pipeline.config import check_choice
from gradcam_cli.pipeline.grids import grid_rows
from gradcam_cli.pipeline.results import NOTEBOOK_DPI, Explanation
from gradcam_cli.pipeline.run import PreparedRun
from gradcam_cli.pipeline.stages import explain_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ON_ERROR = ("raise", "yield")


@python_function()
def explain(
    image: Any,
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19",
    layer: str = "auto",
    *,
    target_class: int | str = "top",
    method: str = "gradcam",
    target: str = "class",
    score: str = "logit",
    fit: str = "auto",
    interpolation: str = "linear",
    counterfactual: bool = False,
    against: str | int | Sequence[str | int] = (),
    gamma: float = 0.6,
    aug_smooth: bool = False,
    max_channels: int | None = None,
    top_k: int = 5,
    truth: str | os.PathLike[str] | None = None,
    expect: int | str | None = None,
    precision: str = "float32",
    max_pixels: int = MAX_PIXELS,
    max_value: int | None = None,
    rgb: str | None = None,
    axes: str | None = None,
    window: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    preprocess: str | None = None,
    input_size: tuple[int, ...] | None = None,
    allow_unsafe: bool = False,
    packages: Sequence[str] = (),
    offline: bool = False,
    task: str = "auto",
    other_inputs: str | None = None,
) -> Explanation:
    """Compute one map: which parts of an image contribute to the score of a class.

    Args:
        image: a path, a URL, bytes, a binary file, a Pillow image, an array or a tensor. An array is uint8, or float in
            0..1 or 0..255, as its largest value shows: (H, W, 3), RGBA (H, W, 4), gray (H, W) or (H, W, 1), or a batch
            of one. For a model of k other channels, it is (H, W, k) of any numbers; for one of signals, volumes or
            films, it has their axes, such as (T, k), or is a folder of slices or frames.
        model: a name, a path, a Keras model, or the result of `load_model`: load a model once to explain many images.
        layer: its path in the model, or `auto`.
        target_class: an index, a name, `top`, `topN` for the class of rank N, `truth`, or a pattern such as `*_cat` for
            a group.
        method: a name in `LAYER_METHODS`.
        target: what is explained: `class`, `segment`, `segment:all`, `segment:X,Y`, `detection`, `detection:BOXES`,
            `similarity:FILE`; for a model with several outputs with `@NAME` behind the first word.
        score: `logit`, `probability`, or `output` for the model's output as it is.
        fit: `squash`, `crop`, `pad`, `windows`, or `auto`: `windows` for signals and volumes, `squash` for others.
        interpolation: `nearest`, `linear` or `cubic`.
        counterfactual: negate the gradients.
        against: one class or several with which the explained one is contrasted: an index, a name, a pattern, `nearest`
            or `nearestN`; the map is that of y_c - gamma mean_d y_d.
        gamma: their weight.
        aug_smooth: average six maps: of the image at three brightness levels, mirrored and not mirrored.
        max_channels: of `scorecam`: use only the channels with the largest standard deviation.
        top_k: number of predictions to list.
        truth: true classes of the images: `parent`, the names of their folders, or a table. The explanation has
            `.truth`, and `target_class="truth"` explains the true class.
        expect: index or name of the class that was expected in the place of the predicted one. The explanation is that
            of the expected class, and has `.difference`; `.save(path, "difference")` draws both maps.
        precision: `float32`, `auto`, `bfloat16` or `float16`, for this call only.
        max_pixels: the largest image to decode.
        max_value: value of white in 16-bit and float images, and in arrays of float and of larger integers.
        rgb: numbers of the bands to show, such as `3,2,1`; all bands of the image are read.
        axes: order of the axes of an array or a NIfTI file, such as `CHW`; None: that of the model input.
        window: center and width of the values of a volume, such as `40,400`; they are scaled to 0..255.
        weights: `imagenet` or a weight file; see `load_model`, as for all that follow.
        labels: list of class names, or a file of them.
        preprocess: name of the preprocessing, or an own mean and standard deviation.
        input_size: (h, w), (t,) or (d, h, w) for models with a variable input size.
        allow_unsafe: whether code in a model file may run.
        packages: packages whose registered classes a model file may contain.
        offline: whether to never use the network.
        task: `binary` or `regression`: how a single linear output is read.
        other_inputs: `zeros`, or an `.npz` file of the inputs besides the image.

    Returns:
        The explanation, with `.heatmap` in 0..1, (H, W) or of the other shape of the input, `.cam`, `.alpha`,
        `.prediction`, `.figure()` and `.save(path)`.

    Raises:
        InputError: the image cannot be read, or its values or axes are ambiguous.
        UsageError: the layer or class does not exist, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    options = {
        "target": target,
        "score": score,
        "max_value": max_value,
        "rgb": rgb,
        "axes": axes,
        "window": window,
        "fit": fit,
        "interpolation": interpolation,
        "counterfactual": counterfactual,
        "against": against,
        "gamma": gamma,
        "aug_smooth": aug_smooth,
        "max_channels": max_channels,
        "precision": precision,
        "top_k": top_k,
        "truth": truth,
        "expect": expect,
        "max_pixels": max_pixels,
        "weights": weights,
        "labels": labels,
        "preprocess": preprocess,
        "input_size": input_size,
        "allow_unsafe": allow_unsafe,
        "packages": packages,
        "offline": offline,
        "task": task,
        "other_inputs": other_inputs,
    }
    run, reader = prepare(model, (layer,), (target_class,), (method,), 1, options)
    (result,) = explain_images(run, [reader.read(image)])
    return _require_explained(result)[-1]


@python_function(*OPTIONS)
def explain_many(
    images: Iterable[Any],
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19",
    *,
    layers: str | Sequence[str] = "auto",
    methods: str | Sequence[str] = "gradcam",
    classes: str | int | Sequence[str | int] = "top",
    batch_size: int | None = None,
    on_error: str = "raise",
    progress: bool = True,
    **options: Any,
) -> Iterator[Explanation | Failure]:
    """Compute the maps of many images, batch by batch; all maps of an image come from one forward pass.

    Images are read when their batch is due. At most two batches of images are in memory, besides the explanations that
    the caller keeps.

    Args:
        images: an iterable of images, as for `explain`: a list, a generator, an array (n, H, W, 3), or a
            `tf.data.Dataset`, batched or not, with or without labels. The range of float arrays is that of the first.
        model: as for `explain`.
        layers: one path or several, or `auto`.
        methods: one name or several, in `LAYER_METHODS`.
        classes: one class or several: an index, a name, `top`, `topN` for the N classes with the largest scores, or
            `truth`. With `expect`, they are the predicted and the expected class.
        batch_size: images in one pass; None chooses it from the size of the model and the free memory.
        on_error: what follows an image that cannot be read: `raise` ends the run with its error; `yield` returns a
            `Failure` in its place and continues with the next image, as the command does.
        progress: show the number of explained images in a notebook.
        **options: all other keywords of `explain`.

    Yields:
        The explanations in the order of the images; of an image, one for each layer, method and class, in this order.
        An array is named by its position, `images[3]`.

    Raises:
        InputError: an image cannot be read, and `on_error` is `raise`.
        UsageError: a single image is given, a layer or class does not exist, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    check_choice("on_error", on_error, ON_ERROR)
    run, reader = prepare(model, layers, classes, methods, batch_size, options)
    advances = notebook_progress("explained", count_images(images, run.classifier.rank), enabled=progress)
    return _explanations(run, read_images(images, reader), on_error, advances)


def _explanations(
    run: PreparedRun,
    loaded: Iterator[LoadedImage | Failure],
    on_error: str,
    progress: AbstractContextManager[Callable[[], None]],
) -> Iterator[Explanation | Failure]:
    with progress as advance:
        for result in explain_images(run, loaded):
            advance()
            if isinstance(result, Failure) and on_error == "yield":
                yield result
            else:
                yield from _require_explained(result)


def _require_explained(result: list[Explanation] | Unexplained) -> list[Explanation]:
    if isinstance(result, Unexplained):
        raise InputError(f"{result.source}: {result.error}", result.hint)
    return result


def grid(explanations: Iterable[Explanation | Failure], **options: Any) -> Figure:
    """Return a figure with a row for each image: the image, and its maps side by side. A notebook shows it.

    Args:
        explanations: maps of one image or of several, with those of an image one after the other.
        **options: as for `Explanation.save`; `dpi` is 100 unless it is given.

    Raises:
        UsageError: there is no explanation, or one of the values is none.
    """
    rows: list[list[Explanation]] = []
    for explanation in explanations:
        if not isinstance(explanation, Explanation):
            raise UsageError(f"explanations: expected results of explain, got {explanation!r}")
        if rows and rows[-1][0].source == explanation.source and np.array_equal(rows[-1][0].image, explanation.image):
            rows[-1].append(explanation)
        else:
            rows.append([explanation])
    if not rows:
        raise UsageError("explanations: expected results of explain, got none")
    render = render_options(**{"dpi": NOTEBOOK_DPI, **options})
    with_name = len(rows) > 1
    names = {model_label(row[0].model.name): None for row in rows}
    title = " · ".join([*([] if with_name else [image_name(rows[0][0])]), *names])
    drawn = [cells for row in rows for cells in grid_rows(row, with_name=with_name, **render.values())]
    return grid_figure(drawn, title, grid_color_bar(render), render.dpi)
