"""`gradcam report DIR`: the report of a run, made again or for an older run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, PathOrUrl, option_group
from gradcam_cli.cli.options import setup_logging

EPILOG = """\
Examples:
  gradcam report maps                        after a run with --report
  gradcam photos -o maps --save npz --json > lines.jsonl
  gradcam report maps --lines lines.jsonl    for a run without --report

Exit status:
  0    maps/index.html is written
  2    wrong usage
  3    there is nothing to report, or the page cannot be written
"""
_option = option_group("Options")


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Write the HTML report of a run.")
@click.argument("directory", metavar="DIR", type=PathOrUrl(exists=True, file_okay=False))
@_option(
    "--lines",
    metavar="FILE",
    type=PathOrUrl(exists=True, dir_okay=False),
    help="What the run wrote with --json. [default: the lines that --report kept, or the .npz files in DIR]",
)
@option_group("Messages")("-q", "--quiet", is_flag=True, help="Write nothing but results and errors.")
@option_group("Messages")("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def report(ctx: click.Context, /, directory: Path, from_jsonl: Path | None, **options: Any) -> int:
    """Write DIR/index.html: the report of the run whose results DIR holds.

    It is made of the run's JSON lines and files alone; no network runs. Where a run kept no
    pictures, they are drawn from the arrays that --save npz wrote and from the photos, as far as
    these are still where they were. DIR may be a URL, such as s3://bucket/maps.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=False, debug=options["debug"])
    from gradcam_cli.report.build import build_report

    click.echo(build_report(directory, from_jsonl))
    return 0
