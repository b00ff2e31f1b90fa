"""What the commands share: options, and the start of TensorFlow."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import click

from gradcam_cli.cli.click_extensions import (
    LAST_HEADING,
    ImageSize,
    ModelNameOrFile,
    PreprocessName,
    combine_options,
    option_group,
)
from gradcam_cli.cli.native_stderr import filtered_native_stderr
from gradcam_cli.console import configure_logging, log
from gradcam_cli.errors import UsageError
from gradcam_cli.images.decode import MAX_PIXELS
from gradcam_cli.images.fit import FIT_MODES
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.network.precision import PRECISIONS

_input, _explanation, _speed = option_group("Input"), option_group("What to explain"), option_group("Speed")
input_options = combine_options(
    _input(
        "--files-from",
        metavar="FILE",
        type=click.Path(),
        help="Read paths from a file, one a line; - is standard input.",
    ),
    _input("-0", "--null", is_flag=True, help="The paths of --files-from are separated by NUL bytes."),
    _input(
        "--max-pixels",
        type=click.IntRange(1),
        default=MAX_PIXELS,
        metavar="N",
        help="Refuse photos of more pixels. [default: 89,478,485, Pillow's limit]",
    ),
)
layer_and_method_options = combine_options(
    _explanation(
        "-l",
        "--layer",
        "layers",
        multiple=True,
        default=["auto"],
        metavar="PATH",
        help="Layer of the map, repeatable; auto is the last with a plane. [default: auto]",
    ),
    _explanation(
        "--method",
        "methods",
        multiple=True,
        default=["gradcam"],
        type=click.Choice(list(METHODS)),
        metavar="NAME",
        help="How the map is made, repeatable: " + ", ".join(METHODS) + ". [default: gradcam]",
    ),
)
map_options = combine_options(
    _explanation("--smooth", is_flag=True, help="Average over mirrored, darker and brighter copies: six passes."),
    _explanation(
        "--channels",
        type=click.IntRange(1),
        metavar="N",
        help="scorecam: only the N channels of the largest deviation.",
    ),
    _explanation(
        "--score",
        type=click.Choice(["logit", "softmax"]),
        default="logit",
        show_default=True,
        help="What is differentiated: y_c before softmax, or the probability.",
    ),
    _explanation(
        "--fit",
        type=click.Choice(FIT_MODES),
        default="squash",
        show_default=True,
        help="How the photo is brought to the model's input.",
    ),
    _explanation(
        "--zoom-order",
        metavar="N",
        type=click.IntRange(0, 3),
        default=1,
        show_default=True,
        help="Spline that enlarges the map: 0 cells, 1 linear, 3 cubic.",
    ),
)
speed_options = combine_options(
    _speed(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="float32",
        show_default=True,
        help="Numbers of the network; auto takes bfloat16 where the hardware has it.",
    ),
    _speed(
        "--batch-size",
        type=click.IntRange(1),
        metavar="N",
        help="Images in one pass. [default: by model and free memory]",
    ),
    _speed("--workers", type=click.IntRange(1), metavar="N", help="Threads that read and draw. [default: one a core]"),
)
_model = option_group("Model")
allow_unsafe_option = _model(
    "--allow-unsafe-model", is_flag=True, help="Run the code that a model file carries (Lambda layers)."
)
input_size_option = _model(
    "--input-size", type=ImageSize(), help="Input of a model that leaves it open: 224, or HEIGHTxWIDTH."
)
labels_option = _model(
    "--labels", metavar="FILE", type=click.Path(), help="Class names: one a line, a JSON list, or a Keras class index."
)
preprocess_option = _model(
    "--preprocess",
    metavar="NAME",
    type=PreprocessName(),
    help="none, 0..1, -1..1, or as an application does; found out by default.",
)
loading_options = combine_options(
    _model(
        "--weights",
        metavar="imagenet|FILE",
        default="imagenet",
        show_default=True,
        help="A weight file; imagenet looks in $GRADCAM_WEIGHTS and Keras's cache, then fetches.",
    ),
    labels_option,
    preprocess_option,
    input_size_option,
    allow_unsafe_option,
    _model("--offline", is_flag=True, help="Never use the network."),
)
model_options = combine_options(
    _model(
        "-m",
        "--model",
        type=ModelNameOrFile(),
        default="vgg19",
        show_default=True,
        help="mini (built in), an application of Keras, or a .keras or .h5 file.",
    ),
    loading_options,
)
_general = option_group(LAST_HEADING)
json_option = _general("--json", "as_json", is_flag=True, help="Write one JSON object a line instead of text.")
general_options = combine_options(
    json_option,
    _general("-q", "--quiet", is_flag=True, help="Write nothing but results and errors."),
    _general("-v", "--verbose", is_flag=True, help="Add layers, timings, versions and TensorFlow's own messages."),
    _general("--debug", is_flag=True, help="Show the traceback of an error."),
    click.version_option(package_name="gradcam-cli", prog_name="gradcam", message="%(prog)s %(version)s"),
)


def setup_logging(ctx: click.Context, *, quiet: bool, verbose: bool, debug: bool) -> None:
    """Set up messages as the options say."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose: expected one of them, got both")
    ctx.with_resource(restored_logging())
    ctx.with_resource(warnings.catch_warnings())
    if not (verbose or debug):
        warnings.simplefilter(
            "ignore"
        )  # remarks of Pillow on metadata, of matplotlib on glyphs, of Keras on its own past
    configure_logging(quiet=quiet, verbose=verbose or debug)


@contextlib.contextmanager
def restored_logging() -> Any:
    """Take the command's handler away again at its end."""
    own, level = list(log.handlers), log.level
    try:
        yield
    finally:
        log.handlers[:] = own
        log.setLevel(level)


def quiet_tensorflow(ctx: click.Context, *, verbose: bool) -> None:
    """Before TensorFlow is imported: keep its messages and Keras's prints away from the results."""
    if not verbose:
        ctx.with_resource(_only_errors("tensorflow"))
        if "tensorflow" not in sys.modules:
            ctx.with_resource(filtered_native_stderr())
    ctx.with_resource(contextlib.redirect_stdout(sys.stderr))


@contextlib.contextmanager
def _only_errors(name: str) -> Iterator[None]:
    """Keep a logger's warnings, such as TensorFlow's on tracing, to itself."""
    logger = logging.getLogger(name)
    own = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(own)
