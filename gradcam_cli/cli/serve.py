"""`gradcam serve [DIR]`: explore maps in the browser."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, ModelNameOrFile, option_group
from gradcam_cli.cli.model_options import loading_options, model_config
from gradcam_cli.cli.options import before_loading, general_options, setting_option, setup_logging
from gradcam_cli.cli.report_options import RERUN_OPTIONS, options_as_argv
from gradcam_cli.console import log
from gradcam_cli.errors import UsageError
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.pipeline.config import ExplainConfig

SERVED_SETTINGS = ("score", "max_value", "rgb", "axes", "window", "fit", "interpolation", "max_channels", "precision")
"""The run settings of all maps; the page sets the others."""
_model, _input, _server = option_group("Model"), option_group("Input"), option_group("Server")
EPILOG = """\
Examples:
  gradcam serve --model lite0                  an empty page: drop a photo
  gradcam serve photos --model net.keras       the photos of a directory
  gradcam serve photos -m old.keras -m new.keras   two models side by side
  gradcam serve scans --model net3d.keras      volumes: scroll through slices

Exit status:
  0    no page was open for the time of --idle-shutdown
  2    usage error, or the port is in use
  3    no model, or no weights
  130  interrupted with Ctrl-C; 143 terminated
"""


def served_settings(function: Any) -> Any:
    """Add the options of the run settings that hold for all maps."""
    for name in reversed(SERVED_SETTINGS):
        function = setting_option(name)(function)
    return function


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Explore maps in the browser.")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(exists=True, file_okay=False))
@_model(
    "-m",
    "--model",
    "models",
    type=ModelNameOrFile(),
    multiple=True,
    default=["vgg19"],
    help="lite0 or mini (built in), the name of a Keras application, or a .keras or .h5 file; repeatable: the page "
    "shows models side by side. [default: vgg19]",
)
@loading_options
@_input(
    "--max-pixels",
    type=click.IntRange(1),
    default=MAX_PIXELS,
    metavar="N",
    help="Refuse images with more pixels. [default: 89,478,485, Pillow's limit]",
)
@served_settings
@_server("--port", type=click.IntRange(1, 65535), metavar="N", help="Port of the page. [default: a free one]")
@_server(
    "--open/--no-open",
    "open_browser",
    default=False,
    help="Open the page in the browser, if standard output is a terminal. [default: only print its address]",
)
@_server(
    "--idle-shutdown",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    metavar="MINUTES",
    help="End when no page has been open for this time.",
)
@general_options
@click.pass_context
def serve(ctx: click.Context, /, directory: str | None, **options: Any) -> int:
    """Open a local page to explore the maps of a model, with the images of DIR or images dropped on it.

    With a model of signals, volumes or films, the page takes these, and scrolls through slices and frames.

    The address of the page is printed. The server listens on this machine only, and requires the random token in the
    address. The loading options apply to every model. Ctrl-C ends it.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    require_packages()
    stdout = sys.stdout
    models = list(dict.fromkeys(options.pop("models")))
    configs = [replace(model_config({**options, "model": models[0]}), model=model) for model in models]
    before_loading(ctx, options, models[0])
    from gradcam_cli.serving.http_server import open_socket, serve
    from gradcam_cli.serving.session import Session

    def show(address: str) -> None:
        stdout.write(address + "\n")
        stdout.flush()
        if options["open_browser"] and stdout.isatty():
            webbrowser.open(address)

    with closing(open_socket(options["port"] or 0)) as listener:
        settings = ExplainConfig(**{name: options[name] for name in SERVED_SETTINGS})
        log.info("loading %s", ", ".join(models))
        session = Session(configs, settings, list(_rerun_args(ctx)), directory, options["max_pixels"])
        serve(session, listener, options["idle_shutdown"], show)
    return 0


def require_packages() -> None:
    """Check that the packages of the server are installed.

    Raises:
        UsageError: one is missing.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        hint = "install it with: pip install 'gradcam-cli[serve]'"
        raise UsageError(f"gradcam serve requires Starlette and uvicorn: {error}", hint) from error


def _rerun_args(ctx: click.Context) -> Iterator[str]:
    names: Sequence[str] = [name for name in RERUN_OPTIONS if name != "model"]
    return options_as_argv(ctx, names)
