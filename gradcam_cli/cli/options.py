"""Options that several commands share, and the setup of logging and TensorFlow."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import click

from gradcam_cli.cli.click_extensions import LAST_HEADING, combine_options, option_group
from gradcam_cli.cli.completion import complete_classes, complete_layers
from gradcam_cli.cli.native_stderr import filtered_native_stderr
from gradcam_cli.console import configure_logging, log
from gradcam_cli.errors import UsageError
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.methods.registry import LAYER_METHODS
from gradcam_cli.models.safety import is_archive, start_check, start_read_ahead
from gradcam_cli.models.weights import UNTRAINED, local_weights
from gradcam_cli.network.tensorflow_import import import_tensorflow
from gradcam_cli.pipeline.config import DEFAULTS, SETTINGS, Setting
from gradcam_cli.storage.checksum import start_sha256

_input, _explanation, _speed = option_group("Input"), option_group("Explanation"), option_group("Speed")
_general = option_group(LAST_HEADING)

input_options = combine_options(
    _input(
        "--files-from",
        metavar="FILE",
        type=click.Path(),
        help="Read input paths from a file, one per line; - reads standard input.",
    ),
    _input("-0", "--null", is_flag=True, help="Paths in --files-from end with NUL bytes, not newlines."),
    _input(
        "--max-pixels",
        type=click.IntRange(1),
        default=MAX_PIXELS,
        metavar="N",
        help="Refuse images with more pixels, and other inputs with more values. [default: 89,478,485, Pillow's limit]",
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
        shell_complete=complete_layers,
        help="Layer to explain, repeatable; auto: last layer with spatial output larger than 1x1. [default: auto]",
    ),
    _explanation(
        "--method",
        "methods",
        multiple=True,
        default=["gradcam"],
        type=click.Choice(LAYER_METHODS),
        metavar="NAME",
        help="Attribution method, repeatable: " + ", ".join(LAYER_METHODS) + ". [default: gradcam]",
    ),
)


def setting_options(*, exclude: Collection[str] = ()) -> Callable[..., Any]:
    """Return the options of the run settings, one for each field of `RunSettings`."""
    return combine_options(*(setting_option(name) for name in SETTINGS if name not in exclude))


def setting_option(name: str) -> Callable[..., Any]:
    """Return the option of a field of `RunSettings`."""
    setting, default = SETTINGS[name], DEFAULTS[name]
    option, flag = option_group(setting.group), "--" + name.replace("_", "-")
    if setting.choices:
        return option(
            flag, type=click.Choice(list(setting.choices)), default=default, show_default=True, help=setting.help
        )
    if setting.multiple:
        return option(flag, metavar=setting.metavar, multiple=True, shell_complete=complete_classes, help=setting.help)
    if isinstance(default, float):
        number = click.FloatRange(0, min_open=True)
        return option(flag, type=number, metavar=setting.metavar, default=default, show_default=True, help=setting.help)
    if setting.metavar:
        return option(
            flag,
            metavar=setting.metavar,
            default=default,
            show_default=True,
            callback=partial(_check_text, setting),
            help=setting.help,
        )
    if default is False:
        return option(flag, is_flag=True, help=setting.help)
    return option(flag, type=click.IntRange(1), metavar="N", help=setting.help)


def _check_text(setting: Setting, _context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if setting.check and value is not None:
        setting.check(value)
    return value


threads_option = _speed(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Threads that read images and draw maps. [default: one per core]",
)
json_option = _general("--json", "as_json", is_flag=True, help="Print one JSON object per line instead of text.")
general_options = combine_options(
    json_option,
    _general("-q", "--quiet", is_flag=True, help="Print only results and errors."),
    _general("-v", "--verbose", is_flag=True, help="Also print layers, timings, versions and TensorFlow's messages."),
    _general("--debug", is_flag=True, help="Print the traceback of an error."),
    click.version_option(package_name="gradcam-cli", prog_name="gradcam", message="%(prog)s %(version)s"),
)


def setup_logging(ctx: click.Context, *, quiet: bool, verbose: bool, debug: bool) -> None:
    """Configure logging from the general options.

    Raises:
        UsageError: both --quiet and --verbose are given.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other")
    ctx.with_resource(restored_logging())
    ctx.with_resource(warnings.catch_warnings())
    if not (verbose or debug):
        ctx.with_resource(_only_errors("matplotlib"))  # it warns if the user has no home directory
        # Pillow warns of metadata, matplotlib of missing glyphs, Keras of deprecations
        warnings.simplefilter("ignore")
    configure_logging(quiet=quiet, verbose=verbose or debug)


@contextlib.contextmanager
def restored_logging() -> Any:
    """Restore the previous log handlers and level afterwards."""
    handlers, level = list(log.handlers), log.level
    try:
        yield
    finally:
        log.handlers[:] = handlers
        log.setLevel(level)


def before_loading(ctx: click.Context, options: dict[str, Any], model: str | None = None) -> None:
    """Announce that a model is loaded, and import TensorFlow; meanwhile a thread reads the weights."""
    model = model or options["model"]
    log.info("loading %s", model)
    weights = local_weights(model, options.get("weights", UNTRAINED))
    weights = weights if weights and weights.is_file() else None  # that is an error of the loading, with a hint
    if weights:
        start_check(weights)
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    if weights:  # these start threads, after which the process is no longer forked
        with contextlib.suppress(OSError):  # the loading raises it, with the name of the file
            if str(weights) == model or not is_archive(weights):
                start_read_ahead(weights)
        start_sha256(weights)
    import_tensorflow()


def quiet_tensorflow(ctx: click.Context, *, verbose: bool) -> None:
    """Keep messages of TensorFlow and prints of Keras off standard output; call it before TensorFlow is imported."""
    if not verbose:
        ctx.with_resource(_only_errors("tensorflow"))
        if "tensorflow" not in sys.modules:
            ctx.with_resource(filtered_native_stderr())
    ctx.with_resource(contextlib.redirect_stdout(sys.stderr))


@contextlib.contextmanager
def _only_errors(name: str) -> Iterator[None]:
    """Suppress the warnings of a logger, such as those of TensorFlow about retracing."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
