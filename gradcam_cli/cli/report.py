"""`gradcam report DIR`: rebuild the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gradcam_cli.cli.click_extensions import LAST_HEADING, GroupedCommand, PathOrUrl, option_group
from gradcam_cli.cli.hinted_parameters import HintedArgument
from gradcam_cli.cli.options import setup_logging
from gradcam_cli.console import escape_control_chars, print_error

EPILOG = """\
Examples:
  gradcam report maps                              after a run with --report
  gradcam photos -o maps --save npz --json > lines.jsonl
  gradcam report maps --from-jsonl lines.jsonl     after a run without --report

Exit status:
  0    maps/index.html is written
  1    maps/index.html is written, but lacks results that are damaged
  2    usage error
  3    there are no results, or the page cannot be written
"""
_option, _general = option_group("Options"), option_group(LAST_HEADING)


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Write the HTML report of a run.")
@click.argument("directory", cls=HintedArgument, metavar="DIR", type=PathOrUrl(exists=True, file_okay=False))
@_option(
    "--from-jsonl",
    metavar="FILE",
    type=PathOrUrl(exists=True, dir_okay=False),
    help="Output of the run with --json. [default: the run log of --report, or the .npz files in DIR]",
)
@_general("-q", "--quiet", is_flag=True, help="Print only results and errors.")
@_general("--debug", is_flag=True, help="Print the traceback of an error.")
@click.pass_context
def report(ctx: click.Context, /, directory: Path, from_jsonl: Path | None, **options: Any) -> int:
    """Write DIR/index.html: the HTML report of the run whose results are in DIR.

    The report is built from the run's JSON lines and files; no model is loaded. If the run wrote no
    report images, they are drawn from the .npz files in DIR and from the input images. An input image
    is opened only if it is a file on disk that has not changed since the run. DIR may be a URL such as
    s3://bucket/maps. The log directory of the callback gradcam_cli.callbacks.GradCAM becomes a page with
    a slider over the epochs of the training.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=False, debug=options["debug"])
    from gradcam_cli.reporting.build import build_report

    page = build_report(directory, from_jsonl)
    click.echo(escape_control_chars(str(page.path)))
    if page.num_invalid:
        print_error(f"the report lacks damaged results: {page.num_invalid}")
    return 1 if page.num_invalid else 0
