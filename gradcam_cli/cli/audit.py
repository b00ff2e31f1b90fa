"""`gradcam audit DIR`: find what the classes of a data set lean on besides their objects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, PathOrUrl, option_group
from gradcam_cli.cli.completion import complete_layers
from gradcam_cli.cli.model_options import explain_config, load_classifier, model_options, rank_of_input
from gradcam_cli.cli.options import (
    before_loading,
    general_options,
    input_options,
    setting_option,
    setup_logging,
    threads_option,
)
from gradcam_cli.cli.protection import protect_found
from gradcam_cli.cli.report_options import command_line
from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.signals import interruptible_progress
from gradcam_cli.cli.tables import write_table
from gradcam_cli.cli.truth_options import truth_option
from gradcam_cli.console import escape_control_chars, print_error, print_failed_threshold
from gradcam_cli.images.discover import expand_inputs, find_sources, no_images_error
from gradcam_cli.models.truth import read_truth
from gradcam_cli.output.destination import DEFAULT_OUTPUT_DIR
from gradcam_cli.pipeline.json_lines import json_line
from gradcam_cli.pipeline.reading import require_model_of_images

if TYPE_CHECKING:
    from gradcam_cli.auditing.records import Audit, ClassAudit, MarkRecord

EPILOG = """\
Examples:
  gradcam audit photos --model net.keras                  writes a page
  gradcam audit photos --model net.keras --truth parent   by true class
  gradcam audit photos --model net.keras --max-marks 0    in CI: no mark

Exit status:
  0    all images were audited, --max-marks passed
  1    some inputs failed, the others were audited
  2    usage error
  3    no image was audited
  4    more marks than --max-marks
  130  interrupted; 143 terminated
"""
MAX_LISTED = 3
_explanation, _audit, _output = option_group("Explanation"), option_group("Audit"), option_group("Output")


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Find what classes lean on besides their objects.")
@click.argument("inputs", metavar="INPUT...", nargs=-1, type=click.Path())
@input_options
@setting_option("max_value")
@_explanation(
    "-l",
    "--layer",
    default="auto",
    metavar="PATH",
    shell_complete=complete_layers,
    help="Layer whose activations are factorized; auto: last layer with spatial output. [default: auto]",
)
@setting_option("score")
@setting_option("fit")
@truth_option("Classes are otherwise the predicted ones.")
@_audit(
    "--concepts",
    "num_concepts",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    metavar="N",
    help="Concepts of a class.",
)
@_audit(
    "--min-images",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    metavar="N",
    help="Audit only classes with at least this number of images.",
)
@_audit(
    "--max-images",
    type=click.IntRange(2),
    metavar="N",
    help="Draw this number of images at random from more. [default: as many as 2 GiB hold]",
)
@_audit("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Random seed.")
@model_options
@_output(
    "-o",
    "--output",
    metavar="DIR",
    type=PathOrUrl(file_okay=False),
    default="gradcam_audit",
    show_default=True,
    help="Directory of the page, index.html.",
)
@_output(
    "--max-marks", type=click.IntRange(0), metavar="N", help="Exit with status 4 if more marks are found, 0 for any."
)
@threads_option
@setting_option("batch_size")
@setting_option("precision")
@general_options
@click.pass_context
def audit(ctx: click.Context, /, **options: Any) -> int:
    """Find what the classes of a data set lean on besides their objects.

    INPUT is a directory or an image file. The activations of each class are factorized into concepts, which are shown
    as crops with their importance for the score. A mark is a patch that repeats at one place in images of one class,
    such as a watermark; it is printed with its effect on the score. Classes are the predicted ones, or those of
    --truth.
    """
    clock = RunClock()
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    truth = read_truth(options["truth"]) if options["truth"] else None
    require_model_of_images(rank_of_input(options["model"]), "an audit")
    inputs = expand_inputs(options["inputs"], options["files_from"], nul=options["null"])
    sources = list(find_sources(inputs, skip=DEFAULT_OUTPUT_DIR))
    if not sources:
        raise no_images_error(inputs)
    protect_found(ctx, [*inputs, *(source.name for source in sources)])
    from gradcam_cli.auditing.concepts import import_nmf

    import_nmf()
    stdout = sys.stdout
    before_loading(ctx, options)
    from gradcam_cli.auditing.api import prepare_audit, run_audit
    from gradcam_cli.reporting.audit_page import write_audit_page
    from gradcam_cli.reporting.build import check_not_foreign_page

    check_not_foreign_page(options["output"])
    config = explain_config(
        options, layers=[options["layer"]], classes=["truth" if truth else "top"], methods=["gradcam"], truth=truth
    )
    limits = {name: options[name] for name in ("num_concepts", "min_images", "max_images", "max_pixels", "threads")}
    run = prepare_audit(load_classifier(options), config)
    result = run_audit(run, sources, seed=options["seed"], show=interruptible_progress, **limits)
    for failure in result.failures:
        print_error(f"{failure.source}: {failure.error}", failure.hint, failure.source)
    if options["as_json"]:
        stdout.writelines(json_line(each.to_dict()) + "\n" for each in (*result, result))
    else:
        _print_tables(result, stdout)
    write_audit_page(result, options["output"], command_line(ctx))
    rest = {"failed": len(result.failures), "left out": result.left_out}
    clock.log({"image": result.images, "mark": len(result.marks)}, [f"{options['output']}/"], rest)
    return _status(result, options["max_marks"])


def _print_tables(result: Audit, stdout: TextIO) -> None:
    """Print a row for each audited class, and a line for each mark."""
    rows = result.class_rows
    if rows:
        write_table(rows, stdout, as_json=False)
    small = sum(not each.concepts for each in result.classes)
    if small:
        stdout.write(f"classes with too few images, or without a channel that raises their score: {small:,}\n")
    for each, mark in result.marks:
        stdout.write(escape_control_chars(_mark_line(each, mark)) + "\n")


def _mark_line(each: ClassAudit, mark: MarkRecord) -> str:
    names = ", ".join(Path(name).name for name in mark.sources[:MAX_LISTED])
    more = ", ..." if len(mark.sources) > MAX_LISTED else ""
    return (
        f"mark in class {each.label}: columns {mark.box.x0} to {mark.box.x1}, rows {mark.box.y0} to {mark.box.y1}; in "
        f"{len(mark.sources)} of {each.images} images ({names}{more}) and {mark.others} of other classes; "
        f"{_effect(mark)} (p {mark.p_value:.1e})"
    )


def _effect(mark: MarkRecord) -> str:
    mean, low, high = mark.effect
    if mark.is_used:
        return f"it raises the score by {mean:.3f}"
    return f"an effect on the score is not established: {mean:.3f} ({low:.3f} to {high:.3f})"


def _status(result: Audit, max_marks: int | None) -> int:
    messages = [] if max_marks is None else result.check(max_marks, "--max-marks")
    for message in messages:
        print_failed_threshold(message)
    return 4 if messages else 1 if result.failures else 0
